"""POSIX attributes of an object: in headers as ossfs 1.x and s3fs write them, later in its tags.

    attrs = from_metadata(info.metadata, defaults, size=info.size)     # of_directory for a marker
    attrs = from_tags(tags, info.crc64, attrs)                         # only if there are tags
    headers = to_metadata(attrs)
    tags = foreign_tags(present) | to_tags(attrs, info.crc64, stored=info.metadata)

OSS refuses to change the headers of a client-side encrypted object, so changes after the upload go
to the tag `ossfs.attr` = `1:mode:uid:gid:atime:mtime:ctime:crc64`. It is valid only while crc64 is
that of the stored bytes, so that a tag written late onto another version is ignored.

What comes from the bucket is hostile: each field counts only in its strict form, else its default.
"""

import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ossfs.format import xattrs as xattr_text
from ossfs.format.fields import parse_decimal, parse_time, print_time

OWNER_MAX = (1 << 32) - 2
"""Largest uid and gid; the next number means "leave it" in chown(2)."""

SYMLINK_MODE = stat.S_IFLNK | 0o777

ATTR_TAG = "ossfs.attr"
XATTR_TAG = "ossfs.xattr"

_TAG_VERSION = "1"
_MODE_MAX = 0o177777
_CRC_MAX = (1 << 64) - 1

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """Mode (the full st_mode), owner, times in nanoseconds since 1970, and user xattrs."""

    mode: int
    uid: int
    gid: int
    atime_ns: int
    mtime_ns: int
    ctime_ns: int
    xattrs: Mapping[bytes, bytes] = field(default_factory=dict)

    @property
    def file_type(self) -> int:
        """st_mode >> 12, as the head of a seal binds it."""
        return self.mode >> 12


def from_metadata(metadata: Mapping[str, str], defaults: Attributes, *, size: int) -> Attributes:
    """The attributes of a file of *size* bytes; *defaults* for what is absent or malformed.

    The type is regular or symbolic link, and fifo or socket where the size is 0. Never raises.
    """

    def possible(mode: int) -> bool:
        special = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
        return stat.S_ISREG(mode) or mode == SYMLINK_MODE or (special and size == 0)

    return _from_headers(metadata, defaults, possible)


def of_directory(metadata: Mapping[str, str], defaults: Attributes) -> Attributes:
    """The attributes of a directory from the headers of its marker. Never raises."""
    return _from_headers(metadata, defaults, stat.S_ISDIR)


def to_metadata(attrs: Attributes) -> dict[str, str]:
    """The headers of *attrs*. Raises NoAttributeRoom if the xattrs take more than 2,048 bytes."""
    metadata = {
        "mode": str(attrs.mode),
        "uid": str(attrs.uid),
        "gid": str(attrs.gid),
        "atime": print_time(attrs.atime_ns),
        "mtime": print_time(attrs.mtime_ns),
        "ctime": print_time(attrs.ctime_ns),
    }
    if attrs.xattrs:
        metadata["xattr"] = xattr_text.to_header(attrs.xattrs)
    return metadata


def to_tags(attrs: Attributes, crc64: int, *, stored: Mapping[str, str]) -> dict[str, str]:
    """Our tags for *attrs* on the version with this *crc64* and the headers *stored*.

    `ossfs.xattr` is among them only where the xattrs differ from those in the headers. Raises
    NoAttributeRoom where a tag cannot hold them: upload the object again.
    """
    fields = (
        _TAG_VERSION,
        str(attrs.mode),
        str(attrs.uid),
        str(attrs.gid),
        print_time(attrs.atime_ns),
        print_time(attrs.mtime_ns),
        print_time(attrs.ctime_ns),
        str(crc64),
    )
    tags = {ATTR_TAG: ":".join(fields)}
    nothing: dict[bytes, bytes] = {}
    if dict(attrs.xattrs) != _read(stored, "xattr", xattr_text.from_header, nothing):
        tags[XATTR_TAG] = xattr_text.to_tag(attrs.xattrs)
    return tags


def from_tags(tags: Mapping[str, str], crc64: int | None, base: Attributes) -> Attributes:
    """*base* (from the headers) as the tags change it; *base* itself where they are not valid.

    The type of the file is the headers' alone: a tag with another one is not valid. Never raises.
    """
    try:
        attrs = _from_tag(tags[ATTR_TAG], crc64, base)
    except (KeyError, ValueError):
        return base
    xattrs = _read(tags, XATTR_TAG, xattr_text.from_tag, dict(base.xattrs))
    return replace(attrs, xattrs=xattrs)


def foreign_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that are not ours: every new tag set and every new version keeps them."""
    return {name: value for name, value in tags.items() if name not in {ATTR_TAG, XATTR_TAG}}


def _read(
    texts: Mapping[str, str], name: str, parse: Callable[[str], _Value], default: _Value
) -> _Value:
    try:
        return parse(texts[name])
    except (KeyError, ValueError):
        return default


def _from_headers(
    metadata: Mapping[str, str], defaults: Attributes, possible: Callable[[int], bool]
) -> Attributes:
    def mode(text: str) -> int:
        value = parse_decimal(text, _MODE_MAX)
        if not possible(value):
            raise ValueError("not a mode that this object can have")
        return value

    return Attributes(
        mode=_read(metadata, "mode", mode, defaults.mode),
        uid=_read(metadata, "uid", _owner, defaults.uid),
        gid=_read(metadata, "gid", _owner, defaults.gid),
        atime_ns=_read(metadata, "atime", parse_time, defaults.atime_ns),
        mtime_ns=_read(metadata, "mtime", parse_time, defaults.mtime_ns),
        ctime_ns=_read(metadata, "ctime", parse_time, defaults.ctime_ns),
        xattrs=_read(metadata, "xattr", xattr_text.from_header, dict(defaults.xattrs)),
    )


def _from_tag(text: str, crc64: int | None, base: Attributes) -> Attributes:
    version, mode_text, uid, gid, atime, mtime, ctime, crc_text = text.split(":")
    if version != _TAG_VERSION or crc64 is None or parse_decimal(crc_text, _CRC_MAX) != crc64:
        raise ValueError("not for this version of the object")
    mode = parse_decimal(mode_text, _MODE_MAX)
    if mode >> 12 != base.file_type:
        raise ValueError("not the type of the file")
    return Attributes(
        mode=mode,
        uid=_owner(uid),
        gid=_owner(gid),
        atime_ns=parse_time(atime),
        mtime_ns=parse_time(mtime),
        ctime_ns=parse_time(ctime),
    )


def _owner(text: str) -> int:
    return parse_decimal(text, OWNER_MAX)
