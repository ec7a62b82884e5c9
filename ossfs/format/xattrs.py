"""User extended attributes as one text: JSON of name to base64, as ossfs 1.x and s3fs write it.

Names that are not UTF-8 survive as escaped lone surrogates.
"""

import urllib.parse
from collections.abc import Mapping

from ossfs.errors import NoAttributeRoom
from ossfs.format.fields import parse_base64, parse_map, print_base64, print_map

HEADER_LIMIT = 2048
TAG_LIMIT = 256


def to_header(xattrs: Mapping[bytes, bytes]) -> str:
    """The value of the header `xattr`. Raises NoAttributeRoom above 2,048 bytes."""
    text = urllib.parse.quote(_to_json(xattrs), safe="")
    if len(text) > HEADER_LIMIT:
        raise NoAttributeRoom("the extended attributes of the file take too much room")
    return text


def from_header(text: str) -> dict[bytes, bytes]:
    """The xattrs in a header. Raises ValueError."""
    return _from_json(urllib.parse.unquote(text, errors="strict"))


def to_tag(xattrs: Mapping[bytes, bytes]) -> str:
    """The value of the tag `ossfs.xattr`. Raises NoAttributeRoom above 256 characters."""
    text = print_base64(_to_json(xattrs).encode("ascii"))
    if len(text) > TAG_LIMIT:
        raise NoAttributeRoom("the extended attributes of the file do not fit into an object tag")
    return text


def from_tag(text: str) -> dict[bytes, bytes]:
    """The xattrs in a tag. Raises ValueError."""
    return _from_json(parse_base64(text).decode("utf-8"))


def _to_json(xattrs: Mapping[bytes, bytes]) -> str:
    return print_map(
        {
            name.decode("utf-8", "surrogateescape"): print_base64(value)
            for name, value in xattrs.items()
        }
    )


def _from_json(text: str) -> dict[bytes, bytes]:
    xattrs = {
        name.encode("utf-8", "surrogateescape"): parse_base64(value)
        for name, value in parse_map(text).items()
    }
    if not all(0 < len(name) <= 255 and b"\0" not in name for name in xattrs):
        raise ValueError("not the name of an extended attribute")
    return xattrs
