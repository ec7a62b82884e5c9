"""Copying an object within the bucket: by the server, or through here where the server will not.

    info = await copy_object(store, sender, limits, info, target)

The copy has the same bytes, envelope and headers, and shares the sidecar.
"""

from collections.abc import Mapping
from dataclasses import replace

import trio

from ossfs.errors import EntityTooLarge
from ossfs.store.base import ObjectInfo, ObjectStore, PutOptions
from ossfs.transfer.limits import TransferLimits
from ossfs.transfer.restoring import StoredVersion, cut, store_again
from ossfs.transfer.sending import Sender
from ossfs.types import ObjectKey


async def copy_object(
    store: ObjectStore,
    sender: Sender,
    limits: TransferLimits,
    info: ObjectInfo,
    target: ObjectKey,
    *,
    tags: Mapping[str, str] | None = None,
    forbid_overwrite: bool = False,
    part_size: int = 8 << 20,
) -> ObjectInfo:
    """Copy the version *info* to *target* and describe the copy.

    Server-side encryption and storage class are stated again as *info* shows them, since OSS does
    not inherit them. tags: the tag set of the copy; None copies it. A version that is too large
    for CopyObject is streamed. Raises NotFound, Stale (no longer that version), AlreadyExists,
    StoreError.
    """
    try:
        stored = await store.copy(
            info.key,
            target,
            if_match=info.etag,
            tags=tags,
            encryption=info.encryption,
            storage_class=info.storage_class,
            forbid_overwrite=forbid_overwrite,
        )
    except EntityTooLarge:
        return await _stream(store, sender, limits, info, target, tags, forbid_overwrite, part_size)
    return replace(
        info,
        key=target,
        etag=stored.etag,
        version_id=stored.version_id,
        tagging_count=info.tagging_count if tags is None else len(tags),
    )


async def _stream(
    store: ObjectStore,
    sender: Sender,
    limits: TransferLimits,
    info: ObjectInfo,
    target: ObjectKey,
    tags: Mapping[str, str] | None,
    forbid_overwrite: bool,
    part_size: int,
) -> ObjectInfo:
    if tags is None:
        tags = await store.get_tags(info.key) if info.tagging_count else {}
    plan = cut(info, part_size)
    options = PutOptions(
        metadata=plan.apply(info.metadata),
        tags=tags,
        forbid_overwrite=forbid_overwrite,
        encryption=info.encryption,
        storage_class=info.storage_class,
        content_type=info.content_type or "application/octet-stream",
    )
    source = StoredVersion(store, limits, info)
    return await store_again(
        sender, limits, target, source, options, plan.part_size, trio.lowlevel.checkpoint
    )
