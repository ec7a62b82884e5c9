"""`--kernel-writeback`: the kernel gathers writes, and what it believes stays true.

It keeps its own size and times of every file that it knows, reads around what is written through
any descriptor, and says where an append goes.
"""

import mmap
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuse.conftest import MakeMount
from tests.fuse.mounting import Mount, Place
from tests.fuse.observing import kernel_requests, upload_state
from tests.fuse.oss import Bucket, Oss
from tests.fuse.programs import sh
from tests.fuse.test_exerciser import OPERATIONS, SEED, Exerciser
from tests.waiting import wait_until

pytestmark = pytest.mark.fuse


@pytest.fixture(scope="module")
def gathering(place: Place, oss: Oss) -> Iterator[Mount]:
    """A mount that lets the kernel gather writes and trusts no attributes that it knows itself."""
    one = Mount(place, oss.new_bucket(), "--kernel-writeback", "--attr-ttl=0", "--negative-ttl=0")
    try:
        yield one.start()
        one.end()
    finally:
        one.clean_up()


@pytest.fixture
def folder(gathering: Mount, request: pytest.FixtureRequest) -> Path:
    made: Path = gathering.path / re.sub(r"\W+", "-", request.node.name)[-100:]
    made.mkdir()
    return made


def test_small_writes_arrive_together_and_close_stores_them_once(
    bucket: Bucket, mount: MakeMount
) -> None:
    one = mount(bucket, "--kernel-writeback")
    requests = bucket.watch()
    with (one.path / "f").open("wb", buffering=0) as file:
        before = kernel_requests(one)
        for number in range(2000):
            file.write(b"%d\n" % number)
        # Each write still asks for security.capability, which is answered from memory.
        assert kernel_requests(one) - before < 2100
    assert upload_state(one.path / "f") == "clean"
    assert requests.count("PutObject") == 1
    one.again()
    assert (one.path / "f").read_text() == "".join(f"{number}\n" for number in range(2000))


def test_fsync_stores_what_the_kernel_holds(gathering: Mount, folder: Path) -> None:
    with (folder / "f").open("wb", buffering=0) as file:
        file.write(b"x" * 5000)
        os.fsync(file.fileno())
        assert len(gathering.bucket.stored(f"{folder.name}/f")) == 5000
        file.write(b"y")
    assert len(gathering.bucket.stored(f"{folder.name}/f")) == 5001


def test_a_piece_is_written_into_a_page_through_a_descriptor_that_only_writes(
    gathering: Mount, folder: Path
) -> None:
    content = bytearray(os.urandom(50_000))
    (folder / "f").write_bytes(content)
    gathering.again()
    descriptor = os.open(folder / "f", os.O_WRONLY)
    os.pwrite(descriptor, b"piece", 10_003)
    os.close(descriptor)
    content[10_003:10_008] = b"piece"
    gathering.again()
    assert (folder / "f").read_bytes() == content


def test_appends_go_where_the_kernel_says(gathering: Mount, folder: Path) -> None:
    script = """
    for writer in 1 2 3; do
        (for i in $(seq 30); do echo "writer $writer line $i"; done >>"$1"/log) &
    done
    wait
    """
    sh(script, folder)
    gathering.again()
    expected = sorted(f"writer {w} line {i}" for w in range(1, 4) for i in range(1, 31))
    assert sorted((folder / "log").read_text().splitlines()) == expected
    with (folder / "log").open("ab", buffering=0) as file:
        file.write(b"after a remount\n")
    gathering.again()
    assert (folder / "log").read_text().splitlines()[90:] == ["after a remount"]


def test_a_mapping_is_stored_by_msync_and_after_its_end(gathering: Mount, folder: Path) -> None:
    path = folder / "f"
    path.write_bytes(bytes(10_000))
    with path.open("r+b") as file:
        mapping = mmap.mmap(file.fileno(), 0)
    mapping[:5] = b"first"
    mapping.flush()
    size = len(gathering.bucket.stored(f"{folder.name}/f"))
    requests = gathering.bucket.watch()
    mapping[5000:5004] = b"last"
    mapping.close()
    wait_until(lambda: requests.count("PutObject") and upload_state(path) == "clean")
    gathering.again()
    content = path.read_bytes()
    assert (content[:5], content[5000:5004], len(content), size) == (
        *(b"first", b"last"),
        *(10_000, 10_000),
    )


@pytest.mark.parametrize("size", [0, 10, 200_000])
def test_what_another_client_stored_is_another_file_with_its_own_size(
    gathering: Mount, folder: Path, size: int
) -> None:
    path, key, old = folder / "f", f"{folder.name}/f", b"o" * 100_000
    path.write_bytes(old)
    with path.open("rb", buffering=0) as reader:
        number = os.fstat(reader.fileno()).st_ino
        assert path.read_bytes() == old
        gathering.bucket.put(key, b"n" * size)
        assert path.read_bytes() == b"n" * size
        status = path.stat()
        assert (status.st_size, status.st_ino != number) == (size, True)
        # The old handle shows no zeros where the new version ends.
        os.posix_fadvise(reader.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        with pytest.raises(OSError, match="Stale"):
            os.pread(reader.fileno(), 100, 50_000)
    with path.open("ab") as file:
        file.write(b"appended")
    gathering.again()
    assert path.read_bytes() == b"n" * size + b"appended"


def test_times_that_another_client_set_are_seen(gathering: Mount, folder: Path) -> None:
    path, key = folder / "f", f"{folder.name}/f"
    gathering.bucket.put(key, b"same")
    seen = path.stat().st_mtime
    os.utime(path, (1000, 2000))
    sh('sync "$1"', path)
    assert path.stat().st_mtime == 2000
    gathering.bucket.client.delete_object_tagging(key)
    assert path.stat().st_mtime == seen
    assert path.read_bytes() == b"same"


def test_times_are_those_of_the_kernel(gathering: Mount, folder: Path) -> None:
    path = folder / "f"
    path.write_bytes(b"content")
    written = path.stat()
    with path.open("r+b", buffering=0) as file:
        file.write(b"C")
        os.utime(file.fileno(), ns=(10**9, 3 * 10**9 + 5))
    assert path.stat().st_mtime_ns == 3 * 10**9 + 5
    gathering.again()
    assert path.stat().st_mtime_ns == 3 * 10**9 + 5
    path.write_bytes(b"again")
    shown = path.stat()
    assert shown.st_mtime_ns > written.st_mtime_ns
    gathering.again()
    assert (path.stat().st_mtime_ns, path.stat().st_ctime_ns) == (
        shown.st_mtime_ns,
        shown.st_ctime_ns,
    )


def test_truncating_and_writing_keep_their_order(gathering: Mount, folder: Path) -> None:
    path = folder / "f"
    with path.open("w+b", buffering=0) as file:
        file.write(b"a" * 30_000)
        os.truncate(path, 5)
        assert len(gathering.bucket.stored(f"{folder.name}/f")) == 5
        os.pwrite(file.fileno(), b"b", 9000)
        os.ftruncate(file.fileno(), 20_000)
        os.pwrite(file.fileno(), b"c" * 10, 19_990)
        os.ftruncate(file.fileno(), 19_995)
    expected = b"a" * 5 + bytes(8995) + b"b" + bytes(10_989) + b"c" * 5
    assert path.read_bytes() == expected
    gathering.again()
    assert path.read_bytes() == expected
    with path.open("r+b", buffering=0) as file:
        file.write(b"lost")
        path.write_bytes(b"by O_TRUNC")
        os.pwrite(file.fileno(), b"!", 10)
    gathering.again()
    assert path.read_bytes() == b"by O_TRUNC!"


def test_a_truncation_that_could_not_be_stored_is_seen_as_it_is(
    oss: Oss, gathering: Mount, folder: Path
) -> None:
    path = folder / "f"
    path.write_bytes(b"content")
    oss.service.add_fault(f"op=PutObject,key={folder.name}/*,code=AccessDenied,status=403")
    with pytest.raises(PermissionError):
        os.truncate(path, 3)
    assert (path.read_bytes(), path.stat().st_size) == (b"con", 3)
    oss.service.clear_faults()
    wait_until(lambda: upload_state(path) == "clean")
    assert path.read_bytes() == b"con"
    gathering.again()
    assert path.read_bytes() == b"con"


def test_a_rename_costs_no_request_for_the_time_that_the_kernel_tells(
    gathering: Mount, folder: Path
) -> None:
    (folder / "f").write_bytes(b"content")
    requests = gathering.bucket.watch()
    (folder / "f").rename(folder / "g")
    sh('sync -f "$1"', folder / "g")
    gathering.again()
    assert requests.count("PutObjectTagging") == 0
    assert requests.count("CopyObject") == 1


def test_files_are_renamed_and_removed_with_what_the_kernel_holds_of_them(
    gathering: Mount, folder: Path
) -> None:
    with (folder / "a").open("wb", buffering=0) as file:
        file.write(b"renamed")
        (folder / "a").rename(folder / "b")
        file.write(b" twice")
        (folder / "b").rename(folder / "c")
    with (folder / "gone").open("w+b", buffering=0) as file:
        file.write(b"never stored")
        (folder / "gone").unlink()
        assert os.pread(file.fileno(), 100, 0) == b"never stored"
    gathering.again()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"c": b"renamed twice"}


@pytest.mark.parametrize("seed", [SEED])
def test_random_work_on_one_file_gives_what_any_file_system_gives(
    gathering: Mount, folder: Path, seed: int
) -> None:
    exerciser, done = Exerciser(folder / "f", random.Random(seed)), []
    for _ in range(OPERATIONS):
        done.append(exerciser.step())
        assert os.path.getsize(folder / "f") == len(exerciser.expected), done[-10:]
    exerciser.close()
    assert (folder / "f").read_bytes() == exerciser.expected
    gathering.again()
    assert (folder / "f").read_bytes() == exerciser.expected
