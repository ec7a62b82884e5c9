"""Taking names away: unlink, rmdir, and putting aside what a rename replaces.

A file that is open when its name goes lives on until its last close: staged content is simply kept,
a stored version that handles still read is first copied to `.ossfs/orphans/`.
"""

import contextlib
import logging
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from ossfs.errors import (
    AlreadyExists,
    DirectoryNotEmpty,
    IsADirectory,
    NoEntry,
    NotADirectory,
    NotFound,
    OssfsError,
    Stale,
)
from ossfs.format.names import RESERVED
from ossfs.store.base import ObjectInfo, ObjectStore
from ossfs.transfer.copier import Copier
from ossfs.transfer.uploader import Uploader
from ossfs.types import ObjectKey
from ossfs.vfs.creation import Creation
from ossfs.vfs.gate import TreeGate
from ossfs.vfs.node import NEVER, Node
from ossfs.vfs.policy import Policy
from ossfs.vfs.remote import Remote, same_version
from ossfs.vfs.saving import Saver
from ossfs.vfs.tree import Tree

log = logging.getLogger(__name__)

CLEAN_UP_SECONDS = 60
"""How long a removal or rename that failed may take to delete the copies it made."""


@dataclass(slots=True)
class Departure:
    """How the removal of one name goes; gone: nothing of the node is left under it."""

    gone: bool = False


class Removal:
    """clock: seconds, monotonic; fresh: whether what is known of a node still counts."""

    def __init__(
        self,
        *,
        tree: Tree,
        gate: TreeGate,
        creation: Creation,
        fresh: Callable[[Node], bool],
        remote: Remote,
        saver: Saver,
        store: ObjectStore,
        copier: Copier,
        uploader: Uploader,
        policy: Policy,
        clock: Callable[[], float],
    ) -> None:
        self._tree = tree
        self._gate = gate
        self._creation = creation
        self._fresh = fresh
        self._remote = remote
        self._saver = saver
        self._store = store
        self._copier = copier
        self._uploader = uploader
        self._policy = policy
        self._clock = clock

    async def remove_file(self, directory: Node, name: bytes) -> None:
        """unlink(2)."""
        node = await self._creation.existing(directory, name)
        if node.is_directory:
            raise IsADirectory("is a directory")
        async with self._gate.shared(directory, node):
            self.check_still(node, directory)
            async with self.taking(node) as departure:
                await self.keep_marker(directory, node)
                # Another client's version, which nobody has seen through this name, stays.
                if node.rival is None and (node.info is not None or node.attempts):
                    await self._store.delete(self._tree.child_key(directory, node.name))
                departure.gone = True
                self._tree.detach(node, self._clock())
                if node.rival is not None:
                    self._creation.unsure(directory, node.name)
        self._creation.entries_changed(directory)

    async def remove_directory(self, directory: Node, name: bytes) -> None:
        """rmdir(2)."""
        node = await self._creation.existing(directory, name)
        if not node.is_directory:
            raise NotADirectory("not a directory")
        async with self._gate.exclusive(node, directory):
            self.check_still(node, directory)
            node.leaving = True  # nothing can be made in it from now on
            try:
                await self.check_empty(node)
                await self.keep_marker(directory, node)
                await self._store.delete(self._tree.key(node))
                self.drop_directory(node)
            except BaseException:
                node.checked = NEVER  # only OSS knows whether it is still there
                raise
            finally:
                node.leaving = False
        self._creation.entries_changed(directory)

    def drop_directory(self, node: Node) -> None:
        """Forget an empty directory, and what was remembered of names in it."""
        node.unlinked = True
        node.attributes_pending = False
        for _, below in reversed(list(self._tree.descendants(node))):
            self._tree.detach(below, self._clock())
            self._tree.release(below)
        self._tree.detach(node, self._clock())
        self._tree.release(node)

    def check_still(self, node: Node, directory: Node) -> None:
        """Raises NoEntry if the node left the directory while something was waited for."""
        if directory.entries().children.get(node.name) is not node:
            raise NoEntry("no such name")

    async def check_empty(self, directory: Node) -> None:
        """Raises DirectoryNotEmpty if this mount or OSS knows of anything in the directory."""
        if any(below.pinned for _, below in self._tree.descendants(directory)):
            raise DirectoryNotEmpty("directory is not empty")
        token: str | None = None
        while True:
            page = await self._remote.names(self._tree.key(directory), token)
            if page.names or page.hidden:
                raise DirectoryNotEmpty("directory is not empty")
            token = page.next_token
            if token is None:
                return

    async def keep_marker(self, directory: Node, leaving: Node) -> None:
        """A directory without a marker would vanish with its last known child: put the marker
        first.
        """
        if directory is self._tree.root or directory.info is not None:
            return
        for child in directory.entries().children.values():
            stays = child is not leaving and not child.leaving
            if stays and child.info is not None and self._fresh(child):
                return
        key = self._tree.key(directory)
        try:
            directory.info = await self._uploader.put_marker(
                key,
                attributes=directory.attributes,
                forbid_overwrite=True,
                protection=self._policy.protection(key),
            )
        except AlreadyExists:
            directory.checked = NEVER

    # --- open files whose name goes --------------------------------------------------------------

    @asynccontextmanager
    async def taking(self, node: Node) -> AsyncIterator[Departure]:
        """Hold the upload lock of a file while its name is taken away, so that open handles outlive
        the object. The caller holds the gate.

        An upload under way is given up: nobody would find what it stores. Unless the body says that
        the name is gone, or OSS does after a failure, everything is put back as it was.
        """
        departure, key = Departure(), self._tree.key(node)
        node.leaving = True
        if node.uploading is not None:
            node.uploading.cancel()
        try:
            async with node.upload_lock:
                info = node.info
                try:
                    if node.handles and node.staged is None and info is not None and info.size:
                        await self._copy_aside(node, info)
                    yield departure
                except BaseException as error:
                    if not departure.gone and not node.dirty and _may_have_happened(error):
                        departure.gone = await self._went_anyway(node, key, info)
                    raise
                finally:
                    if departure.gone:
                        node.unlinked = True
                        self._creation.changed(node)
                    else:
                        await self._put_back(node, info)
        finally:
            node.leaving = False
            if node.unlinked:
                await self.discard_if_closed(node)
            else:
                self._saver.resume(node)

    async def _went_anyway(self, node: Node, key: ObjectKey, info: ObjectInfo | None) -> bool:
        """Whether the version *info* is no longer there: only the answer was lost, then."""
        went = False
        with trio.move_on_after(CLEAN_UP_SECONDS, shield=True), contextlib.suppress(OssfsError):
            found = await self._remote.file(key)
            there = None if found is None else found.info
            went = info is not None and (there is None or not same_version(there, info))
        directory = node.parent
        if went and directory is not None:
            self._tree.detach(node, self._clock())
            self._creation.unsure(directory, node.name)
        return went

    async def _copy_aside(self, node: Node, info: ObjectInfo) -> None:
        name = f"{socket.gethostname()}-{uuid.uuid4().hex}"
        orphan = ObjectKey(f"{self._tree.key(self._tree.root)}{RESERVED}/orphans/{name}")
        try:
            node.info = await self._copier.copy(info, orphan)
        except (NotFound, Stale):
            node.epoch += 1  # another client removed or replaced it: handles are stale anyway
        else:
            node.orphan = orphan
        self.rebase(node)

    @staticmethod
    def rebase(node: Node) -> None:
        """The same content stands under another key or ETag now: readers begin anew."""
        if node.reader is not None:
            node.reader.close()
            node.reader = None

    async def _put_back(self, node: Node, info: ObjectInfo | None) -> None:
        orphan, node.orphan = node.orphan, None
        node.info, node.checked = info, NEVER
        if orphan is not None:
            self.rebase(node)
            with trio.move_on_after(CLEAN_UP_SECONDS, shield=True):
                await self._delete_orphan(orphan)

    async def discard_if_closed(self, node: Node) -> None:
        """Drop everything of an unlinked node that nobody has open."""
        if node.handles:
            return
        self._saver.let_go(node)
        self.rebase(node)
        self._tree.release(node)
        if node.orphan is not None:
            await self._delete_orphan(node.orphan)

    async def _delete_orphan(self, key: ObjectKey) -> None:
        try:
            await self._store.delete(key)
        except OssfsError as error:
            log.warning("an orphan stays in the bucket until fsck removes it: %s", error)


def _may_have_happened(error: BaseException) -> bool:
    """Whether a request that ended with *error* may have taken effect all the same."""
    return not isinstance(error, OssfsError) or error.retryable
