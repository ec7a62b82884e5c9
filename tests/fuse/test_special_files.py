"""Links, fifos and sockets, and what is refused."""

import errno
import os
import stat
from pathlib import Path

import pytest

from tests.fuse.mounting import Mount
from tests.fuse.programs import sh

pytestmark = pytest.mark.fuse


def test_symbolic_links_keep_their_targets(shared: Mount, work: Path) -> None:
    (work / "target").write_bytes(b"content")
    targets = ["target", "../elsewhere", "/etc/hostname", "ü" * 100, "x" * 4000]
    for number, target in enumerate(targets):
        (work / f"l{number}").symlink_to(target)
    shared.again()
    for number, target in enumerate(targets):
        path = work / f"l{number}"
        assert os.readlink(path) == target
        assert path.lstat().st_size == len(target.encode())
        assert stat.S_ISLNK(path.lstat().st_mode)
    assert (work / "l0").read_bytes() == b"content"
    # Like contents, targets are not to be read in the bucket.
    assert shared.bucket.stored(f"{work.name}/l1") != b"../elsewhere"
    with pytest.raises(FileExistsError):
        (work / "l0").symlink_to("other")


def test_fifos_and_sockets_are_kept_and_work(shared: Mount, work: Path) -> None:
    os.mkfifo(work / "fifo", 0o600)
    os.mknod(work / "socket", stat.S_IFSOCK | 0o640)
    os.mknod(work / "regular", stat.S_IFREG | 0o600)
    assert sh('echo through >"$1"/fifo & cat "$1"/fifo; wait', work) == "through\n"
    shared.again()
    assert stat.filemode((work / "fifo").stat().st_mode) == "prw-------"
    assert stat.filemode((work / "socket").stat().st_mode) == "srw-r-----"
    assert stat.filemode((work / "regular").stat().st_mode) == "-rw-------"


@pytest.mark.parametrize("kind", [stat.S_IFBLK, stat.S_IFCHR])
def test_devices_are_refused(work: Path, kind: int) -> None:
    with pytest.raises(PermissionError) as refused:
        os.mknod(work / "device", kind | 0o600, os.makedev(1, 3))
    assert refused.value.errno == errno.EPERM
    assert list(work.iterdir()) == []


def test_hard_links_are_refused(work: Path) -> None:
    (work / "f").touch()
    with pytest.raises(PermissionError) as refused:
        os.link(work / "f", work / "g")
    assert refused.value.errno == errno.EPERM


def test_what_is_not_supported_says_so(work: Path) -> None:
    with pytest.raises(OSError, match="not supported") as refused:
        os.open(work, os.O_TMPFILE | os.O_RDWR)
    assert refused.value.errno == errno.ENOTSUP
    (work / "f").touch()
    for mode in ("-n -l 10", "-p -l 10", "-z -l 10", "-c -l 4096", "-i -l 4096"):
        message = sh(f'fallocate {mode} "$1"/f 2>&1 || true', work)
        assert "unsupported" in message or "not supported" in message, mode
