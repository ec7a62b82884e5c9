"""rename(2): OSS has none for ordinary buckets, so objects are copied and then deleted.

A file is one copy and one delete. A directory is all copies, then all deletes, in parallel and not
atomic to other hosts. What is not stored yet only changes its name here.
"""

import logging
from collections.abc import Callable
from dataclasses import replace

import trio

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
from ossfs.format.names import KEY_MAX, RESERVED
from ossfs.store.base import ObjectInfo, ObjectStore
from ossfs.transfer.copier import Copier
from ossfs.transfer.parallel import for_each
from ossfs.types import ObjectKey
from ossfs.vfs.attribute_saving import AttributeSaver
from ossfs.vfs.creation import Creation
from ossfs.vfs.gate import TreeGate, upwards
from ossfs.vfs.kernel import Behaviour
from ossfs.vfs.lookups import Lookups
from ossfs.vfs.node import NEVER, Node
from ossfs.vfs.remote import Remote
from ossfs.vfs.removal import Displaced, Removal
from ossfs.vfs.saving import Saver
from ossfs.vfs.tree import Tree

log = logging.getLogger(__name__)

NOREPLACE = 1
"""RENAME_NOREPLACE of renameat2(2), the one flag that is supported."""

TAKE_BACK_SECONDS = 60
"""How long a failed directory rename may take to delete the copies it made."""


class Renames:
    """now: wall clock in nanoseconds; clock: seconds, monotonic."""

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
        remote: Remote,
        behaviour: Behaviour,
        now: Callable[[], int],
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
        self._remote = remote
        self._behaviour = behaviour
        self._now = now
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
        now = self._now()
        node.attributes = replace(node.attributes, ctime_ns=now)
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
        touched = [node, directory, new_directory] + ([target] if target is not None else [])
        async with self._gate.shared(*touched):
            self._removal.check_still(node, directory)
            new_key = self._tree.child_key(new_directory, name)
            displaced = await self._removal.displace(target) if target is not None else None
            try:
                async with node.upload_lock:
                    await self._move(node, directory, new_key, displaced)
            except BaseException:
                if displaced is not None:
                    await self._removal.put_back(displaced)
                raise
            self._relabel(node, new_directory, name, target)
        if target is not None:
            await self._removal.discard_if_closed(target)

    async def _move(
        self, node: Node, directory: Node, new_key: ObjectKey, displaced: Displaced | None
    ) -> None:
        """Have under *new_key* what the node is, and nothing under its present key."""
        old_key = self._tree.key(node)
        if node.info is None:
            if displaced is not None and displaced.info is not None:
                # Only named so far, and the target is stored: its object must not come back.
                await self._saver.upload_now(node, new_key, replaces=True)
            return
        moved = await self._copy(node, node.info, new_key)
        await self._removal.keep_marker(directory, node)
        await self._store.delete(old_key)
        self._adopt(node, moved)

    async def _copy(self, node: Node, info: ObjectInfo, new_key: ObjectKey) -> ObjectInfo:
        """Copy the object; attributes that wait to be stored ride along as its tags."""
        before = node.attributes
        tags = await self._tags_to_send_along(node, info)
        try:
            moved = await self._copier.copy(info, new_key, tags=tags)
        except Stale:
            # Another client stored a newer version since this mount last asked: that one is moved.
            found = await self._remote.file(info.key)
            if found is None or found.info is None:
                raise NoEntry("another client removed the file") from None
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
        if node.kernel_pages is not None and node.info is not None:
            same = node.kernel_pages == node.info.etag
            node.kernel_pages = info.etag if same else None
        node.info = info
        node.checked = self._clock()
        self._removal.rebase(node)

    def _relabel(self, node: Node, directory: Node, name: str, target: Node | None) -> None:
        when = self._clock()
        if target is not None:
            self._tree.detach(target, when)
        self._tree.detach(node, when)
        self._tree.attach(directory, name, node)

    # --- directories -----------------------------------------------------------------------------

    async def _rename_directory(
        self, node: Node, directory: Node, new_directory: Node, name: str, target: Node | None
    ) -> None:
        touched = [directory, new_directory] + ([target] if target is not None else [])
        async with self._gate.exclusive(node, *touched):
            self._removal.check_still(node, directory)
            if target is not None:
                await self._removal.check_empty(target)
            source = self._tree.key(node)
            goal = self._tree.directory_key(new_directory, name)
            keys = await self._keys_below(source)
            moved = await self._copy_all(source, goal, keys)
            await self._removal.keep_marker(directory, node)
            await self._store.delete_many(keys)
            if target is not None:
                target.unlinked = True
            self._relabel(node, new_directory, name, target)
            self._adopt_all(node, moved)
        if target is not None:
            self._tree.release(target)

    async def _keys_below(self, source: str) -> list[ObjectKey]:
        """All keys of the directory, its marker among them; what ossfs keeps for itself stays
        behind.
        """
        keys: list[ObjectKey] = []
        token: str | None = None
        while True:
            page = await self._store.list_page(source, token=token)
            listed = (entry.key for entry in page.entries)
            keys += [key for key in listed if RESERVED not in key[len(source) :].split("/")]
            token = page.next_token
            if token is None:
                return keys

    async def _copy_all(
        self, source: str, goal: str, keys: list[ObjectKey]
    ) -> dict[str, ObjectInfo]:
        """Copy every key; returns what now stands under each path below *goal*.

        If one cannot be copied the others are taken back, and the error is raised.
        """
        moved: dict[str, ObjectInfo] = {}
        longest = max((len(key.encode()) for key in keys), default=0)
        if longest - len(source.encode()) + len(goal.encode()) > KEY_MAX:
            raise NameTooLong("keys in the directory would be above 1,023 bytes")

        async def copy(key: ObjectKey) -> None:
            below = key[len(source) :]
            try:
                info = await self._store.head(key)
                moved[below] = await self._copier.copy(info, ObjectKey(goal + below))
            except NotFound:
                return  # another client deleted it meanwhile

        try:
            if keys:
                await for_each(keys, copy, limit=min(self._behaviour.parallel, len(keys)))
        except BaseException:
            await self._take_back([ObjectKey(goal + below) for below in moved])
            raise
        return moved

    async def _take_back(self, copies: list[ObjectKey]) -> None:
        with trio.move_on_after(TAKE_BACK_SECONDS, shield=True):
            try:
                await self._store.delete_many(copies)
            except OssfsError as error:
                log.warning(
                    "%d copies of a failed rename stay in the bucket: %s", len(copies), error
                )

    def _adopt_all(self, top: Node, moved: dict[str, ObjectInfo]) -> None:
        top.info = moved.get("")
        for path, node in self._tree.descendants(top):
            info = moved.get(f"{path}/" if node.is_directory else path)
            if info is None:
                node.checked = NEVER
            elif node.is_directory:
                node.info = info
            else:
                self._adopt(node, info)
