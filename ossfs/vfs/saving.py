"""From staged content to the bucket: uploads on flush, retries, the drain at the end.

One upload at a time per node. A flush that arrives during an upload waits and then finds its
content stored, or uploads what came since. What failed stays staged, is shown by this mount, and is
tried again in the background with growing pauses, and at once by the next flush, fsync or umount.
"""

import contextlib
import logging
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import trio

from ossfs import log as names_in_log
from ossfs.errors import Conflict, OssfsError, StaleHandle
from ossfs.format.attributes import Attributes
from ossfs.staging.area import StagingArea
from ossfs.staging.staged import StagedFile
from ossfs.store.base import ObjectInfo
from ossfs.transfer.parallel import for_each
from ossfs.types import ObjectKey
from ossfs.vfs.attribute_saving import AttributeSaver
from ossfs.vfs.conflicts import Conflicts, Displaced
from ossfs.vfs.gate import TreeGate
from ossfs.vfs.kernel import Spawn
from ossfs.vfs.new_versions import NewVersions
from ossfs.vfs.node import Node
from ossfs.vfs.tree import Tree

log = logging.getLogger(__name__)

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
DRAIN_PARALLEL = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsaved:
    """A file that OSS does not hold as this mount shows it; reason "" if it was not tried yet."""

    key: ObjectKey
    reason: str


class Saver:
    """Stores content under the keys of nodes."""

    def __init__(
        self,
        *,
        tree: Tree,
        gate: TreeGate,
        new_versions: NewVersions,
        conflicts: Conflicts,
        staging: StagingArea,
        attributes: AttributeSaver,
        clock: Callable[[], float],
        spawn: Spawn,
    ) -> None:
        self._tree = tree
        self._gate = gate
        self._new_versions = new_versions
        self._conflicts = conflicts
        self._staging = staging
        self._attributes = attributes
        self._clock = clock
        self._spawn = spawn

    # --- staging -----------------------------------------------------------------------------

    def new_staged(self) -> StagedFile:
        """Empty staged content that belongs to no node yet."""
        return self._staging.create()

    def start_empty(self, node: Node) -> None:
        """Give the node empty staged content in place of whatever it had."""
        if node.staged is None:
            node.staged = self._staging.create()
        else:
            node.staged.truncate(0)
        node.generation += 1
        if node.rival is not None:
            # Whoever empties what could not be stored means to replace what is in its way.
            node.info, node.rival, node.failure = node.rival, None, None

    def let_go(self, node: Node) -> None:
        """Drop staged content that OSS has, once nobody can write to the node any more.

        Not while the name is about to go: handles that read may need it then.
        """
        idle = not node.writers and not node.dirty and not node.leaving
        if node.unlinked:
            idle = not node.handles
        if node.staged is not None and idle:
            node.size = node.staged.size
            node.staged.close()
            node.staged = None

    def give_way(self, node: Node) -> None:
        """Another client's version counts now: drop staged content that OSS has had."""
        if node.staged is not None and not node.dirty:
            node.staged.close()
            node.staged = None

    # --- storing -----------------------------------------------------------------------------

    async def store(self, node: Node) -> None:
        """Return once OSS has acknowledged what the node holds now, content and attributes.

        Raises the error of the upload; the content then stays staged and is retried. Raises
        StaleHandle if it was stored under another name, since another client's version has this
        one.
        """
        await self.store_content(node)
        await self._attributes.save(node)

    async def store_content(self, node: Node) -> None:
        """The same for content alone."""
        wanted = node.generation
        if not _lacks(node, wanted):
            return
        async with self._gate.shared(node):
            while _lacks(node, wanted):
                async with node.upload_lock:
                    # One whose name is about to go is uploaded only if the name stays after all,
                    # for which the next turn of the lock waits.
                    if _lacks(node, wanted) and not node.leaving:
                        await self.upload_now(node, self._tree.key(node))
        if wanted <= node.displaced:
            raise StaleHandle("another client's version has the name of what was written")

    async def upload_now(self, node: Node, key: ObjectKey, *, replaces: bool = False) -> None:
        """Upload the staged content to *key*. The caller holds the gate and the node's upload lock.

        replaces: an object under *key* is known and meant to be replaced. Whoever takes the name
        away may give the upload up; this then returns with nothing stored.
        """
        assert node.staged is not None
        frozen = node.staged.freeze()
        generation, attributes = node.generation, node.attributes
        stored: ObjectInfo | Displaced | None = None
        try:
            with trio.CancelScope() as node.uploading, _mistakes_told():
                stored = await self._new_versions.put(
                    node, key, frozen, attributes, replaces=replaces
                )
        except OssfsError as error:
            self._failed(node, key, error, attributes)
            raise
        except BaseException:
            _may_be_stored(node, attributes)
            raise
        finally:
            node.uploading = None
            frozen.close()
        if stored is None:
            _may_be_stored(node, attributes)
        elif isinstance(stored, Displaced):
            self._displace(node, stored, generation, attributes)
            raise StaleHandle("another client's version has the name of what was written")
        else:
            self._settle(node, stored, generation, attributes)

    def _failed(
        self, node: Node, key: ObjectKey, error: OssfsError, attributes: Attributes
    ) -> None:
        conflict = isinstance(error, Conflict)  # is logged, and waits for the user
        if not conflict:
            _tell_failure(node, key, error)
        node.failure = error
        if error.retryable:
            _may_be_stored(node, attributes)
        if not conflict:
            self.retry(node)

    def _settle(
        self, node: Node, info: ObjectInfo, generation: int, attributes: Attributes
    ) -> None:
        node.stored = generation
        node.failure = node.rival = node.beside = None
        node.exclusive = False
        node.server_choice = None
        node.attempts.clear()
        self._adopt(node, info)
        node.attributes_pending = False
        if node.attributes is not attributes:
            self._attributes.changed(node)
        self.let_go(node)

    def _displace(
        self, node: Node, displaced: Displaced, generation: int, attributes: Attributes
    ) -> None:
        late_changes = node.attributes is not attributes
        ours = self._conflicts.displace(node, displaced, generation)
        if ours.dirty:
            self.store_later(ours)
        elif late_changes:
            self._attributes.changed(ours)

    def _adopt(self, node: Node, info: ObjectInfo) -> None:
        node.stored_as(info)
        node.checked = self._clock()

    async def upload_new(self, node: Node, key: ObjectKey, content: bytes) -> None:
        """Upload a node that has no name yet, with *content*. Raises AlreadyExists.

        The caller holds the gate; nobody else knows the node.
        """
        node.exclusive = True
        with contextlib.closing(self._staging.create()) as staged:
            staged.pwrite(0, content)
            with contextlib.closing(staged.freeze()) as frozen:
                info = await self._new_versions.put(node, key, frozen, node.attributes)
        assert isinstance(info, ObjectInfo)  # what is made exclusively never goes beside
        node.exclusive = False
        self._adopt(node, info)

    async def is_own_attempt(self, node: Node, key: ObjectKey) -> bool:
        """Whether what stands under *key* was left by an upload of ours whose answer was lost."""
        return await self._new_versions.is_own_attempt(node, key)

    # --- again and again ----------------------------------------------------------------------

    def resume(self, node: Node) -> None:
        """The name stays after all: so does what is due to be stored under it."""
        if node.dirty:
            self.retry(node)
        elif node.attributes_pending:
            self._attributes.changed(node)
        self.let_go(node)

    def retry(self, node: Node) -> None:
        """Keep trying in the background until the node is stored or unlinked, or waits for the user
        because of another client's version.
        """
        if not node.retrying:
            node.retrying = True
            self._spawn(self._keep_trying, node)

    async def _keep_trying(self, node: Node) -> None:
        pause = FIRST_PAUSE
        try:
            while node.dirty and not node.unlinked:
                # Jitter only spreads the load; it protects nothing.
                await trio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
                pause = min(2 * pause, LONGEST_PAUSE)
                with contextlib.suppress(OssfsError):  # logged where it failed
                    await self.store(node)
                if isinstance(node.failure, Conflict):
                    return
        finally:
            node.retrying = False
            self._tree.release(node)

    def store_later(self, node: Node) -> None:
        """Upload in the background what a mapping wrote after the last flush."""
        if not node.retrying and node.rival is None:
            self._spawn(self._store_quietly, node)

    async def _store_quietly(self, node: Node) -> None:
        with contextlib.suppress(OssfsError):  # logged where it failed, and retried
            await self.store(node)
        self._tree.release(node)

    def unsaved(self) -> list[Unsaved]:
        """All that OSS does not hold yet."""
        return [
            Unsaved(key=self._tree.key(node), reason=str(node.failure or ""))
            for node in self._tree
            if (node.dirty or node.attributes_pending) and not node.unlinked
        ]

    async def drain(self, timeout: float = math.inf) -> list[Unsaved]:
        """Try at once to store everything, for *timeout* seconds at most; returns what is left."""

        async def attempt(node: Node) -> None:
            with contextlib.suppress(OssfsError), _mistakes_told():
                await self.store(node)

        with trio.move_on_after(timeout):
            waiting = [
                n for n in self._tree if (n.dirty or n.attributes_pending) and not n.unlinked
            ]
            if waiting:
                await for_each(waiting, attempt, limit=min(DRAIN_PARALLEL, len(waiting)))
        return self.unsaved()


class _Mistake(OssfsError):
    """An error of ossfs itself; what was asked of OSS may have been done."""

    retryable = True


@contextlib.contextmanager
def _mistakes_told() -> Iterator[None]:
    """Log an error that nobody expected and raise it as a failure like any other.

    So it is shown and tried again, and ends the storing of no other file.
    """
    try:
        yield
    except OssfsError:
        raise
    except Exception as error:
        log.exception("storing failed for a reason that is a mistake in ossfs")
        raise _Mistake(f"internal error: {type(error).__name__}") from error


def _tell_failure(node: Node, key: ObjectKey, error: OssfsError) -> None:
    """When it begins or becomes another one; what lasts is tried, and would be told, for ever."""
    lasts = type(node.failure) is type(error)
    level = logging.DEBUG if lasts else logging.WARNING
    log.log(level, "%s is not stored yet: %s", names_in_log.name(key), error)


def _lacks(node: Node, generation: int) -> bool:
    """Whether the bucket should hold that generation of the content, and does not."""
    return node.stored < generation and not node.unlinked


def _may_be_stored(node: Node, attributes: Attributes) -> None:
    """The answer to an upload was lost."""
    if attributes not in node.attempts:
        node.attempts.append(attributes)
