"""Attributes that changed after their content was stored.

The server refuses to change the metadata of a client-encrypted object, so they go into one object
tag (`docs/format.md`). Changes are gathered for a moment into one PUT of tags, or ride on the copy
of a rename, or fold into the next upload. Where a tag cannot hold them the same ciphertext is
stored again with new headers. A directory's marker is simply put again.
"""

import logging
from collections.abc import Callable
from dataclasses import replace

import trio

from ossfs import log as names_in_log
from ossfs.errors import (
    AccessDenied,
    NoAttributeRoom,
    NotFound,
    OssfsError,
    Stale,
    StaleHandle,
)
from ossfs.format import attributes as attribute_format
from ossfs.store.base import ObjectInfo, ObjectStore
from ossfs.transfer.copier import Copier
from ossfs.transfer.uploader import Uploader
from ossfs.types import ObjectKey
from ossfs.vfs.gate import TreeGate
from ossfs.vfs.kernel import Behaviour, Spawn
from ossfs.vfs.node import NEVER, Node
from ossfs.vfs.policy import Policy
from ossfs.vfs.tree import Tree

log = logging.getLogger(__name__)

LONGEST_PAUSE = 60.0
MAX_TAGS = 10


class AttributeSaver:
    """Stores attributes under the keys of nodes whose content is stored."""

    def __init__(
        self,
        *,
        tree: Tree,
        gate: TreeGate,
        store: ObjectStore,
        uploader: Uploader,
        policy: Policy,
        copier: Copier,
        behaviour: Behaviour,
        clock: Callable[[], float],
        spawn: Spawn,
    ) -> None:
        self._tree = tree
        self._gate = gate
        self._store = store
        self._uploader = uploader
        self._policy = policy
        self._copier = copier
        self._behaviour = behaviour
        self._clock = clock
        self._spawn = spawn

    def changed(self, node: Node) -> None:
        """The node's attributes were replaced: see that they reach the bucket."""
        if node.unlinked:
            return
        node.attributes_pending = True
        if not node.dirty and not node.attributes_scheduled:
            node.attributes_scheduled = True
            self._spawn(self._gather, node)

    async def _gather(self, node: Node) -> None:
        pause = self._behaviour.gather_attributes
        try:
            while node.attributes_pending and not node.unlinked:
                await trio.sleep(pause)  # changes that come meanwhile ride along; then back-off
                pause = min(2 * pause + 1, LONGEST_PAUSE)
                try:
                    await self.save(node)
                except OssfsError as error:
                    node.failure = error
                    name = names_in_log.name(self._tree.key(node))
                    log.warning("attributes of %s are not stored yet: %s", name, error)
                if node.dirty:
                    return  # the upload takes them along
        finally:
            node.attributes_scheduled = False
            self._tree.release(node)

    async def save(self, node: Node) -> None:
        """Return once OSS holds the node's attributes. Raises what keeps them from it."""
        if not _can_save(node):
            return
        async with self._gate.shared(node), node.upload_lock:
            if _can_save(node):
                await self._save(node, self._tree.key(node))

    async def _save(self, node: Node, key: ObjectKey) -> None:
        attributes = node.attributes
        try:
            if not key:
                pass  # The root of a bucket has no object that could hold them.
            elif node.is_directory:
                node.info = await self._uploader.put_marker(
                    key,
                    attributes=attributes,
                    protection=self._policy.protection(key, node.info),
                )
            elif node.info is not None:
                await self._save_file(node, node.info)
        except (NotFound, Stale) as error:
            # The version that they belong to is gone: there is nothing left to try.
            node.attributes_pending = False
            node.checked = NEVER
            raise StaleHandle("another client replaced or removed the file") from error
        node.failure = None
        node.attributes_pending = node.attributes is not attributes
        node.checked = self._clock()

    async def _save_file(self, node: Node, info: ObjectInfo) -> None:
        try:
            tags = await self.tags(node, info)
            await self._store.put_tags(info.key, tags)
            if node.info is info:
                node.info = replace(info, tagging_count=len(tags))
        except (AccessDenied, NoAttributeRoom) as reason:
            log.debug("attributes do not go into tags (%s): storing the object again", reason)
            stored = await self._copier.reupload(
                info,
                attributes=node.attributes,
                tags=node.foreign_tags,
                limit=self._behaviour.reupload_max,
            )
            node.stored_as(stored)

    async def tags(self, node: Node, info: ObjectInfo) -> dict[str, str]:
        """The whole tag set that says what the node's attributes are; foreign tags are kept.

        Raises NoAttributeRoom where a tag cannot say it, or no slot is free.
        """
        if info.crc64 is None:
            raise NoAttributeRoom(
                "the server reports no CRC64 that would bind a tag to its version"
            )
        own = attribute_format.to_tags(node.attributes, info.crc64, stored=info.metadata)
        present = await self._store.get_tags(info.key)
        node.foreign_tags = attribute_format.foreign_tags(present)
        if len(own) + len(node.foreign_tags) > MAX_TAGS:
            raise NoAttributeRoom("the object has no free tag")
        return node.foreign_tags | own


def _can_save(node: Node) -> bool:
    """Not while an upload is due, which takes the attributes along."""
    return node.attributes_pending and not node.unlinked and not node.dirty
