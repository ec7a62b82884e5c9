"""What is mounted where, from /proc/self/mountinfo: it answers although a mount does not."""

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path

_ESCAPE = re.compile(r"\\([0-7]{3})")
_TABLE = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounted:
    """One mount; source is the address of the bucket for ours, uid is who made it (FUSE only)."""

    mountpoint: Path
    kind: str
    source: str
    uid: int | None

    @property
    def is_ours(self) -> bool:
        """Whether it is a mount of this program."""
        return self.kind == "fuse.ossfs"


def find_mount(path: Path) -> Mounted | None:
    """The uppermost mount at *path* itself; None if nothing is mounted there.

    *path* is looked up as it stands first, since following links asks the mount.
    """
    absolute = Path(os.path.normpath(path.absolute()))
    return _find(absolute) or _find(Path(os.path.realpath(absolute)))


def is_dead(mountpoint: Path) -> bool:
    """Whether the process behind a FUSE mount has gone.

    statfs, since the kernel answers stat from its cache for a while after that.
    """
    try:
        os.statvfs(mountpoint)
    except OSError as error:
        return error.errno == errno.ENOTCONN
    return False


def _find(path: Path) -> Mounted | None:
    found = None
    for line in os.fsdecode(_TABLE.read_bytes()).rstrip("\n").split("\n"):
        mounted = _parse(line)
        if mounted.mountpoint == path:
            found = mounted
    return found


def _parse(line: str) -> Mounted:
    """One line, as proc_pid_mountinfo(5) describes it."""
    before, _, after = line.partition(" - ")
    kind, source, options = after.split(" ")[:3]
    owner = re.search(r"(?:^|,)user_id=(\d+)", options)
    return Mounted(
        mountpoint=Path(_unescape(before.split(" ")[4])),
        kind=kind,
        source=_unescape(source),
        uid=int(owner.group(1)) if owner else None,
    )


def _unescape(text: str) -> str:
    """Space, tab, newline, backslash and # stand as octal numbers."""
    return _ESCAPE.sub(lambda match: chr(int(match.group(1), 8)), text)
