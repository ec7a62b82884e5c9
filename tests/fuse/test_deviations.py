"""What docs/semantics.md says to differ from a local file system, by its numbers."""

import errno
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuse.beside import rename
from tests.fuse.conftest import MakeMount
from tests.fuse.observing import error_of_close
from tests.fuse.oss import Bucket, Oss

pytestmark = pytest.mark.fuse

PAGE = Path(__file__).parents[2] / "docs" / "semantics.md"


def refusal(call: Callable[..., object], *arguments: object) -> str:
    """The errno that the call ends with."""
    with pytest.raises(OSError) as refused:  # noqa: PT011 - whichever it is, it is returned
        call(*arguments)
    return errno.errorcode[refused.value.errno or 0]


def file(work: Path, content: bytes = b"content") -> str:
    path = work / "f"
    path.write_bytes(content)
    return str(path)


def test_d1_there_are_no_hard_links(work: Path) -> None:
    assert refusal(os.link, file(work), work / "g") == "EPERM"


def test_d2_there_are_no_devices(work: Path) -> None:
    assert refusal(os.mknod, work / "d", stat.S_IFCHR | 0o600, os.makedev(1, 3)) == "EPERM"


def test_d3_names_are_not_exchanged(work: Path) -> None:
    path = file(work)
    (work / "g").touch()
    for flags in (2, 4):
        assert refusal(rename, path, f"{work}/g", flags) == "EINVAL"


def test_d4_there_are_no_files_without_a_name(work: Path) -> None:
    assert refusal(os.open, work, os.O_TMPFILE | os.O_RDWR) == "ENOTSUP"


def test_d5_space_is_not_reserved(work: Path) -> None:
    with open(file(work), "r+b") as opened:
        os.posix_fallocate(opened.fileno(), 0, 100_000)
        assert os.fstat(opened.fileno()).st_size == 100_000


def test_d6_holes_are_data(work: Path) -> None:
    with open(file(work), "r+b") as opened:
        opened.truncate(1 << 20)
        assert os.lseek(opened.fileno(), 0, os.SEEK_DATA) == 0
        assert os.lseek(opened.fileno(), 0, os.SEEK_HOLE) == 1 << 20
    assert os.stat(work / "f").st_blocks == 2048


def test_d7_directories_have_one_link(work: Path) -> None:
    (work / "d" / "e").mkdir(parents=True)
    assert (work / "d").stat().st_nlink == 1


def test_d8_nobody_who_writes_keeps_set_uid(work: Path) -> None:
    path = file(work)
    os.chmod(path, 0o6755)
    os.truncate(path, 3)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o755


def test_d9_reading_changes_no_times(work: Path) -> None:
    path = file(work)
    os.utime(path, ns=(5, 10**18))  # relatime would have the next read count
    Path(path).read_bytes()
    assert os.stat(path).st_atime_ns == 5


def test_d10_user_attributes_of_two_kilobytes_alone_are_kept(work: Path) -> None:
    path = file(work)
    assert refusal(os.setxattr, path, "user.large", b"x" * 2100) == "ENOSPC"
    for name in ("trusted.a", "security.a", "system.posix_acl_access"):
        assert refusal(os.getxattr, path, name) == "ENODATA"
    for name in ("trusted.a", "security.a"):
        assert refusal(os.setxattr, path, name, b"1") == "ENOTSUP"
    os.setxattr(path, "user.a", b"1", os.XATTR_CREATE | os.XATTR_REPLACE)
    before = os.stat(path)
    os.setxattr(path, "user.a", b"1")
    assert os.stat(path).st_ctime_ns == before.st_ctime_ns


def test_d11_names_are_those_that_oss_takes(bucket: Bucket, mount: MakeMount) -> None:
    top = mount(bucket).path
    assert refusal(os.mkdir, os.fsencode(top) + b"/\xff") == "EILSEQ"
    assert refusal(os.mkdir, top / ".ossfs") == "EPERM"
    assert refusal(os.mkdir, top / "\\a") == "EINVAL"
    (top / "d").mkdir()
    (top / "d" / "\\a").mkdir()
    deep = top / ("d" * 250) / ("e" * 250) / ("f" * 250)
    deep.mkdir(parents=True)
    room = 1023 - 3 * 251
    (deep / ("n" * (room - 20)) / ("x" * 19)).parent.mkdir()
    (deep / ("n" * (room - 20)) / ("x" * 19)).touch()
    assert refusal(os.mkdir, deep / ("n" * (room - 20)) / ("x" * 19 + "y")) == "ENAMETOOLONG"


def test_d12_there_is_always_space(work: Path) -> None:
    shown = os.statvfs(work)
    assert shown.f_bavail * shown.f_frsize >= 1 << 50
    assert shown.f_namemax == 255


def test_d13_close_tells_how_storing_went(oss: Oss, work: Path) -> None:
    oss.service.add_fault("op=PutObject,status=403,code=AccessDenied")
    try:
        assert error_of_close(work / "f", b"x") == errno.EACCES
    finally:
        oss.service.clear_faults()


def test_every_deviation_that_the_page_names_has_a_test_here() -> None:
    named = re.findall(r"^- \*\*D(\d+)\*\* (?!excuses )", PAGE.read_text(), re.MULTILINE)
    tested = [name.split("_")[1] for name in globals() if name.startswith("test_d")]
    assert [f"d{number}" for number in named] == tested
