"""A new version of a file under its key, and what stands there by then.

OSS has no compare-and-swap. So the object is asked for before it is replaced, and once more right
before the new version becomes visible if that took long; where nothing is known to stand under the
key, the request itself forbids to replace anything.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from ossfs import log as names_in_log
from ossfs.errors import AlreadyExists, Stale
from ossfs.format.attributes import Attributes
from ossfs.staging.staged import FrozenFile
from ossfs.store.base import ObjectInfo
from ossfs.transfer.limits import Check
from ossfs.transfer.protection import Protection
from ossfs.transfer.sending import nothing
from ossfs.transfer.uploader import Uploader
from ossfs.types import ObjectKey
from ossfs.vfs.conflicts import Conflicts, Displaced
from ossfs.vfs.node import Node
from ossfs.vfs.policy import Policy
from ossfs.vfs.remote import Found, Remote, same_stored

log = logging.getLogger(__name__)

RECENT = 1.0
"""Seconds for which an answer of OSS counts; an upload that becomes visible later asks again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Version:
    """What is to be stored."""

    frozen: FrozenFile
    attributes: Attributes
    tags: dict[str, str]
    protection: Protection


class NewVersions:
    """clock: seconds, monotonic."""

    def __init__(
        self,
        *,
        uploader: Uploader,
        policy: Policy,
        remote: Remote,
        conflicts: Conflicts,
        clock: Callable[[], float],
    ) -> None:
        self._uploader = uploader
        self._policy = policy
        self._remote = remote
        self._conflicts = conflicts
        self._clock = clock

    async def put(
        self,
        node: Node,
        key: ObjectKey,
        frozen: FrozenFile,
        attributes: Attributes,
        *,
        replaces: bool = False,
    ) -> ObjectInfo | Displaced:
        """Store *frozen* under *key*, the node's own; the caller holds its upload lock.

        replaces: whatever stands under *key* is meant to be replaced by a node that is new there.
        Raises AlreadyExists (created with O_EXCL), Conflict, and what the uploader raises.
        """
        while True:
            asked, found = self._clock(), await self._stands(node, key)
            if found is None:
                version = self._version(node, key, frozen, attributes, node.info, {})
                try:
                    return await self._upload(version, key, forbid_overwrite=not replaces)
                except AlreadyExists:
                    if replaces:
                        raise
                asked, found = self._clock(), await self._remote.file(key)
                if found is None:
                    continue  # gone again
                if node.exclusive and not _is_own_attempt(node, found):
                    raise AlreadyExists("another client created the file")
                node.exclusive = False
            if not builds_on(node, found):
                if not self._conflicts.last_wins:
                    return await self._beside(node, key, frozen, attributes, found)
                self._conflicts.replacing(node)
            try:
                check = self._still(key, found, asked)
                version = self._version(
                    node, key, frozen, attributes, found.info, found.foreign_tags
                )
                return await self._upload(version, key, check=check)
            except Stale:
                continue

    async def _stands(self, node: Node, key: ObjectKey) -> Found | None:
        """Ask for the object that is about to be replaced, some of which goes on to the new
        version; None if there is none, or none is known.
        """
        if node.info is None:
            return None
        found = await self._remote.file(key)
        if found is None:
            log.warning("another client removed %s; it is stored anew", names_in_log.name(key))
        return found

    def _still(self, key: ObjectKey, found: Found, asked: float) -> Check:
        async def check() -> None:
            if self._conflicts.last_wins or self._clock() - asked < RECENT:
                return
            now = await self._remote.file(key)
            assert found.info is not None
            if now is None or now.info is None or not same_stored(found.info, now.info):
                raise Stale("another client changed the file meanwhile")

        return check

    async def _beside(
        self,
        node: Node,
        key: ObjectKey,
        frozen: FrozenFile,
        attributes: Attributes,
        rival: Found,
    ) -> Displaced:
        # Goes on from the version that this mount knew, not from what the other client made of it.
        version = self._version(node, key, frozen, attributes, node.info, node.foreign_tags)

        async def store(name: ObjectKey) -> ObjectInfo:
            try:
                return await self._upload(version, name, forbid_overwrite=True)
            except AlreadyExists:
                found = await self._remote.file(name)
                if found is None or not _is_own_attempt(node, found):
                    raise
            return await self._upload(version, name)

        return await self._conflicts.resolve(node, rival, store)

    def _version(
        self,
        node: Node,
        key: ObjectKey,
        frozen: FrozenFile,
        attributes: Attributes,
        before: ObjectInfo | None,
        tags: dict[str, str],
    ) -> _Version:
        """With what goes on from the version *before*; tags: of others, that the new one keeps."""
        protection = self._policy.protection(key, before)
        if node.server_choice is not None:
            protection = replace(protection, server=node.server_choice.encryption)
        node.foreign_tags = tags
        return _Version(frozen=frozen, attributes=attributes, tags=tags, protection=protection)

    def _upload(
        self,
        version: _Version,
        key: ObjectKey,
        *,
        forbid_overwrite: bool = False,
        check: Check = nothing,
    ) -> Awaitable[ObjectInfo]:
        return self._uploader.upload(
            version.frozen,
            key,
            attributes=version.attributes,
            tags=version.tags,
            forbid_overwrite=forbid_overwrite,
            protection=version.protection,
            check=check,
        )

    async def is_own_attempt(self, node: Node, key: ObjectKey) -> bool:
        """Whether what stands under *key* was left by an upload of ours whose answer was lost."""
        if not node.attempts:
            return False
        found = await self._remote.file(key)
        return found is not None and _is_own_attempt(node, found)


def _is_own_attempt(node: Node, found: Found) -> bool:
    return found.attributes in node.attempts


def builds_on(node: Node, found: Found) -> bool:
    """Whether *found* is the version that this mount knew when it began to change the file, or
    its own earlier attempt to replace that.
    """
    assert found.info is not None
    if node.info is not None and same_stored(node.info, found.info):
        return True
    return _is_own_attempt(node, found)
