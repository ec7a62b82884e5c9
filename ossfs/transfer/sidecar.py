"""The sidecar of a large file, where the file's server-side encryption changes and its bytes stay.

It must go along: once the former key is disabled, a sidecar under it would make the file
unreadable.
"""

from ossfs.errors import NotFound
from ossfs.format.contents import Own, classify
from ossfs.store.base import ObjectInfo, ObjectStore, PutOptions, ServerEncryption


async def restate_sidecar(
    store: ObjectStore, info: ObjectInfo, encryption: ServerEncryption | None
) -> None:
    """Have OSS encrypt the sidecar of *info*, if it has one, as its content is about to be.

    To be called first, so that a file that is as asked has a sidecar that is. Copies of the file
    on the server share it; a missing one is left to those who read. Raises IntegrityError,
    Unsupported (headers that no client writes), StoreError.
    """
    contents = classify(info.metadata, info.size)
    key = contents.seal.sidecar if isinstance(contents, Own) else None
    if key is None:
        return
    try:
        found = await store.head(key)
        if found.encryption != encryption:
            options = PutOptions(
                metadata=found.metadata,
                encryption=encryption,
                storage_class=found.storage_class,
                content_type=found.content_type or "application/octet-stream",
            )
            await store.restate(key, options, if_match=found.etag)
    except NotFound:
        return
