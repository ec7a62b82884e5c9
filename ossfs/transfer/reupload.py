"""Storing a version again under its own key with other attributes: same ciphertext, same envelope.

OSS refuses to change the headers of a client-side encrypted object, and REPLACE without the
envelope would lose the data; so what does not fit into object tags takes a new version of the same
bytes.
"""

from collections.abc import Mapping

from ossfs.errors import FileTooLarge, Stale
from ossfs.format import attributes as attribute_headers
from ossfs.format.attributes import Attributes
from ossfs.store.base import ObjectInfo, ObjectStore, PutOptions, ServerEncryption
from ossfs.transfer.limits import TransferLimits
from ossfs.transfer.restoring import StoredVersion, cut, store_again
from ossfs.transfer.sending import Sender
from ossfs.transfer.version import Version


async def reupload(
    store: ObjectStore,
    sender: Sender,
    limits: TransferLimits,
    version: Version,
    *,
    attributes: Attributes,
    tags: Mapping[str, str],
    limit: int,
    encryption: ServerEncryption | None = None,
    part_size: int = 8 << 20,
) -> ObjectInfo:
    """Replace *version* by the same bytes with *attributes* in the headers; describe the result.

    tags: the whole tag set of the new version; encryption: server-side, None as it is now. Every
    chunk is checked on the way where there are tags to check it; right before the new version
    becomes visible the object must still be *version*. Raises FileTooLarge (above *limit* bytes),
    NoAttributeRoom, IntegrityError, Stale, StoreError.
    """
    info = version.info
    if attributes.file_type != version.file_type:
        raise ValueError("the type of a file is bound to its content")
    if info.size > limit:
        raise FileTooLarge("changing these attributes would upload a file of this size again")
    plan = cut(info, part_size)
    # The other headers of attributes are always there and displace the old ones.
    kept = {name: value for name, value in info.metadata.items() if name != "xattr"}
    options = PutOptions(
        metadata=plan.apply(kept | attribute_headers.to_metadata(attributes)),
        tags=tags,
        encryption=encryption or info.encryption,
        storage_class=info.storage_class,
        content_type=info.content_type or "application/octet-stream",
    )

    async def is_unchanged() -> None:
        now = await store.head(info.key)
        if now.etag != info.etag:
            raise Stale("another client replaced the object meanwhile")

    source = StoredVersion(store, limits, info, version)
    return await store_again(
        sender, limits, info.key, source, options, plan.part_size, is_unchanged
    )
