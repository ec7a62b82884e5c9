"""Names of all kinds, and directories of all sizes."""

import errno
import os
from pathlib import Path

import pytest

from tests.fuse.conftest import MakeMount
from tests.fuse.mounting import Mount
from tests.fuse.oss import Bucket, Oss
from tests.fuse.programs import python, sh

pytestmark = pytest.mark.fuse

NAMES = [
    " leading and trailing ",
    "new\nline",
    "tab\there",
    "quote\"and'quote",
    "back\\slash",
    "per%cent%2Fslash",
    "plus+and&amp;=?#",
    "colon:star*",
    "-dash",
    ".hidden",
    "...",
    "~",
    "ünïcödé",
    "e\u0301 and \u00e9",
    "日本語",
    "\U0001f600",
    "control\x01\x7f",
    "x" * 255,
    "ü" * 127,
]


def test_every_name_lives_through_every_operation(shared: Mount, work: Path) -> None:
    for number, name in enumerate(NAMES):
        (work / name).write_bytes(b"%d" % number)
    assert sorted(os.listdir(work)) == sorted(NAMES)
    for number, name in enumerate(NAMES):
        assert (work / name).read_bytes() == b"%d" % number
    shared.again()
    assert sorted(os.listdir(work)) == sorted(NAMES)
    for number, name in enumerate(NAMES):
        path = work / name
        assert path.read_bytes() == b"%d" % number
        path.chmod(0o600)
        path.rename(work / "other")
        (work / "other").rename(path)
        path.unlink()
        path.mkdir()
        (path / name).touch()
    assert sorted(os.listdir(work)) == sorted(NAMES)
    sh('rm -r "$1"/* "$1"/.[!.]* "$1"/...', work)
    assert os.listdir(work) == []
    assert shared.bucket.keys_below(f"{work.name}/") == [f"{work.name}/"]


def test_a_directory_of_odd_names_can_be_renamed_and_removed(shared: Mount, work: Path) -> None:
    (work / "a").mkdir()
    for name in NAMES:
        (work / "a" / name).write_bytes(name.encode())
    (work / "a").rename(work / "new\nname")
    assert {p.name: p.read_bytes() for p in (work / "new\nname").iterdir()} == {
        name: name.encode() for name in NAMES
    }
    sh('rm -r "$1"/new*', work)
    assert shared.bucket.keys_below(f"{work.name}/") == [f"{work.name}/"]


def test_a_name_above_255_bytes_is_too_long(work: Path) -> None:
    for name in ("x" * 256, "ü" * 128):
        for attempt in (Path.touch, Path.mkdir, Path.lstat):
            with pytest.raises(OSError, match="too long") as refused:
                attempt(work / name)
            assert refused.value.errno == errno.ENAMETOOLONG


def test_a_key_above_1023_bytes_is_too_long(work: Path) -> None:
    path = work
    for _ in range(5):
        path /= "d" * 200
        if len(str(path).encode()) - len(str(work.parent)) > 1000:
            break
        path.mkdir()
    with pytest.raises(OSError, match="too long") as refused:
        (path.parent / ("f" * 255)).touch()
    assert refused.value.errno == errno.ENAMETOOLONG
    (work / "f").symlink_to("x")
    with pytest.raises(OSError, match="too long"):
        (work / "f").rename(path.parent / ("f" * 255))
    assert (work / "f").is_symlink()


def test_a_name_that_is_not_utf_8_cannot_be_made_and_does_not_exist(work: Path) -> None:
    bad = os.fsencode(work) + b"/\xff\xfe"
    with pytest.raises(OSError, match="Invalid or incomplete") as refused:
        os.close(os.open(bad, os.O_CREAT | os.O_WRONLY))
    assert refused.value.errno == errno.EILSEQ
    with pytest.raises(OSError, match="Invalid or incomplete"):
        os.mkdir(bad)
    with pytest.raises(FileNotFoundError):
        os.stat(bad)
    (work / "f").touch()
    with pytest.raises(OSError, match="Invalid or incomplete"):
        os.rename(work / "f", bad)


def test_the_reserved_name_is_hidden_and_refused(shared: Mount, work: Path) -> None:
    shared.bucket.put(f"{work.name}/d/.ossfs/journal/x", b"")
    for deed in (Path.touch, Path.mkdir, os.mkfifo):
        with pytest.raises(PermissionError):
            deed(work / ".ossfs")
    assert not (work / ".ossfs").exists()
    assert os.listdir(work) == []


# --- directories ---------------------------------------------------------------------------------


def test_ten_thousand_entries_are_listed_once_each_and_asked_for_once(
    bucket: Bucket, mount: MakeMount
) -> None:
    names = {f"entry {number:05d}" for number in range(10_000)}
    bucket.fill([f"large/{name}" for name in names])
    one = mount(bucket, "--attr-ttl=60", "--negative-ttl=60")
    requests = bucket.watch()
    with os.scandir(one.path / "large") as entries:
        listed = [entry.name for entry in entries if entry.stat().st_size == 0]
    assert len(listed) == 10_000
    assert set(listed) == names
    assert requests.count("HeadObject", "large/") == 10_000
    # What is known now is not asked for again.
    requests = bucket.watch()
    assert sh('find "$1" -type f -size 0 | wc -l', one.path) == "10000\n"
    assert set(requests.counts()) <= {"ListObjectsV2"}


def test_ten_thousand_entries_are_listed_by_name_alone_with_a_request_for_each_thousand(
    bucket: Bucket, mount: MakeMount
) -> None:
    names = [f"f{number:05}" for number in range(10_000)]
    bucket.fill([f"d/{name}" for name in names])
    bucket.put("d/sub/x", b"x")
    bucket.put("d/some", b"content")
    one = mount(bucket, "--list-attrs=fast")
    requests = bucket.watch()
    with os.scandir(one.path / "d") as entries:
        found = {entry.name: (entry.is_file(), entry.inode()) for entry in entries}
    assert set(found) == {*names, "sub", "some"}
    assert [name for name, (is_file, _) in found.items() if not is_file] == ["sub"]
    assert len({number for _, number in found.values()}) == len(found)
    assert requests.count("ListObjectsV2") <= 13
    assert requests.count("HeadObject") <= 1  # for the name d itself
    # Whoever looks at one of them gets the truth, and the number that the listing told.
    status = (one.path / "d" / "some").stat()
    assert (status.st_size, status.st_ino) == (7, found["some"][1])
    assert (one.path / "d" / "some").read_bytes() == b"content"
    bucket.delete("d/f00007")
    assert not (one.path / "d" / "f00007").exists()
    assert requests.count("HeadObject") + requests.count("GetObject") < 20


def test_a_name_whose_attributes_oss_would_not_tell_is_not_missing(
    oss: Oss, bucket: Bucket, mount: MakeMount
) -> None:
    for name in ("a", "b", "c"):
        bucket.put(name, b"x")
    one = mount(bucket, "--retries=0")
    oss.service.add_fault("op=HeadObject,key=b,status=503")
    assert sorted(os.listdir(one.path)) == ["a", "b", "c"]
    with pytest.raises(OSError, match="Input/output error"):
        (one.path / "b").stat()
    oss.service.clear_faults()
    assert (one.path / "b").stat().st_size == 1


def test_a_directory_that_changes_while_it_is_read_loses_and_doubles_nothing(work: Path) -> None:
    kept = {f"kept {number}" for number in range(300)}
    for name in kept:
        (work / name).touch()
    seen = []
    with os.scandir(work) as entries:
        for number, entry in enumerate(entries):
            seen.append(entry.name)
            if number < 100:
                (work / f"new {number}").touch()
            if entry.name.startswith("new"):
                (work / entry.name).unlink(missing_ok=True)
    assert len(seen) == len(set(seen))
    assert kept <= set(seen)


def test_telldir_and_seekdir_come_back_to_the_same_entry(work: Path) -> None:
    for number in range(200):
        (work / f"f{number}").touch()
    script = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
class dirent(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64), ("len", ctypes.c_uint16),
                ("type", ctypes.c_uint8), ("name", ctypes.c_char * 256)]
libc.opendir.restype = ctypes.c_void_p
libc.readdir.restype = ctypes.POINTER(dirent)
libc.telldir.restype = ctypes.c_long
for f in (libc.readdir, libc.telldir, libc.closedir): f.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
d = libc.opendir(sys.argv[1].encode())
places = []
while True:
    at = libc.telldir(d)
    entry = libc.readdir(d)
    if not entry: break
    places.append((at, entry.contents.name))
for at, name in reversed(places):
    libc.seekdir(d, at)
    assert libc.readdir(d).contents.name == name
print(len(places))
"""
    shown = python(script, work)
    assert shown == "202\n"


def test_directories_without_a_marker_are_directories(bucket: Bucket, mount: MakeMount) -> None:
    for key in ("a/b/c/file", "a/b/other"):
        bucket.put(key, b"content")
    bucket.put("x/")
    one = mount(bucket)
    top = one.path
    found = sorted(str(p.relative_to(top)) for p in top.rglob("*"))
    assert found == ["a", "a/b", "a/b/c", "a/b/c/file", "a/b/other", "x"]
    assert (top / "a" / "b" / "c" / "file").read_bytes() == b"content"
    # One that loses its last file stays until it is removed.
    (top / "a" / "b" / "c" / "file").unlink()
    assert (top / "a" / "b" / "c").is_dir()
    one.again()
    assert (top / "a" / "b" / "c").is_dir()
    (top / "a" / "b" / "c").rmdir()
    (top / "a").rename(top / "moved")
    assert (top / "moved" / "b" / "other").read_bytes() == b"content"
    assert not (top / "a").exists()
    sh('rm -r "$1"/*', top)
    assert bucket.keys_below() == []


def test_a_directory_that_is_not_empty_is_not_removed(shared: Mount, work: Path) -> None:
    (work / "d").mkdir()
    # A file that is not stored yet counts all the same.
    with (work / "d" / "f").open("wb"), pytest.raises(OSError, match="not empty"):
        (work / "d").rmdir()
    (work / "d" / "f").unlink()
    shared.bucket.put(f"{work.name}/d/foreign", b"")
    with pytest.raises(OSError, match="not empty"):
        (work / "d").rmdir()
    shared.bucket.delete(f"{work.name}/d/foreign")
    (work / "d").rmdir()


def test_a_deep_tree_is_made_listed_renamed_and_removed(shared: Mount, work: Path) -> None:
    depth = 80
    script = """
cd "$1"; mkdir -p "$2"
p=.; for d in $(echo "$2" | tr / ' '); do p=$p/$d; echo $p >$p/file; done
"""
    deep = "/".join(f"d{number}" for number in range(depth))
    sh(script, work, deep)
    assert len(list(work.rglob("file"))) == depth
    requests = shared.bucket.watch()
    (work / "d0").rename(work / "renamed")
    assert requests.count("CopyObject") == 2 * depth
    assert len(list(work.rglob("file"))) == depth
    assert (work / "renamed" / deep.partition("/")[2] / "file").read_text() == f"./{deep}\n"
    sh('rm -r "$1"/renamed', work)
    assert shared.bucket.keys_below(f"{work.name}/") == [f"{work.name}/"]


def test_a_whole_tree_is_renamed_with_open_and_unstored_files_in_it(
    shared: Mount, work: Path
) -> None:
    (work / "a" / "sub").mkdir(parents=True)
    for number in range(50):
        (work / "a" / "sub" / f"f{number}").write_bytes(b"%d" % number)
    with (
        (work / "a" / "sub" / "new").open("wb", buffering=0) as writer,
        (work / "a" / "sub" / "f7").open("rb", buffering=0) as reader,
    ):
        writer.write(b"one ")
        (work / "a").rename(work / "b")
        writer.write(b"two")
        assert reader.read() == b"7"
    assert (work / "b" / "sub" / "new").read_bytes() == b"one two"
    assert len(os.listdir(work / "b" / "sub")) == 51
    assert shared.bucket.keys_below(f"{work.name}/a") == []
    shared.again()
    assert (work / "b" / "sub" / "f49").read_bytes() == b"49"


def test_renames_over_directories_follow_posix(work: Path) -> None:
    for name in ("full", "empty", "source"):
        (work / name).mkdir()
    (work / "full" / "f").touch()
    (work / "source" / "s").touch()
    (work / "file").touch()
    for target, expected in (
        ("full", errno.ENOTEMPTY),
        ("file", errno.ENOTDIR),
        ("source/below", errno.EINVAL),
    ):
        with pytest.raises(OSError, match=r"Errno") as refused:
            (work / "source").rename(work / target)
        assert refused.value.errno == expected
    with pytest.raises(IsADirectoryError):
        (work / "file").rename(work / "empty")
    (work / "source").rename(work / "empty")
    assert os.listdir(work / "empty") == ["s"]
    assert sorted(os.listdir(work)) == ["empty", "file", "full"]


def test_renameat2_flags(work: Path) -> None:
    (work / "a").write_bytes(b"a")
    (work / "b").write_bytes(b"b")
    script = """
    import ctypes, sys
    libc = ctypes.CDLL(None, use_errno=True)
    a, b, c = (f"{sys.argv[1]}/{name}".encode() for name in "abc")
    for source, target, flags in ((a, b, 1), (a, b, 2), (a, b, 4), (a, c, 1)):
        print(libc.renameat2(-100, source, -100, target, flags) and ctypes.get_errno())
    """
    shown = python(script, work)
    assert shown.split() == [str(errno.EEXIST), str(errno.EINVAL), str(errno.EINVAL), "0"]
    assert sorted(os.listdir(work)) == ["b", "c"]


def test_a_prefix_is_a_world_of_its_own(bucket: Bucket, mount: MakeMount) -> None:
    bucket.put("team/a/inside", b"in")
    bucket.put("team/ab/outside", b"out")
    bucket.put("outside", b"out")
    one = mount(bucket, prefix="team/a")
    assert os.listdir(one.path) == ["inside"]
    (one.path / "new").touch()
    assert "team/a/new" in bucket.keys_below()
    (one.path / "inside").unlink()
    (one.path / "new").unlink()
    one.again()
    assert os.listdir(one.path) == []
