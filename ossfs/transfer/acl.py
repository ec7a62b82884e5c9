"""The ACL of an object's own, which new versions and copies drop unless it is restated."""

from ossfs.errors import AccessDenied, RefusedByServer
from ossfs.store.base import ObjectInfo, ObjectStore


async def own_acl(store: ObjectStore, info: ObjectInfo) -> str | None:
    """The ACL that a new version must restate; None too where nobody may know it.

    Raises NotFound, StoreError.
    """
    try:
        acl = await store.get_acl(info.key)
    except (AccessDenied, RefusedByServer):
        return None
    return None if acl == "default" else acl
