"""Names of objects: which components and keys there are, and which are hidden.

    object_key("team/a", ("dir", "f"))                     # team/a/dir/f
    object_key("team/a", ("dir",), directory=True)         # team/a/dir/ : the marker
    path_of("team/a/dir/f", "team/a")                      # ("dir", "f"); so for team/a/dir/f/
    path_of("team/a/x//y", "team/a")                       # None: hidden
    sidecar_key("team/a", key.sidecar_name(iv))            # team/a/.ossfs/tags/<40 hex digits>

A prefix is "" or has no slash at its ends.
"""

import re
from collections.abc import Sequence

from ossfs.errors import InvalidArgument, NameTooLong
from ossfs.types import ObjectKey

RESERVED = ".ossfs"
"""Component that ossfs keeps for itself at every level: hidden and refused."""

NAME_MAX = 255
"""Longest component in bytes of UTF-8."""

KEY_MAX = 1023
"""Longest key in bytes of UTF-8."""

_SIDECAR_KEY = re.compile(r"(?:.+/)?\.ossfs/tags/[0-9a-f]{40}", re.ASCII | re.DOTALL)


def is_component(name: str) -> bool:
    """Whether a file or directory of the mount may have this name."""
    return (
        name not in {"", ".", "..", RESERVED}
        and "/" not in name
        and "\0" not in name
        and _encoded_length(name) <= NAME_MAX
    )


def object_key(prefix: str, path: Sequence[str], *, directory: bool = False) -> ObjectKey:
    """The key of the file at *path*, or of a directory's marker.

    Raises NameTooLong above 1,023 bytes, InvalidArgument for a key that OSS refuses: an empty one,
    or one that begins with a slash or a backslash.
    """
    key = "/".join((prefix, *path) if prefix else path) + ("/" if directory else "")
    if not key or key.startswith(("/", "\\")):
        raise InvalidArgument("OSS takes no such key")
    if _encoded_length(key) > KEY_MAX:
        raise NameTooLong("the key of the object would be longer than 1,023 bytes")
    return ObjectKey(key)


def path_of(key: str, prefix: str) -> tuple[str, ...] | None:
    """Components of the path that *key* stands for below *prefix*; None where it is hidden.

    One slash at the end (a marker, a common prefix) changes nothing; () is the root's own marker.
    """
    base = f"{prefix}/" if prefix else ""
    if not key.startswith(base):
        return None
    below = key.removeprefix(base)
    if not below:
        return ()
    path = tuple(below.removesuffix("/").split("/"))
    return path if all(map(is_component, path)) else None


def sidecar_key(prefix: str, name: str) -> ObjectKey:
    """Key of the sidecar of this name (`DataKey.sidecar_name`) in a mount of *prefix*."""
    return object_key(prefix, (RESERVED, "tags", name))


def is_sidecar_key(key: str) -> bool:
    """Whether *key* has the form that sidecars have, below any prefix."""
    return (
        _SIDECAR_KEY.fullmatch(key) is not None
        and not key.startswith(("/", "\\"))
        and "\0" not in key
        and _encoded_length(key) <= KEY_MAX
    )


def _encoded_length(text: str) -> int:
    """Bytes in UTF-8; more than any limit where a lone surrogate makes it no text."""
    try:
        return len(text.encode("utf-8"))
    except UnicodeEncodeError:
        return KEY_MAX + 1
