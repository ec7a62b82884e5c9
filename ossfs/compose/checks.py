"""What is found out before anything is mounted, in one line each."""

import logging
from collections.abc import Iterable

from ossfs.config.sections import MountConfig, Where
from ossfs.errors import (
    AccessDenied,
    BadCredentials,
    BucketError,
    KeyProblem,
    NoSuchBucket,
    ServerKeyRefused,
    StoreError,
    UsageError,
)
from ossfs.format.budget import METADATA_LIMIT, worst_case
from ossfs.format.names import RESERVED, object_key
from ossfs.keys.base import MasterKey
from ossfs.keys.kms import KmsMasterKey
from ossfs.store.base import ObjectStore, PutOptions, ServerEncryption
from ossfs.transfer.protection import asked_of_server

log = logging.getLogger(__name__)


async def check_bucket(store: ObjectStore, where: Where) -> ServerEncryption | None:
    """Raises BucketError, with what to do, unless the bucket can be listed.

    Returns its own rule of server-side encryption, as far as that is told.
    """
    try:
        try:
            return (await store.bucket_info()).encryption
        except BadCredentials:
            raise
        except AccessDenied:
            # A narrow policy may allow the objects but not GetBucketInfo.
            await store.list_page(f"{where.prefix}/" if where.prefix else "", max_keys=1)
            return None
    except NoSuchBucket as error:
        raise BucketError(
            f"bucket {where.bucket} does not exist at {where.endpoint}: {error}"
        ) from error
    except BadCredentials as error:
        raise BucketError(f"the credentials are not accepted: {error}") from error
    except AccessDenied as error:
        raise BucketError(
            f"no access to bucket {where.bucket}: {error}; the policy must allow oss:ListObjects"
        ) from error
    except StoreError as error:
        if not error.status:
            raise BucketError(f"no connection to {where.endpoint}: {error}") from error
        raise BucketError(f"{where.endpoint} does not answer as OSS does: {error}") from error


async def check_writers(keys: Iterable[MasterKey], config: MountConfig) -> None:
    """Raises KeyProblem if new files would be encrypted with a key of a KMS that does not work."""
    for key in keys:
        if isinstance(key, KmsMasterKey):
            await key.check(writes=not config.mount.read_only)


async def check_server_keys(store: ObjectStore, config: MountConfig) -> None:
    """Raises KeyProblem if OSS refuses a key of the KMS under which it is to encrypt new files.

    An upload is begun under each and given up, which leaves nothing. What else OSS may say to that
    is no matter of the key; it comes to light with the first file.
    """
    if config.mount.read_only:
        return
    asked = [("--sse KMS", config.server_side.asked)]
    asked += [(rule.label, rule.server) for rule in config.policies]
    key = object_key(config.where.prefix, (RESERVED, "probe"))
    for label, encryption in asked:
        if encryption is None or encryption.algorithm != "KMS":
            continue
        options = PutOptions(encryption=asked_of_server(encryption))
        try:
            await store.abort_multipart(key, await store.initiate_multipart(key, options))
        except ServerKeyRefused as error:
            name = encryption.key_id or "its own key"
            raise KeyProblem(f"{label}: OSS cannot encrypt with {name}: {error}") from error
        except StoreError as error:
            log.info("%s: not tried, since no upload can be begun: %s", label, error)


def check_metadata_room(keys: Iterable[MasterKey], prefix: str) -> None:
    """Raises UsageError where headers could exceed what OSS allows: now rather than at close."""
    needed = max(
        (
            worst_case(
                wrap_alg=key.wrap_alg,
                wrapped_size=key.wrapped_limit,
                matdesc=key.matdesc,
                prefix=prefix,
            )
            for key in keys
        ),
        default=0,
    )
    if needed > METADATA_LIMIT:
        raise UsageError(
            f"headers of a file could take {needed} bytes, OSS allows {METADATA_LIMIT}:"
            " use a shorter prefix, matdesc or RSA key"
        )
