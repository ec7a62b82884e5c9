"""What the kernel remembers, what it asks all the same, and when it must let go.

Requests of the kernel are counted by the system calls of the process that answers them.
"""

import errno
import mmap
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuse.conftest import MakeMount
from tests.fuse.mounting import Mount, Place, run
from tests.fuse.observing import answered_bytes, kernel_requests, upload_state
from tests.fuse.oss import Bucket, Oss
from tests.waiting import wait_until

pytestmark = pytest.mark.fuse

MIB = 1 << 20
TIMES = 40


@pytest.fixture(scope="module")
def forgetful(place: Place, oss: Oss) -> Iterator[Mount]:
    """A mount in which names and attributes are good for no time."""
    one = Mount(place, oss.new_bucket(), "--attr-ttl=0", "--negative-ttl=0")
    try:
        yield one.start()
        one.end()
    finally:
        one.clean_up()


# --- names and attributes --------------------------------------------------------------------


def test_names_absences_and_attributes_are_remembered_for_their_time(
    shared: Mount, work: Path
) -> None:
    (work / "f").write_bytes(b"x")
    assert not (work / "absent").exists()
    before = kernel_requests(shared)
    for _ in range(TIMES):
        assert not (work / "absent").exists()
        assert (work / "f").stat().st_size == 1
    assert kernel_requests(shared) - before < TIMES // 2


def test_names_absences_and_attributes_without_a_time_are_asked_for_each_time(
    forgetful: Mount,
) -> None:
    path = forgetful.path / "f"
    for number in range(5):
        assert not path.exists()
        forgetful.bucket.put("f", b"x" * number)
        assert path.stat().st_size == number
        forgetful.bucket.delete("f")


def test_a_name_that_is_made_here_ends_its_absence_at_once(work: Path) -> None:
    for number in range(5):
        path = work / str(number)
        assert not path.exists()
        path.touch()
        assert path.exists()
        path.unlink()
        assert not path.exists()


# --- pages -------------------------------------------------------------------------------------


def test_pages_stay_with_the_kernel_while_the_version_stays(shared: Mount, work: Path) -> None:
    content = os.urandom(2 * MIB)
    (work / "f").write_bytes(content)
    assert (work / "f").read_bytes() == content
    before = answered_bytes(shared)
    for _ in range(5):
        assert (work / "f").read_bytes() == content
    assert answered_bytes(shared) - before < MIB


def test_pages_of_what_was_renamed_here_stay_too(shared: Mount, work: Path) -> None:
    content = os.urandom(MIB)
    (work / "f").write_bytes(content)
    assert (work / "f").read_bytes() == content
    (work / "f").rename(work / "g")
    before = answered_bytes(shared)
    assert (work / "g").read_bytes() == content
    assert answered_bytes(shared) - before < MIB // 2


def test_another_version_is_seen_whole_by_the_open_that_finds_it(shared: Mount, work: Path) -> None:
    path, key = work / "f", f"{work.name}/f"
    path.write_bytes(b"a" * 5000)
    for content in (b"b" * 5000, b"c" * 3, b"d" * 100_000, b""):
        path.read_bytes()
        path.stat()
        shared.bucket.put(key, content)
        descriptor = os.open(path, os.O_RDONLY)
        # Within their time: size and pages were dropped before the answer to open().
        assert os.fstat(descriptor).st_size == len(content)
        assert os.pread(descriptor, 200_000, 0) == content
        if content:
            with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as mapping:
                assert mapping[:] == content
        os.close(descriptor)


# --- extended attributes -------------------------------------------------------------------------


def test_names_outside_of_user_are_answered_from_memory(shared: Mount, work: Path) -> None:
    path = work / "f"
    path.write_bytes(b"content")
    requests, logged = shared.bucket.watch(), len(shared.log)
    with pytest.raises(OSError, match="No data available"):
        os.getxattr(path, "security.capability")
    for name in ("security.a", "security.selinux", "trusted.a", "other.a"):
        for call in (os.getxattr, os.removexattr):
            with pytest.raises(OSError, match=r"\[Errno") as refused:
                call(path, name)
            assert refused.value.errno in {errno.ENODATA, errno.ENOTSUP}
        with pytest.raises(OSError, match="not supported") as refused:
            os.setxattr(path, name, b"1")
        assert refused.value.errno == errno.ENOTSUP
    assert requests.counts() == {}
    assert shared.log[logged:] == ""


def test_the_question_before_each_write_costs_no_request_of_oss(shared: Mount, work: Path) -> None:
    requests = shared.bucket.watch()
    with (work / "f").open("wb", buffering=0) as file:
        before = kernel_requests(shared)
        for _ in range(TIMES):
            file.write(b"x")
        # security.capability, then the write itself.
        assert kernel_requests(shared) - before >= 2 * TIMES
    assert requests.counts() == {"PutObject": 1}


# --- what is stored, and when -------------------------------------------------------------------


def test_what_no_close_follows_is_stored_before_it_returns(shared: Mount, work: Path) -> None:
    def stored(name: str) -> bytes:
        return shared.bucket.stored(f"{work.name}/{name}")

    os.mknod(work / "node", stat.S_IFREG | 0o600)
    assert stored("node") == b""
    os.mkfifo(work / "fifo")
    assert stored("fifo") == b""
    os.symlink("target", work / "link")
    assert len(stored("link")) == 6
    (work / "f").write_bytes(b"content")
    for size in (100, 3):
        os.truncate(work / "f", size)
        assert len(stored("f")) == size
    descriptor = os.open(work / "f", os.O_RDONLY | os.O_TRUNC)
    assert stored("f") == b""
    os.close(descriptor)


@pytest.mark.parametrize("deed", ["create", "O_TRUNC", "ftruncate"])
def test_a_close_stores_what_was_changed_without_a_write(
    shared: Mount, work: Path, deed: str
) -> None:
    path, key = work / "f", f"{work.name}/f"
    if deed != "create":
        path.write_bytes(b"content")
    flags = {"create": os.O_CREAT, "O_TRUNC": os.O_TRUNC, "ftruncate": 0}[deed]
    descriptor = os.open(path, os.O_WRONLY | flags, 0o644)
    requests = shared.bucket.watch()
    if deed == "ftruncate":
        os.ftruncate(descriptor, 2)
    assert requests.counts() == {}
    os.close(descriptor)
    assert requests.count("PutObject") == 1
    assert len(shared.bucket.stored(key)) == (2 if deed == "ftruncate" else 0)


def test_a_mapping_that_ends_with_the_mount_is_stored(
    oss: Oss, bucket: Bucket, mount: MakeMount
) -> None:
    one = mount(bucket)
    (one.path / "f").write_bytes(bytes(5000))
    with (one.path / "f").open("r+b") as file:
        mapping = mmap.mmap(file.fileno(), 0)
    mapping[:5] = b"last!"
    oss.service.add_fault("op=PutObject,key=f,delay=700")
    mapping.close()
    assert run("fusermount3", "-u", str(one.path)).returncode == 0
    assert one.wait() == 0
    one.start()
    assert (one.path / "f").read_bytes() == b"last!" + bytes(4995)


def test_a_writer_that_is_killed_while_it_closes_has_its_data_stored(
    oss: Oss, shared: Mount, work: Path
) -> None:
    oss.service.add_fault("op=PutObject,key=*/slow,delay=1000,times=1")
    script = "import sys; open(sys.argv[1], 'wb').write(b'all of it')"
    writer = subprocess.Popen([sys.executable, "-c", script, work / "slow"])
    wait_until(lambda: (work / "slow").exists() and upload_state(work / "slow") == "uploading")
    writer.send_signal(signal.SIGKILL)
    writer.wait(10)
    wait_until(lambda: upload_state(work / "slow") == "clean")
    shared.again()
    assert (work / "slow").read_bytes() == b"all of it"
