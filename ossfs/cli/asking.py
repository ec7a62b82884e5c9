"""One question to OSS from beginning to end, for commands that need no mount."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from ossfs.config.address import BucketUrl
from ossfs.config.resolve import Written, resolve_service
from ossfs.errors import BucketError, CommandError, NoSuchBucket, NotFound, StoreError

if TYPE_CHECKING:
    from ossfs.store.oss import OssStore

T = TypeVar("T")


def ask_bucket(
    url: str, bucket: str, own: Written, call: Callable[["OssStore"], Awaitable[T]]
) -> T:
    """What *call* makes of the bucket; *url*: how errors name what was asked for.

    Raises UsageError, BucketError; CommandError where there is no such object.
    """
    where, connection = resolve_service(BucketUrl(bucket, ""), own)
    # Only a command that asks OSS needs the client, which takes a while to load.
    from ossfs.compose.clients import close, open_store  # noqa: PLC0415
    from ossfs.compose.process import run_loop  # noqa: PLC0415

    async def ask() -> T:
        store = open_store(where, connection)
        try:
            return await call(store)
        finally:
            await close(store)

    try:
        return run_loop(ask)
    except NoSuchBucket as error:
        raise BucketError(f"{url}: {error}") from error
    except NotFound:
        raise CommandError(f"{url} does not exist") from None
    except StoreError as error:
        raise BucketError(f"{url}: {error}") from error
