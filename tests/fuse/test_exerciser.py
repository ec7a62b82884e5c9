"""Random work on a mount, compared with what any file system would have made of it."""

import mmap
import os
import random
import sys
import time
from pathlib import Path

import pytest

from tests.fuse.conftest import MakeMount
from tests.fuse.mounting import Mount
from tests.fuse.oss import Bucket, Oss
from tests.fuse.programs import sh
from tests.waiting import wait_until

pytestmark = pytest.mark.fuse

OPERATIONS = int(os.environ.get("OSSFS_TEST_OPERATIONS", "300"))
"""More in long campaigns."""

ON_ONE_FILE = int(os.environ.get("OSSFS_TEST_FILE_OPERATIONS", "5000"))
"""With every seed that is tried, together."""

SEED = int(os.environ.get("OSSFS_TEST_SEED", "1"))
LARGEST = 400_000


class Exerciser:
    """One file, used through two descriptors, beside what it must contain."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self.path = path
        self.chance = chance
        self.expected = bytearray()
        self.files = [self._open(), self._open()]

    def _open(self) -> int:
        extra = os.O_APPEND if self.chance.random() < 0.2 else 0
        return os.open(self.path, os.O_RDWR | os.O_CREAT | extra, 0o644)

    def close(self) -> None:
        for descriptor in self.files:
            os.close(descriptor)

    def step(self) -> str:
        """One random deed; returns its name."""
        deeds = [self.write] * 4 + [self.read] * 5 + [self.map_read, self.map_write]
        deeds += [self.truncate, self.reopen, self.forget, self.sync, self.append, self.grow]
        deed = self.chance.choice(deeds)
        deed()
        return deed.__name__

    def _file(self) -> int:
        return self.chance.choice(self.files)

    def _span(self) -> tuple[int, int]:
        start = self.chance.randrange(len(self.expected) + 1)
        return start, min(self.chance.choice((1, 100, 4096, 70_000)), len(self.expected) - start)

    def write(self) -> None:
        offset = self.chance.randrange(LARGEST)
        data = self.chance.randbytes(self.chance.choice((1, 511, 4096, 70_000)))
        plain = os.open(self.path, os.O_WRONLY)
        try:
            assert os.pwrite(plain, data, offset) == len(data)
        finally:
            os.close(plain)
        self._grow_to(offset)
        self.expected[offset : offset + len(data)] = data

    def _grow_to(self, size: int) -> None:
        self.expected.extend(bytes(max(0, size - len(self.expected))))

    def append(self) -> None:
        data = self.chance.randbytes(self.chance.randrange(1, 5000))
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, data)
        os.close(descriptor)
        self.expected += data

    def read(self) -> None:
        start, length = self._span()
        assert os.pread(self._file(), length, start) == self.expected[start : start + length]

    def map_read(self) -> None:
        if self.expected:
            with mmap.mmap(self._file(), 0, access=mmap.ACCESS_READ) as mapping:
                start, length = self._span()
                assert mapping[start : start + length] == self.expected[start : start + length]

    def map_write(self) -> None:
        if not self.expected:
            return
        start, length = self._span()
        data = self.chance.randbytes(length)
        with mmap.mmap(self._file(), 0) as mapping:
            mapping[start : start + length] = data
            if self.chance.random() < 0.5:
                mapping.flush()
        self.expected[start : start + length] = data

    def truncate(self) -> None:
        size = self.chance.randrange(len(self.expected) + 1)
        if self.chance.random() < 0.5:
            os.truncate(self.path, size)
        else:
            os.ftruncate(self._file(), size)
        del self.expected[size:]

    def grow(self) -> None:
        size = len(self.expected) + self.chance.randrange(20_000)
        os.ftruncate(self._file(), size)
        self._grow_to(size)

    def reopen(self) -> None:
        which = self.chance.randrange(2)
        os.close(self.files[which])
        self.files[which] = self._open()

    def forget(self) -> None:
        """Have the kernel read again."""
        os.posix_fadvise(self._file(), 0, 0, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        os.fsync(self._file())


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(SEED, SEED + 2))
def test_random_work_on_one_file_gives_what_any_file_system_gives(
    shared: Mount, work: Path, seed: int
) -> None:
    exerciser = Exerciser(work / "f", random.Random(seed))
    done = []
    for _ in range(ON_ONE_FILE // 2):
        done.append(exerciser.step())
        assert os.path.getsize(work / "f") == len(exerciser.expected), done[-10:]
    exerciser.close()
    assert (work / "f").read_bytes() == exerciser.expected
    shared.again()
    assert (work / "f").read_bytes() == exerciser.expected


STRESS = """
import os, random, sys
top, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(seed)
def place():
    return os.path.join(top, *(chance.choice("abc") for _ in range(chance.randrange(1, 4))))
def write():
    with open(place(), chance.choice(("w", "a", "r+"))) as file:
        file.write(f"{seed} " * chance.randrange(20))
deeds = [
    write, write, write,
    lambda: os.mkdir(place()), lambda: os.mkdir(place()),
    lambda: os.rename(place(), place()), lambda: os.rename(place(), place()),
    lambda: os.unlink(place()), lambda: os.rmdir(place()),
    lambda: os.symlink(place(), place()), lambda: os.chmod(place(), 0o700),
    lambda: os.listdir(os.path.dirname(place())), lambda: os.truncate(place(), 5),
    lambda: open(place()).close(),
]
unexpected = 0
for _ in range(count):
    try:
        chance.choice(deeds)()
    except OSError as error:
        # Others work in the same tree: what was there may be gone, or be something else.
        if error.errno not in {2, 17, 20, 21, 22, 39, 40, 116}:
            print(error)
"""

REQUESTS = (
    *("PutObject", "CopyObject", "DeleteObject", "DeleteMultipleObjects", "HeadObject"),
    *("ListObjectsV2", "GetObject", "PutObjectTagging", "GetObjectTagging"),
)

TREE = (
    'cd "$1"; find . -printf "%y %m %l %p " -type f -exec sha256sum {} \\; -o -printf "\\n" | sort'
)


def let_many_work(top: Path, seed: int) -> set[str]:
    """Four processes at random work below *top*; returns the errors that surprised them."""
    script = """
    for i in 1 2 3 4; do "$2" -W ignore -c "$3" "$1" $(($4 * 10 + i)) "$5" & done
    wait
    """
    arguments = (top, sys.executable, STRESS, str(seed), str(OPERATIONS // 2))
    return set(sh(script, *arguments, seconds=100 + OPERATIONS).splitlines())


@pytest.mark.parametrize("seed", [SEED])
def test_many_processes_in_one_tree_leave_in_the_bucket_what_the_mount_shows(
    shared: Mount, work: Path, seed: int
) -> None:
    assert let_many_work(work, seed) == set()
    before = sh(TREE, work)
    shared.again()
    assert sh(TREE, work) == before


@pytest.mark.parametrize("seed", [SEED])
def test_failing_requests_are_errors_and_leave_nothing_half_done(
    oss: Oss, bucket: Bucket, mount: MakeMount, seed: int
) -> None:
    one = mount(bucket, "--retries=0", "--log-names", "--attr-ttl=1", "--negative-ttl=1")
    chance = random.Random(seed)
    for _ in range(25):
        operation = chance.choice(REQUESTS)
        what = chance.choice(("status=503", "drop=before", "drop=after"))
        skip = chance.randrange(OPERATIONS // 4)
        oss.service.add_fault(f"op={operation},skip={skip},times=2,{what}")
    errors = let_many_work(one.path, seed)
    oss.service.clear_faults()
    assert errors <= {error for error in errors if error.startswith("[Errno 5]")}
    wait_until(lambda: os.getxattr(one.path, "user.ossfs.pending") == b"0")
    # What a request did although it failed is noticed when what was known has grown old.
    old = time.monotonic() + 1
    wait_until(lambda: time.monotonic() > old)
    before = sh(TREE, one.path)
    one.again()
    assert sh(TREE, one.path) == before
    assert bucket.keys_below(".ossfs/") == []
