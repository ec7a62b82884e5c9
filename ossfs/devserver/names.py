"""What buckets, objects and user metadata may be called."""

import re
from collections.abc import Mapping

from ossfs.devserver.errors import OssError

META_PREFIX = "x-oss-meta-"
_MAX_KEY_BYTES = 1023
_MAX_META_BYTES = 8 * 1024
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_META_NAME = re.compile(r"[a-z0-9-]+")


def is_bucket_name(name: str) -> bool:
    """Whether OSS allows a bucket of that name."""
    return _BUCKET.fullmatch(name) is not None


def check_bucket(name: str) -> None:
    """Raises OssError InvalidBucketName."""
    if not is_bucket_name(name):
        raise OssError("InvalidBucketName", BucketName=name)


def key_bytes(key: str) -> bytes:
    """The key as it is stored. Raises OssError InvalidObjectName."""
    try:
        encoded = key.encode("utf-8")
    except UnicodeEncodeError:
        raise OssError("InvalidObjectName") from None
    if not 1 <= len(encoded) <= _MAX_KEY_BYTES or key[0] in "/\\":
        raise OssError("InvalidObjectName", ObjectName=key)
    return encoded


def user_metadata(headers: Mapping[str, str]) -> dict[str, str]:
    """The x-oss-meta-* among *headers*.

    Raises OssError InvalidArgument on bad names or above 8 KB.
    """
    metadata = {name: value for name, value in headers.items() if name.startswith(META_PREFIX)}
    total = 0
    for name, value in metadata.items():
        if not _META_NAME.fullmatch(name):
            raise OssError(
                "InvalidArgument", "The name of the user metadata is invalid.", ec="0011-00000002"
            )
        total += len(name) + len(value.encode("utf-8", "surrogateescape"))
    if total > _MAX_META_BYTES:
        raise OssError(
            "InvalidArgument", "The size of the user metadata exceeds 8 KB.", ec="0011-00000002"
        )
    return metadata
