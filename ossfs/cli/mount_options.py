"""The text behind `-o`, as people, mount(8) and fstab write it."""

import re
from collections.abc import Iterator
from pathlib import Path

from ossfs.config.resolve import TABLE
from ossfs.errors import UsageError
from ossfs.keys import private_file

_BETWEEN = re.compile(r"(?<!\\),")

_FOR_MOUNT8 = frozenset(
    {"rw", "defaults", "auto", "noauto", "user", "users", "nouser", "owner", "group", "nofail"}
    | {"_netdev", "async", "helper", "uhelper", "comment"}
)
_HOLDS_ALWAYS = frozenset({"dev", "nodev", "suid", "nosuid", "default_permissions"})
_ACCESS_TIMES = frozenset(
    {"atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime"}
    | {"strictatime", "nostrictatime", "lazytime", "nolazytime"}
)
_NOTHING_TO_DO = _FOR_MOUNT8 | _HOLDS_ALWAYS | _ACCESS_TIMES
"""Generic options that are right without anything being done.

They speak to mount(8) and systemd; or every mount here is so, whatever they say: no devices, no
set-user-id, permissions checked by the kernel; and reading never changes an access time.
"""

_GENERIC = {
    "ro": ("read-only", "on"),
    "noexec": ("no-exec", "on"),
    "exec": ("no-exec", "off"),
}
"""Generic options that have a name of their own here."""


def read_mount_options(text: str) -> Iterator[tuple[str, str]]:
    """Options of one `-o` as name and text; names with `_` for `-` are understood as well.

    A switch has the text "on". Raises UsageError if an @file cannot be read, KeyProblem if it holds
    a secret and is open to others.
    """
    for item in filter(None, _BETWEEN.split(text)):
        name, equals, value = item.replace("\\,", ",").partition("=")
        if name in _NOTHING_TO_DO or name.startswith(("x-", "X-")):
            continue
        if name in _GENERIC and not equals:
            yield _GENERIC[name]
            continue
        name = name.replace("_", "-")
        yield name, _value(name, value) if equals else "on"


def _value(name: str, value: str) -> str:
    if not value.startswith("@"):
        return value
    path = value.removeprefix("@")
    try:
        file = private_file.read(Path(path))
        text = file.content.decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise UsageError(f"-o {name}: {path} cannot be read: {reason}") from error
    if name in TABLE and TABLE[name].is_secret:
        file.require_private(name)
    return text
