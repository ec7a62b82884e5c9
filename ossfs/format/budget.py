"""The 8 KB that OSS allows for all user metadata of one object.

Every part of it is bounded beforehand, so that closing a file never finds out that it does not fit:
`worst_case` is asked at mount, the bound on xattrs when one is set.
"""

from collections.abc import Mapping

from ossfs.crypto.datakey import DataKey
from ossfs.crypto.tags import INLINE_LIMIT, TAG_BYTES, chunk_count
from ossfs.format import attributes, envelope, seal
from ossfs.format.attributes import OWNER_MAX, SYMLINK_MODE, Attributes
from ossfs.format.envelope import Envelope
from ossfs.format.names import sidecar_key
from ossfs.format.xattrs import HEADER_LIMIT

METADATA_LIMIT = 8192

_HUGE = 48 << 40
_LONG_TIME = -(10**20)


def metadata_size(metadata: Mapping[str, str]) -> int:
    """Bytes that OSS counts: names with their prefix, and values."""
    return sum(len(f"x-oss-meta-{name}{value}".encode()) for name, value in metadata.items())


def worst_case(*, wrap_alg: str, wrapped_size: int, matdesc: Mapping[str, str], prefix: str) -> int:
    """The most that any file of a mount can need; *wrapped_size*: bytes of a wrapped data key.

    A mount whose result is above METADATA_LIMIT must be refused.
    """
    wrapped = bytes(wrapped_size)
    packed = envelope.to_metadata(
        Envelope(wrapped_key=wrapped, wrapped_start=wrapped, wrap_alg=wrap_alg, matdesc=matdesc),
        plain_size=_HUGE,
        part_size=_HUGE,
    )
    posix = attributes.to_metadata(
        Attributes(
            mode=SYMLINK_MODE,
            uid=OWNER_MAX,
            gid=OWNER_MAX,
            atime_ns=_LONG_TIME,
            mtime_ns=_LONG_TIME,
            ctime_ns=_LONG_TIME,
        )
    ) | {"xattr": "x" * HEADER_LIMIT}
    return metadata_size(packed | posix) + max(
        metadata_size(_seal_headers(INLINE_LIMIT, prefix)),
        metadata_size(_seal_headers(INLINE_LIMIT + 1, prefix)),
    )


def _seal_headers(size: int, prefix: str) -> dict[str, str]:
    key = DataKey(bytes(32))
    return seal.to_metadata(
        seal.make(
            key,
            file_type=SYMLINK_MODE >> 12,
            size=size,
            tags=bytes(chunk_count(size) * TAG_BYTES),
            sidecar=sidecar_key(prefix, key.sidecar_name(key.iv())),
        )
    )
