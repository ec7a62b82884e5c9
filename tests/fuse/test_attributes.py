"""Modes, owners, times and extended attributes: shown at once, and there after a remount."""

import errno
import os
import stat
import struct
from pathlib import Path

import oss2
import pytest

from tests.fuse.conftest import MakeMount
from tests.fuse.mounting import Mount
from tests.fuse.oss import Bucket
from tests.fuse.programs import python, sh
from tests.waiting import wait_until

pytestmark = pytest.mark.fuse

TIMES = (1_111_111_111_123_456_789, 1_222_222_222_987_654_321)
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, bits, 2**32 - 1) for tag, bits in ((1, 6), (4, 4), (32, 4))
)
"""An access control list as the kernel takes it: owner, group, others."""


def facts(path: Path) -> tuple[object, ...]:
    found = path.lstat()
    return (
        oct(found.st_mode),
        found.st_uid,
        found.st_gid,
        found.st_size,
        found.st_mtime_ns,
        found.st_atime_ns,
    )


def xattrs(path: Path) -> dict[str, bytes]:
    """The user's own, not those that ossfs shows."""
    names = [n for n in os.listxattr(path) if not n.startswith("user.ossfs.")]
    return {name: os.getxattr(path, name) for name in names}


def test_attributes_of_every_kind_of_file_survive_a_remount(shared: Mount, work: Path) -> None:
    (work / "file").write_bytes(b"content")
    (work / "empty").touch()
    (work / "dir").mkdir()
    os.mkfifo(work / "fifo")
    (work / "link").symlink_to("file")
    paths = sorted(work.iterdir())
    for number, path in enumerate(paths):
        if not path.is_symlink():
            path.chmod(0o600 + number)
        os.chown(path, 1000 + number, 2000 + number, follow_symlinks=False)
        os.utime(path, ns=(TIMES[0] + number, TIMES[1] + number), follow_symlinks=False)
    before = [facts(path) for path in paths]
    assert before[0][1:3] == (1000, 2000)
    assert before[0][4:] == (TIMES[1], TIMES[0])
    shared.again()
    assert [facts(path) for path in paths] == before
    assert (work / "file").read_bytes() == b"content"


def test_changes_of_the_same_name_in_one_second_all_count(shared: Mount, work: Path) -> None:
    path = work / "f"
    path.write_bytes(b"content")
    for mode in (0o600, 0o640, 0o755, 0o711):
        path.chmod(mode)
    os.setxattr(path, "user.a", b"1")
    path.chmod(0o604)
    shared.again()
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    assert xattrs(path) == {"user.a": b"1"}


def test_a_write_after_a_change_of_attributes_keeps_both(shared: Mount, work: Path) -> None:
    path = work / "f"
    path.write_bytes(b"one")
    path.chmod(0o640)
    os.setxattr(path, "user.kept", b"yes")
    with path.open("ab") as file:
        file.write(b" two")
    # They stand in the headers of the new version now.
    assert shared.bucket.tags(f"{work.name}/f") == {}
    shared.again()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert xattrs(path) == {"user.kept": b"yes"}
    assert path.read_bytes() == b"one two"


def test_foreign_object_tags_are_kept(shared: Mount, work: Path) -> None:
    path, key = work / "f", f"{work.name}/f"
    path.write_bytes(b"one")
    shared.bucket.client.put_object_tagging(key, tagging({"owner": "somebody"}))
    shared.again()
    path.chmod(0o600)
    sh('sync "$1"', path)
    assert shared.bucket.tags(key)["owner"] == "somebody"
    path.write_bytes(b"two")
    assert shared.bucket.tags(key) == {"owner": "somebody"}
    path.rename(work / "g")
    assert shared.bucket.tags(f"{work.name}/g") == {"owner": "somebody"}


def tagging(tags: dict[str, str]) -> object:
    rule = oss2.models.TaggingRule()
    for name, value in tags.items():
        rule.add(name, value)
    return oss2.models.Tagging(rule)


def test_times_are_those_of_what_was_done(work: Path) -> None:
    path = work / "f"
    path.write_bytes(b"content")
    made = path.stat()
    path.read_bytes()
    assert path.stat().st_atime_ns == made.st_atime_ns  # reading alone never changes it
    wait_until(lambda: now(work) > made.st_mtime_ns)
    path.chmod(0o600)
    changed = path.stat()
    assert changed.st_mtime_ns == made.st_mtime_ns
    assert changed.st_ctime_ns > made.st_ctime_ns
    with path.open("ab") as file:
        file.write(b"x")
    assert path.stat().st_mtime_ns > made.st_mtime_ns
    before = work.stat().st_mtime_ns
    (work / "g").touch()
    assert work.stat().st_mtime_ns > before
    os.utime(path, ns=TIMES)
    with path.open("rb") as file:
        file.read()
    assert path.stat().st_mtime_ns == TIMES[1]


def now(work: Path) -> int:
    """The clock that stamps files."""
    probe = work / "probe"
    probe.touch()
    return probe.stat().st_mtime_ns


def test_a_write_takes_set_uid_away(work: Path) -> None:
    path = work / "f"
    path.write_bytes(b"x")
    path.chmod(0o6755)
    assert stat.S_IMODE(path.stat().st_mode) == 0o6755
    with path.open("ab") as file:
        file.write(b"y")
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    path.chmod(0o4755)
    os.chown(path, 1000, 1000)
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


# --- extended attributes -------------------------------------------------------------------------


def test_user_xattrs_survive_a_remount_on_files_and_directories(shared: Mount, work: Path) -> None:
    (work / "f").write_bytes(b"content")
    (work / "d").mkdir()
    values = {"user.text": b"some text", "user.bytes": bytes(range(60)), "user.empty": b""}
    for path in (work / "f", work / "d"):
        for name, value in values.items():
            os.setxattr(path, name, value)
    shared.again()
    for path in (work / "f", work / "d"):
        assert xattrs(path) == values
        os.removexattr(path, "user.text")
        with pytest.raises(OSError, match="No data available"):
            os.getxattr(path, "user.text")
    shared.again()
    for path in (work / "f", work / "d"):
        assert xattrs(path) == {"user.bytes": bytes(range(60)), "user.empty": b""}
    assert (work / "f").read_bytes() == b"content"


def test_xattrs_too_large_for_a_tag_are_stored_with_the_content_again(
    shared: Mount, work: Path
) -> None:
    path = work / "f"
    content = os.urandom(100_000)
    path.write_bytes(content)
    before = shared.bucket.stored(f"{work.name}/f")
    os.setxattr(path, "user.large", b"x" * 900)
    sh('sync "$1"', path)
    assert shared.bucket.stored(f"{work.name}/f") == before  # the same ciphertext
    shared.again()
    assert xattrs(path) == {"user.large": b"x" * 900}
    assert path.read_bytes() == content


def test_xattrs_have_limits_and_flags(work: Path) -> None:
    path = work / "f"
    path.touch()
    os.setxattr(path, "user.a", b"1", os.XATTR_CREATE)
    with pytest.raises(FileExistsError):
        os.setxattr(path, "user.a", b"2", os.XATTR_CREATE)
    os.setxattr(path, "user.a", b"3", os.XATTR_REPLACE)
    with pytest.raises(OSError, match="No data available"):
        os.setxattr(path, "user.b", b"4", os.XATTR_REPLACE)
    with pytest.raises(OSError, match="No space left"):
        os.setxattr(path, "user.large", b"x" * 3000)
    with pytest.raises(OSError, match="not supported"):
        os.setxattr(path, "trusted.a", b"1")
    with pytest.raises(OSError, match="not supported"):
        os.setxattr(path, "security.a", b"1")
    with pytest.raises(OSError, match="not supported"):
        os.setxattr(path, "system.posix_acl_access", ACL)
    with pytest.raises(OSError, match="No data available"):
        os.getxattr(path, "security.capability")
    assert xattrs(path) == {"user.a": b"3"}
    (work / "link").symlink_to("f")
    with pytest.raises(PermissionError) as refused:
        os.setxattr(work / "link", "user.a", b"1", follow_symlinks=False)
    assert refused.value.errno == errno.EPERM


def test_a_small_buffer_for_an_xattr_is_erange(work: Path) -> None:
    (work / "f").touch()
    os.setxattr(work / "f", "user.a", b"12345")
    script = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
size = libc.getxattr(sys.argv[1].encode(), b"user.a", ctypes.create_string_buffer(2), 2)
print(size, ctypes.get_errno())
print(libc.getxattr(sys.argv[1].encode(), b"user.a", None, 0))
"""
    shown = python(script, work / "f")
    assert shown.split() == ["-1", str(errno.ERANGE), "5"]


def test_status_attributes_are_read_only_yet_copies_succeed(work: Path, tmp_path: Path) -> None:
    path = work / "f"
    path.write_bytes(b"content")
    etag = os.getxattr(path, "user.ossfs.etag")
    os.setxattr(path, "user.ossfs.etag", b"other")
    os.removexattr(path, "user.ossfs.etag")
    assert os.getxattr(path, "user.ossfs.etag") == etag
    os.setxattr(path, "user.ossfs.sse", b"none")
    with pytest.raises(OSError, match="Invalid argument"):
        os.setxattr(path, "user.ossfs.sse", b"aes256")
    os.setxattr(path, "user.own", b"1")
    sh('cp -a --preserve=xattr "$1"/f "$1"/copy; rsync -aX "$1"/f "$1"/synced', work)
    for name in ("copy", "synced"):
        assert xattrs(work / name) == {"user.own": b"1"}
        assert os.getxattr(work / name, "user.ossfs.object").endswith(name.encode())
    script = """
    tar --xattrs -C "$1" -cf "$2"/a.tar f
    mkdir "$1"/d
    tar --xattrs -C "$1"/d -xf "$2"/a.tar
    """
    sh(script, work, tmp_path)
    assert xattrs(work / "d" / "f") == {"user.own": b"1"}


def test_status_attributes_can_be_hidden(bucket: Bucket, mount: MakeMount) -> None:
    one = mount(bucket, "--status-xattrs=hidden")
    (one.path / "f").write_bytes(b"x")
    os.setxattr(one.path / "f", "user.a", b"1")
    assert os.listxattr(one.path / "f") == ["user.a"]
    assert os.getxattr(one.path / "f", "user.ossfs.encryption") == b"client"
