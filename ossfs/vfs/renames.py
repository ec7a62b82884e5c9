"""rename(2): OSS has none for ordinary buckets, so objects are copied and then deleted.

A file is one copy and one delete. A directory is all copies, then all deletes, in parallel and not
atomic to other hosts. What is not stored yet only changes its name here.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace

from ossfs import log as names_in_log
from ossfs.errors import (
    AccessDenied,
    EntryExists,
    InvalidArgument,
    IsADirectory,
    NameTooLong,
    NoAttributeRoom,
    NoEntry,
    NotADirectory,
    NotFound,
    OssfsError,
    Stale,
)
from ossfs.format.names import KEY_MAX
from ossfs.store.base import ObjectInfo, ObjectStore
from ossfs.transfer.copier import Copier
from ossfs.types import ObjectKey
from ossfs.vfs.attribute_saving import AttributeSaver
from ossfs.vfs.creation import Creation, check_exists
from ossfs.vfs.gate import TreeGate, upwards
from ossfs.vfs.lookups import Lookups
from ossfs.vfs.moving import Moved, Mover
from ossfs.vfs.new_versions import builds_on
from ossfs.vfs.node import NEVER, Node
from ossfs.vfs.remote import Remote, same_stored, same_version
from ossfs.vfs.removal import Departure, Removal
from ossfs.vfs.saving import Saver
from ossfs.vfs.tree import Tree

log = logging.getLogger(__name__)

NOREPLACE = 1
"""RENAME_NOREPLACE of renameat2(2), the one flag that is supported."""


class Renames:
    """clock: seconds, monotonic."""

    def __init__(
        self,
        *,
        tree: Tree,
        gate: TreeGate,
        lookups: Lookups,
        creation: Creation,
        removal: Removal,
        saver: Saver,
        attributes: AttributeSaver,
        store: ObjectStore,
        copier: Copier,
        mover: Mover,
        remote: Remote,
        clock: Callable[[], float],
    ) -> None:
        self._tree = tree
        self._gate = gate
        self._lookups = lookups
        self._creation = creation
        self._removal = removal
        self._saver = saver
        self._attributes = attributes
        self._store = store
        self._copier = copier
        self._mover = mover
        self._remote = remote
        self._clock = clock

    async def rename(
        self, directory: Node, name: bytes, new_directory: Node, new_name: bytes, flags: int
    ) -> None:
        """Raises InvalidArgument for RENAME_EXCHANGE and RENAME_WHITEOUT, EntryExists for
        NOREPLACE.
        """
        if flags & ~NOREPLACE:
            raise InvalidArgument("only RENAME_NOREPLACE is supported")
        node = await self._creation.existing(directory, name)
        text = self._creation.creatable(new_directory, new_name, is_directory=node.is_directory)
        target = await self._lookups.child(new_directory, text)
        if target is node:
            return
        if target is not None and flags & NOREPLACE:
            raise EntryExists("the name is taken")
        if node in upwards(new_directory):
            raise InvalidArgument("a directory cannot move into itself")
        self._check_kinds(node, target)
        if node.is_directory:
            await self._rename_directory(node, directory, new_directory, text, target)
        else:
            await self._rename_file(node, directory, new_directory, text, target)
        self._creation.changed(node)
        for changed in {directory, new_directory}:
            self._creation.entries_changed(changed)

    @staticmethod
    def _check_kinds(node: Node, target: Node | None) -> None:
        if target is None:
            return
        if node.is_directory and not target.is_directory:
            raise NotADirectory("the target is not a directory")
        if target.is_directory and not node.is_directory:
            raise IsADirectory("the target is a directory")

    # --- files -----------------------------------------------------------------------------------

    async def _rename_file(
        self, node: Node, directory: Node, new_directory: Node, name: str, target: Node | None
    ) -> None:
        async with self._gate.shared(node, directory, new_directory), AsyncExitStack() as held:
            self._removal.check_still(node, directory)
            check_exists(new_directory)
            if target is not None and not target.attached:
                target = None
            departure: Departure | None = None
            # In the order of their numbers, so that no two renames wait for each other.
            if target is not None and target.ino < node.ino:
                departure = await held.enter_async_context(self._removal.taking(target))
            await held.enter_async_context(node.upload_lock)
            if target is not None and departure is None:
                departure = await held.enter_async_context(self._removal.taking(target))
            await self._move(node, new_directory, name, target, departure)

    async def _move(
        self,
        node: Node,
        new_directory: Node,
        name: str,
        target: Node | None,
        departure: Departure | None,
    ) -> None:
        """Once all is stored under the new key the name changes, and then what is old is deleted.

        So nobody ever misses the node; if the deletion fails, both names stay.
        """
        directory, old_name, old_key = node.parent, node.name, self._tree.key(node)
        assert directory is not None
        may_stay = _may_stand(node)
        await self._removal.keep_marker(directory, node)
        try:
            moved = await self._store_as(
                node, self._tree.child_key(new_directory, name), target, old_key
            )
        except BaseException:
            self._creation.unsure(new_directory, name)
            raise
        if departure is not None:
            departure.gone = True
        try:
            self._relabel(node, new_directory, name, target)
        except OssfsError:
            if moved is not None:
                await self._store.delete(moved.key)
            raise
        if moved is not None:
            self._adopt(node, moved)
            with self._deleting(directory, old_name):
                await self._store.delete(old_key)
        elif may_stay:
            self._creation.unsure(directory, old_name)
        if node.rival is not None:
            node.rival = node.failure = None
            self._saver.resume(node)  # nothing is in its way any more

    async def _store_as(
        self, node: Node, new_key: ObjectKey, target: Node | None, old_key: ObjectKey
    ) -> ObjectInfo | None:
        """Have under *new_key* what is stored of the node: the copy, None if nothing is.

        Nothing of the target comes back, either. Another client's version of a file with content
        that is still to be stored stays where it is.
        """
        if node.info is not None:
            try:
                moved = await self._copy(node, node.info, new_key)
            except (NotFound, NoEntry):
                if not node.dirty:
                    raise NoEntry("another client removed the file") from None
                moved = None
            if moved is not None:
                return moved
            node.info = None
        if node.attempts:
            if await self._saver.is_own_attempt(node, old_key):
                await self._store.delete(old_key)
            node.attempts.clear()
        if target is not None and _may_stand(target):
            await self._saver.upload_now(node, new_key, replaces=True)
            if node.info is None:
                raise NoEntry("the file was removed")
        return None

    @contextmanager
    def _deleting(self, directory: Node, name: str) -> Iterator[None]:
        """Around what deletes what stands under the old name."""
        try:
            yield
        except BaseException:
            log.warning("renamed, but what stands under the old name could not be deleted")
            self._creation.unsure(directory, name)
            raise

    async def _copy(self, node: Node, info: ObjectInfo, new_key: ObjectKey) -> ObjectInfo | None:
        """Copy the object; attributes that wait to be stored ride along as its tags.

        None: the object is another client's, and not what the node is about to be stored over.
        """
        before = node.attributes
        tags = await self._tags_to_send_along(node, info)
        try:
            moved = await self._copier.copy(info, new_key, tags=tags)
        except Stale:
            # Another client stored a newer version since this mount last asked: that one is moved.
            found = await self._remote.file(info.key)
            if found is None or found.info is None:
                raise NoEntry("another client removed the file") from None
            if node.dirty:
                if not builds_on(node, found):
                    name = names_in_log.name(info.key)
                    log.warning("another client changed %s, and keeps that name", name)
                    return None
            else:
                self._saver.give_way(node)
                self._lookups.learn(node, found)
            moved = await self._copier.copy(found.info, new_key)
        else:
            if tags is not None and node.attributes is before:
                node.attributes_pending = False
        return moved

    async def _tags_to_send_along(self, node: Node, info: ObjectInfo) -> dict[str, str] | None:
        if not node.attributes_pending or node.dirty:
            return None
        try:
            return await self._attributes.tags(node, info)
        except (NoAttributeRoom, AccessDenied):
            return None  # they stay pending, and are stored the long way

    def _adopt(self, node: Node, info: ObjectInfo) -> None:
        """The copy is what stands there now; how old what is known of it is does not change."""
        if node.kernel_pages is not None and node.info is not None:
            same = node.kernel_pages == node.info.etag
            node.kernel_pages = info.etag if same else None
        node.info = info
        self._removal.rebase(node)

    def _relabel(self, node: Node, directory: Node, name: str, target: Node | None) -> None:
        when = self._clock()
        if target is not None:
            self._tree.detach(target, when)
        self._creation.make_way(directory, name)
        self._tree.detach(node, when)
        self._tree.attach(directory, name, node)
        node.exclusive = False

    # --- directories -----------------------------------------------------------------------------

    async def _rename_directory(
        self, node: Node, directory: Node, new_directory: Node, name: str, target: Node | None
    ) -> None:
        touched = [directory, new_directory] + ([target] if target is not None else [])
        async with self._gate.exclusive(node, *touched):
            self._removal.check_still(node, directory)
            check_exists(new_directory)
            if target is not None:
                await self._removal.check_empty(target)
            await self._removal.keep_marker(directory, node)
            source, old_name = self._tree.key(node), node.name
            goal = self._tree.directory_key(new_directory, name)
            keys = await self._mover.keys_below(source)
            self._check_lengths(node, source, goal, keys)
            replaces = target is not None
            async with self._mover.moving(source, goal, keys, replaces=replaces) as move:
                moved = await self._mover.copy(move)
                if target is not None:
                    self._removal.drop_directory(target)
                self._relabel(node, new_directory, name, target)
                self._adopt_all(node, moved)
                if target is not None and node.info is None:
                    self._attributes.changed(node)  # the marker in its place is the target's
                with self._deleting(directory, old_name):
                    await self._mover.delete(move)

    def _check_lengths(self, top: Node, source: str, goal: str, keys: list[ObjectKey]) -> None:
        """Raises NameTooLong if anything in the directory, stored or not, would have too long a
        key.
        """
        below = [key[len(source) :] for key in keys]
        below += [path for path, _ in self._tree.descendants(top)]
        longest = max((len(path.encode()) for path in below), default=0)
        if longest + len(goal.encode()) > KEY_MAX:
            raise NameTooLong("keys in the directory would be above 1,023 bytes")

    def _adopt_all(self, top: Node, moved: dict[str, Moved]) -> None:
        there = {"", *(above for path in moved for above in _directories_above(path))}
        for path, node in [("", top), *self._tree.descendants(top)]:
            copied = moved.get(f"{path}/" if node.is_directory and path else path)
            known = node.info
            if copied is not None and not (known and known.metadata == copied.before.metadata):
                node.checked = NEVER  # its attributes are not those that are known
            if node.is_directory:
                node.info = None if copied is None else copied.now
                if path not in there:
                    node.checked = NEVER
            elif copied is None:
                node.checked = NEVER
                if node.dirty:
                    node.info = None
            elif node.dirty and not (known and same_stored(known, copied.before)):
                # It still builds on what it knew: so its upload finds the other client's version.
                node.info = known and replace(known, key=copied.now.key)
            else:
                self._adopt(node, copied.now)
                if known is not None and not (node.dirty or same_version(known, copied.before)):
                    self._saver.give_way(node)
                    node.size = copied.now.size
                    self._lookups.replaced(node)


def _may_stand(node: Node) -> bool:
    """Whether an object may stand under the node's key."""
    return node.info is not None or node.rival is not None or bool(node.attempts)


def _directories_above(path: str) -> Iterator[str]:
    """The directories that *path* proves to exist; itself if it is that of a marker."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
