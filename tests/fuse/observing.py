"""What a mount says of its files, and what close(2) says."""

import os
from pathlib import Path

from tests.fuse.mounting import Mount


def error_of_close(path: Path, content: bytes) -> int:
    """Write a file; returns the errno of close(2), 0 if there is none."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    assert os.write(descriptor, content) == len(content)
    try:
        os.close(descriptor)
    except OSError as error:
        return error.errno or -1
    return 0


def upload_state(path: Path) -> str:
    return os.getxattr(path, "user.ossfs.upload").decode()


def pending(one: Mount) -> int:
    return int(os.getxattr(one.path, "user.ossfs.pending"))


def kernel_requests(one: Mount) -> int:
    """How often the process of a mount has read: once for each request of the kernel, and a few."""
    return _io(one, "syscr")


def answered_bytes(one: Mount) -> int:
    """Bytes that the process of a mount has written, its answers to the kernel above all."""
    return _io(one, "wchar")


def _io(one: Mount, name: str) -> int:
    lines = Path(f"/proc/{one.pid}/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)[name])
