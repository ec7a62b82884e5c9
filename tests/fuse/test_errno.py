"""close() tells the truth; what could not be stored stays, is shown, and is stored later."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fuse.conftest import MakeMount
from tests.fuse.mounting import Mount, Place
from tests.fuse.observing import error_of_close, pending, upload_state
from tests.fuse.oss import Bucket, Oss
from tests.fuse.programs import sh
from tests.waiting import wait_until

pytestmark = pytest.mark.fuse


@pytest.fixture(scope="module")
def shared(place: Place, oss: Oss) -> Iterator[Mount]:
    """A mount that soon gives up."""
    one = Mount(place, oss.new_bucket(), "--retries=0", "--timeout=2")
    try:
        yield one.start()
        one.end()
    finally:
        one.clean_up()


@pytest.fixture
def fault(oss: Oss, work: Path) -> Iterator[Callable[[str], None]]:
    """Orders a fault for keys in the directory of the test."""

    def order(rule: str) -> None:
        oss.service.add_fault(f"key={work.name}/*,{rule}")

    yield order
    oss.service.clear_faults()


def stored(shared: Mount, work: Path) -> list[str]:
    """Names that the bucket holds in the directory of the test, but for its marker."""
    below = f"{work.name}/"
    return [key.removeprefix(below) for key in shared.bucket.keys_below(below) if key != below]


Fault = Callable[[str], None]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("op=PutObject,status=503", errno.EIO),
        ("op=PutObject,status=500", errno.EIO),
        ("op=PutObject,drop=before", errno.EIO),
        ("op=PutObject,code=AccessDenied,status=403", errno.EACCES),
        ("op=PutObject,delay=2500,status=503", errno.ETIMEDOUT),
        ("op=PutObject,status=400,code=InvalidArgument", errno.EIO),
    ],
)
def test_close_gives_the_true_errno_and_the_data_is_stored_later(
    oss: Oss, shared: Mount, work: Path, fault: Fault, rule: str, expected: int
) -> None:
    path = work / "f"
    fault(rule)
    assert error_of_close(path, b"precious") == expected
    assert stored(shared, work) == []
    # It is what this mount shows, and it says so.
    assert path.read_bytes() == b"precious"
    assert path.stat().st_size == 8
    assert upload_state(path).startswith(("failed: ", "uploading"))
    assert pending(shared) == 1
    assert os.listdir(work) == ["f"]

    oss.service.clear_faults()
    wait_until(lambda: upload_state(path) == "clean")
    assert pending(shared) == 0
    assert stored(shared, work) == ["f"]
    assert path.read_bytes() == b"precious"


def test_what_was_stored_late_is_there_after_a_remount(
    oss: Oss, shared: Mount, work: Path, fault: Fault
) -> None:
    fault("op=PutObject,status=503")
    assert error_of_close(work / "f", b"precious") == errno.EIO
    oss.service.clear_faults()
    shared.again()
    assert (work / "f").read_bytes() == b"precious"


def test_a_failed_multipart_upload_leaves_nothing_and_is_repeated(
    oss: Oss, shared: Mount, work: Path, fault: Fault
) -> None:
    content = os.urandom(20_000_000)
    fault("op=UploadPart,skip=1,status=503")
    assert error_of_close(work / "f", content) == errno.EIO
    assert stored(shared, work) == []
    assert (work / "f").read_bytes() == content
    oss.service.clear_faults()
    sh('sync "$1"', work / "f")
    assert upload_state(work / "f") == "clean"
    assert shared.bucket.client.list_multipart_uploads().upload_list == []
    assert (work / "f").read_bytes() == content


def test_the_next_close_and_fsync_try_at_once(
    oss: Oss, shared: Mount, work: Path, fault: Fault
) -> None:
    path = work / "f"
    fault("op=PutObject,status=503")
    assert error_of_close(path, b"one") == errno.EIO
    with path.open("ab") as file:
        file.write(b" two")
        file.flush()
        with pytest.raises(OSError, match="Input/output"):
            os.fsync(file.fileno())
        oss.service.clear_faults()
        os.fsync(file.fileno())
        assert upload_state(path) == "clean"
    assert stored(shared, work) == ["f"]
    assert path.read_bytes() == b"one two"


def test_fsync_gives_the_true_errno(oss: Oss, work: Path, fault: Fault) -> None:
    fault("op=PutObject,code=AccessDenied,status=403")
    descriptor = os.open(work / "f", os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, b"x")
        with pytest.raises(PermissionError):
            os.fsync(descriptor)
        oss.service.clear_faults()
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def test_an_old_version_stays_until_the_new_one_is_whole(
    oss: Oss, shared: Mount, work: Path, fault: Fault
) -> None:
    path, key = work / "f", f"{work.name}/f"
    path.write_bytes(b"the old version")
    before = shared.bucket.stored(key)
    fault("op=PutObject,status=503")
    assert error_of_close(path, b"new") == errno.EIO
    assert shared.bucket.stored(key) == before
    assert path.read_bytes() == b"new"
    oss.service.clear_faults()
    wait_until(lambda: upload_state(path) == "clean")
    assert shared.bucket.stored(key) != before


def test_a_file_that_could_not_be_stored_can_be_removed(
    oss: Oss, shared: Mount, work: Path, fault: Fault
) -> None:
    fault("op=PutObject,status=503")
    assert error_of_close(work / "f", b"unwanted") == errno.EIO
    (work / "f").unlink()
    oss.service.clear_faults()
    assert pending(shared) == 0
    assert stored(shared, work) == []


def test_a_file_that_could_not_be_stored_can_be_renamed(
    oss: Oss, shared: Mount, work: Path, fault: Fault
) -> None:
    fault("op=PutObject,status=503")
    assert error_of_close(work / "f", b"content") == errno.EIO
    (work / "f").rename(work / "g")
    assert (work / "g").read_bytes() == b"content"
    oss.service.clear_faults()
    wait_until(lambda: upload_state(work / "g") == "clean")
    assert stored(shared, work) == ["g"]


def test_umount_says_what_it_cannot_store_and_stays_mounted_until_it_can(
    oss: Oss, bucket: Bucket, mount: MakeMount
) -> None:
    one = mount(bucket, "--retries=0")
    oss.service.add_fault("op=PutObject,key=[ab],status=503")
    for name in "ab":
        assert error_of_close(one.path / name, b"x") == errno.EIO
    (one.path / "c").write_bytes(b"stored")
    refused = one.umount()
    assert refused.returncode == 6
    lines = refused.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["a", "b", "ossfs"]
    assert "503" in lines[0]
    assert lines[2].endswith("2 not stored, named above; still mounted")
    assert one.is_mounted
    assert (one.path / "a").read_bytes() == b"x"

    # One that takes its time is given up when the user says so.
    oss.service.clear_faults()
    oss.service.add_fault("op=PutObject,key=[ab],delay=3000")
    refused = one.umount("--timeout=0.2")
    assert refused.returncode == 6
    assert one.is_mounted

    oss.service.clear_faults()
    one.end()
    assert bucket.keys_below() == ["a", "b", "c"]


def test_truncate_by_path_tells_the_truth(oss: Oss, work: Path, fault: Fault) -> None:
    path = work / "f"
    path.write_bytes(b"content")
    fault("op=PutObject,status=503")
    with pytest.raises(OSError, match="Input/output"):
        os.truncate(path, 3)
    oss.service.clear_faults()
    wait_until(lambda: upload_state(path) == "clean")
    assert path.read_bytes() == b"con"


def test_names_that_could_not_be_made_are_not_there(
    oss: Oss, shared: Mount, work: Path, fault: Fault
) -> None:
    fault("op=PutObject,code=AccessDenied,status=403")
    for program in ("mkdir", "ln -s x", "mkfifo", "truncate -s 0"):
        message = sh(f'{program} "$1"/new 2>&1 || true', work)
        assert "Permission denied" in message, program
    # A file that was created and could not be stored is there; what must be stored at once is not.
    assert os.listdir(work) == ["new"]
    (work / "new").unlink()
    oss.service.clear_faults()
    (work / "d").mkdir()
    (work / "l").symlink_to("x")
    assert stored(shared, work) == ["d/", "l"]


@pytest.mark.parametrize(("operation", "content"), [("GetObject", b"x"), ("HeadObject", b"")])
def test_a_request_that_fails_costs_that_request_alone(
    oss: Oss, work: Path, fault: Fault, operation: str, content: bytes
) -> None:
    (work / "f").write_bytes(content)
    fault(f"op={operation},status=503")
    with pytest.raises(OSError, match="Input/output"):
        (work / "f").read_bytes()
    oss.service.clear_faults()
    assert (work / "f").read_bytes() == content


def test_a_listing_that_fails_is_an_error_and_not_an_empty_directory(
    oss: Oss, bucket: Bucket, mount: MakeMount
) -> None:
    one = mount(bucket, "--retries=0")
    bucket.put("d/f", b"content")
    oss.service.add_fault("op=ListObjectsV2,status=503")
    with pytest.raises(OSError, match="Input/output"):
        os.listdir(one.path)
    oss.service.clear_faults()
    assert os.listdir(one.path) == ["d"]


def test_a_rename_that_fails_leaves_everything_as_it_was(
    oss: Oss, shared: Mount, work: Path, fault: Fault
) -> None:
    (work / "d").mkdir()
    (work / "d" / "f").write_bytes(b"f")
    (work / "g").write_bytes(b"g")
    for rule, expected in (("status=503", "Input/output"), ("code=AccessDenied", "denied")):
        fault(f"op=CopyObject,{rule}")
        for source, target in (("g", "h"), ("g", "d/f"), ("d", "e")):
            with pytest.raises(OSError, match=expected):
                (work / source).rename(work / target)
        oss.service.clear_faults()
        assert stored(shared, work) == ["d/", "d/f", "g"]
        assert (work / "d" / "f").read_bytes() == b"f"
        assert (work / "g").read_bytes() == b"g"
    (work / "d").rename(work / "e")
    assert (work / "e" / "f").read_bytes() == b"f"
