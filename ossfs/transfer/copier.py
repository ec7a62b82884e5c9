"""Storing again what is stored already: under another key, with other attributes or encryption.

moved = await copier.copy(info, target)
stored = await copier.reupload(info, attributes=changed, tags=tags, limit=1 << 30)
stored = await copier.restate(info, ServerChoice(None), attributes=attributes)
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import final

from ossfs.errors import (
    EntityTooLarge,
    FileTooLarge,
    RefusedByServer,
    Stale,
    StoreError,
    TimedOut,
    Unavailable,
)
from ossfs.format import attributes as attribute_headers
from ossfs.format.attributes import Attributes
from ossfs.store.base import ObjectInfo, PutOptions
from ossfs.store.rules import REFUSED_ENVELOPE, is_client_encrypted
from ossfs.transfer.acl import own_acl
from ossfs.transfer.opener import Opener
from ossfs.transfer.protection import ServerChoice, is_as_asked
from ossfs.transfer.restoring import StoredVersion, store_again
from ossfs.transfer.sending import Sender
from ossfs.transfer.sidecar import restate_sidecar
from ossfs.types import ObjectKey


@final
class Copier:
    """One per mount. Bytes, envelope and headers go along; a copy shares the sidecar."""

    def __init__(self, sender: Sender, opener: Opener) -> None:
        self._sender = sender
        self._opener = opener

    async def copy(
        self,
        info: ObjectInfo,
        target: ObjectKey,
        *,
        tags: Mapping[str, str] | None = None,
        forbid_overwrite: bool = False,
    ) -> ObjectInfo:
        """Copy the version *info* to *target* and describe the copy.

        Server-side encryption and storage class are stated again as *info* shows them, since OSS
        does not inherit them. tags: the tag set of the copy; None copies it. A version that is too
        large for CopyObject is streamed. Raises NotFound, Stale (no longer that version),
        AlreadyExists, StoreError.
        """
        try:
            stored = await self._sender.store.copy(
                info.key,
                target,
                if_match=info.etag,
                tags=tags,
                encryption=info.encryption,
                storage_class=info.storage_class,
                forbid_overwrite=forbid_overwrite,
            )
        except EntityTooLarge:
            return await self._stream(info, target, tags, forbid_overwrite)
        return replace(
            info,
            key=target,
            etag=stored.etag,
            version_id=stored.version_id,
            encryption=stored.encryption or info.encryption,
            tagging_count=info.tagging_count if tags is None else len(tags),
        )

    async def reupload(
        self,
        info: ObjectInfo,
        *,
        attributes: Attributes,
        tags: Mapping[str, str],
        limit: int | None,
        choice: ServerChoice | None = None,
    ) -> ObjectInfo:
        """Replace the version *info* by the same bytes with *attributes* in the headers.

        OSS refuses to change the headers of a client-side encrypted object, and replacing them
        without the envelope would lose the data; so attributes that do not fit into object tags
        take a new version of the same ciphertext. tags: its whole tag set; choice: of server-side
        encryption, None: as it is now, and an ACL of the object's own goes; else that stays. Every
        chunk is checked on the way where there are tags to check it; right before the new version
        becomes visible the object must still be *info*. Returns what HEAD would say.

        Raises FileTooLarge (above *limit* bytes, if it is not None), NoAttributeRoom, Stale,
        StoreError, and what opening the object raises.
        """
        if limit is not None and info.size > limit:
            raise FileTooLarge("changing these attributes would upload a file of this size again")
        version = await self._opener.accept(info)
        if attributes.file_type != version.file_type:
            raise ValueError("the type of a file is bound to its content")
        # The other headers of attributes are always there and displace the old ones.
        kept = {name: value for name, value in info.metadata.items() if name != "xattr"}
        options = replace(
            _options(info),
            metadata=kept | attribute_headers.to_metadata(attributes),
            tags=tags,
            encryption=info.encryption if choice is None else choice.encryption,
            acl=None if choice is None else await own_acl(self._sender.store, info),
        )
        store = self._sender.store
        if choice is not None:
            await restate_sidecar(store, info, choice.encryption)

        async def is_unchanged() -> None:
            now = await store.head(info.key)
            if now.etag != info.etag:
                raise Stale("another client replaced the object meanwhile")

        source = StoredVersion(store, self._sender.limits, info, version)
        return await store_again(
            self._sender, info.key, source, options, check=is_unchanged, replaced=info
        )

    async def restate(
        self, info: ObjectInfo, choice: ServerChoice, *, attributes: Attributes
    ) -> ObjectInfo | None:
        """Have OSS encrypt the version *info* as chosen, by a copy of the object onto itself.

        Everything else stays, its tags too; an object that carries no times gets those of
        *attributes*, since Last-Modified moves. Returns what HEAD says then; None where OSS does
        not do it, since the object is client-side encrypted or too large for a copy: `reupload`
        does. Raises NotFound, Stale, StoreError.
        """
        if is_client_encrypted(info.metadata):
            return None
        store = self._sender.store
        times = attribute_headers.to_metadata(attributes)
        options = replace(
            _options(info),
            metadata={name: times[name] for name in ("atime", "mtime")} | dict(info.metadata),
            encryption=choice.encryption,
            acl=await own_acl(store, info),
        )
        failure: StoreError | None = None
        try:
            await store.restate(info.key, options, if_match=info.etag)
        except EntityTooLarge:
            return None
        except (Stale, Unavailable, TimedOut) as error:
            failure = error  # perhaps only the answer was lost
        except RefusedByServer as error:
            if error.code == REFUSED_ENVELOPE:
                return None
            raise
        found = await store.head(info.key)
        if failure is not None and (
            found.encryption == info.encryption or not _is_restated(info, options, found)
        ):
            raise failure
        return found

    async def _stream(
        self,
        info: ObjectInfo,
        target: ObjectKey,
        tags: Mapping[str, str] | None,
        forbid_overwrite: bool,
    ) -> ObjectInfo:
        store = self._sender.store
        if tags is None:
            tags = await store.get_tags(info.key) if info.tagging_count else {}
        options = replace(_options(info), tags=tags, forbid_overwrite=forbid_overwrite)
        source = StoredVersion(store, self._sender.limits, info)
        return await store_again(self._sender, target, source, options)


def _is_restated(info: ObjectInfo, options: PutOptions, found: ObjectInfo) -> bool:
    """Whether *found* is what a copy of *info* onto itself with *options* makes."""
    return (
        (found.size, found.crc64) == (info.size, info.crc64)
        and found.metadata == options.metadata
        and is_as_asked(options.encryption, found.encryption)
    )


def _options(info: ObjectInfo) -> PutOptions:
    """What a new version of *info* takes over, but for its object tags."""
    return PutOptions(
        metadata=info.metadata,
        encryption=info.encryption,
        storage_class=info.storage_class,
        content_type=info.content_type or "application/octet-stream",
        web_headers=info.web_headers,
    )
