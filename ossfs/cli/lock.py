"""The lock that one process holds for as long as it serves a mount.

It is a flock on a file of the mount's state directory: a process that dies lets go of it, a forked
child keeps it.
"""

import fcntl
import os

from ossfs.config.state import MountState
from ossfs.errors import MountPointError, UsageError


def acquire(state: MountState) -> int:
    """Take the lock, making the state directory (mode 0700); returns the descriptor that holds it.

    Raises MountPointError if a live process has it, UsageError if the directory cannot be made.
    """
    try:
        state.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(state.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"--state-dir: {error.filename}: {error.strerror}") from error
    if not _try(descriptor):
        owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "?"
        os.close(descriptor)
        raise MountPointError(
            f"process {owner} still serves this bucket and prefix at this mount point"
        )
    return descriptor


def write_owner(descriptor: int) -> None:
    """Note the calling process in the lock file, for whoever finds it held."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def is_held(state: MountState) -> bool:
    """Whether a live process serves the mount."""
    try:
        descriptor = os.open(state.lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _try(descriptor)
    finally:
        os.close(descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
