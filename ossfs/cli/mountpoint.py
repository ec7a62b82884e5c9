"""Whether a directory can be mounted on, found out before the mount goes to the background."""

import errno
import os
import shutil
import stat
from pathlib import Path

from ossfs.cli.mount_table import find_mount, is_dead
from ossfs.config.sections import MountOptions
from ossfs.errors import MountPointError, UsageError

_DEVICE = Path("/dev/fuse")
_FUSE_CONF = Path("/etc/fuse.conf")


def resolve_mountpoint(text: str) -> Path:
    """The absolute path of the mount point, links resolved; a dead mount stands in no way."""
    if not text:
        raise MountPointError("the mount point has no name")
    return Path(os.path.realpath(text))


def check_mountpoint(path: Path, options: MountOptions) -> None:
    """Raises MountPointError with the remedy, UsageError for an option that cannot work here."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise _unreachable(path, error) from error
    if not stat.S_ISDIR(mode):
        raise MountPointError(f"{path} is not a directory")
    mounted = find_mount(path)
    if mounted is not None and is_dead(path):
        raise _dead(path)
    if mounted is not None:
        raise MountPointError(
            f"{path} is busy: {mounted.source} is mounted there; `ossfs umount {path}` ends that"
        )
    if not options.nonempty and _has_entries(path):
        raise MountPointError(f"{path} is not empty; --nonempty mounts over what is there")
    _check_fuse(path, options)


def _unreachable(path: Path, error: OSError) -> MountPointError:
    if error.errno == errno.ENOENT:
        return MountPointError(f"{path} does not exist; make it with `mkdir -p {path}`")
    if error.errno == errno.ENOTCONN:
        return _dead(path)
    return MountPointError(f"{path}: {error.strerror}")


def _dead(path: Path) -> MountPointError:
    return MountPointError(
        f"{path} holds a mount whose process has died; `ossfs umount {path}` clears it"
    )


def _has_entries(path: Path) -> bool:
    try:
        with os.scandir(path) as entries:
            return next(entries, None) is not None
    except OSError as error:
        raise MountPointError(f"{path}: {error.strerror}") from error


def _check_fuse(path: Path, options: MountOptions) -> None:
    if not _DEVICE.exists():
        raise MountPointError(
            f"{_DEVICE} is missing: `modprobe fuse`, or give the container the device"
        )
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        raise MountPointError(f"{_DEVICE} is closed to this user: `chmod 666 {_DEVICE}` as root")
    if os.geteuid() == 0:
        return
    if shutil.which("fusermount3") is None:
        raise MountPointError("fusermount3 is missing: install the package fuse3")
    if not os.access(path, os.W_OK):
        raise MountPointError(
            f"{path} is not writable, which a mount by a user other than root needs"
        )
    if options.allow_other and not _user_allow_other():
        raise UsageError(f"--allow-other: {_FUSE_CONF} must have the line user_allow_other")


def _user_allow_other() -> bool:
    try:
        lines = _FUSE_CONF.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.strip() == "user_allow_other" for line in lines)
