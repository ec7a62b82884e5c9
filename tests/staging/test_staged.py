"""Staged files and their snapshots against bytearrays, in memory and spilled."""

import errno
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ossfs.errors import IntegrityError, OssfsError, StagingFull
from ossfs.staging import FrozenFile, StagedFile, StagingArea
from ossfs.staging.blocks import BLOCK

KIB = 1024
MIB = 1024 * KIB

edges = st.sampled_from([0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 7, 5 * BLOCK])
positions = st.one_of(edges, st.integers(0, 6 * BLOCK))
lengths = st.one_of(edges, st.integers(0, 2 * BLOCK))
operations = st.lists(
    st.one_of(
        st.tuples(st.just("write"), positions, lengths),
        st.tuples(st.just("truncate"), positions, st.just(0)),
        st.tuples(st.just("read"), positions, lengths),
        st.tuples(st.just("freeze"), st.just(0), st.just(0)),
        st.tuples(st.just("thaw"), st.integers(0, 3), st.just(0)),
    ),
    max_size=25,
)


def written(length: int, seed: int) -> bytes:
    return ((seed % 65521).to_bytes(2, "big") * (length // 2 + 1))[:length]


class Model:
    """A staged file beside the bytearray that it should equal."""

    def __init__(self, area: StagingArea) -> None:
        self.staged = area.create()
        self.plain = bytearray()
        self.snapshots: list[tuple[FrozenFile, bytes]] = []

    def apply(self, operation: str, first: int, second: int, seed: int) -> None:
        getattr(self, operation)(first, second, seed)
        assert self.staged.size == len(self.plain)

    def write(self, offset: int, length: int, seed: int) -> None:
        data = written(length, seed)
        self.staged.pwrite(offset, data)
        if data:
            self.plain.extend(bytes(max(0, offset - len(self.plain))))
            self.plain[offset : offset + length] = data

    def truncate(self, size: int, _second: int, _seed: int) -> None:
        self.staged.truncate(size)
        del self.plain[size:]
        self.plain.extend(bytes(size - len(self.plain)))

    def read(self, offset: int, length: int, _seed: int) -> None:
        assert self.staged.pread(offset, length) == self.plain[offset : offset + length]

    def freeze(self, _first: int, _second: int, _seed: int) -> None:
        self.snapshots.append((self.staged.freeze(), bytes(self.plain)))

    def thaw(self, index: int, _second: int, _seed: int) -> None:
        if index < len(self.snapshots):
            frozen, plain = self.snapshots.pop(index)
            assert frozen.pread(0, len(plain) + 1) == plain
            frozen.close()

    def check_and_close(self) -> None:
        assert self.staged.pread(0, len(self.plain) + 1) == self.plain
        self.staged.close()
        for frozen, plain in self.snapshots:
            assert frozen.size == len(plain)
            assert frozen.pread(0, len(plain) + 1) == plain
            half = len(plain) // 2
            buffer = bytearray(b"x" * (len(plain) - half))
            frozen.pread_into(half, memoryview(buffer))
            assert buffer == plain[half:]
            frozen.close()
            frozen.close()


@pytest.mark.parametrize("memory", [0, BLOCK, 3 * BLOCK, 64 * MIB])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=operations)
def test_a_staged_file_and_its_snapshots_read_as_bytearrays(
    tmp_path: Path, memory: int, steps: list[tuple[str, int, int]]
) -> None:
    area = StagingArea(tmp_path, memory)
    model = Model(area)
    for seed, (operation, first, second) in enumerate(steps):
        model.apply(operation, first, second, seed)
    model.check_and_close()
    assert area.memory_bytes == 0
    assert area.scratch_bytes == 0
    assert os.listdir(tmp_path) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 2), positions, lengths), max_size=20))
def test_files_that_share_the_memory_do_not_disturb_each_other(
    tmp_path: Path, steps: list[tuple[int, int, int]]
) -> None:
    area = StagingArea(tmp_path, 2 * BLOCK)
    models = [Model(area) for _ in range(3)]
    for seed, (index, offset, length) in enumerate(steps):
        models[index].apply("write", offset, length, seed)
        if length:
            assert area.memory_bytes <= max(2 * BLOCK, length) + 2 * BLOCK
    for model in models:
        model.check_and_close()
    assert (area.memory_bytes, area.scratch_bytes) == (0, 0)


def test_a_large_file_keeps_sixteen_mebibytes_in_memory_and_the_rest_on_disk(
    tmp_path: Path,
) -> None:
    area = StagingArea(tmp_path, 64 * MIB)
    staged = area.create()
    for index in range(24):
        staged.pwrite(index * MIB, written(MIB, index))
    assert area.memory_bytes <= 16 * MIB
    assert area.scratch_bytes >= 8 * MIB
    assert all(staged.pread(index * MIB, MIB) == written(MIB, index) for index in range(24))
    staged.close()


def test_slots_of_the_scratch_file_are_used_again(tmp_path: Path) -> None:
    area = StagingArea(tmp_path, 0)
    staged = area.create()
    for round_ in range(10):
        for index in range(8):
            staged.pwrite(index * BLOCK, written(BLOCK, round_))
        assert area.scratch_bytes <= 8 * (BLOCK + KIB)
    staged.close()


def test_a_hole_takes_neither_memory_nor_disk(tmp_path: Path) -> None:
    area = StagingArea(tmp_path, MIB)
    staged = area.create()
    staged.truncate(1 << 45)
    staged.pwrite(1 << 44, b"x")
    assert area.memory_bytes + area.scratch_bytes <= BLOCK
    frozen = staged.freeze()
    assert frozen.pread((1 << 44) - MIB, MIB + 2) == bytes(MIB) + b"x\0"
    staged.truncate(10)
    assert (staged.size, frozen.size) == (10, 1 << 45)
    staged.close()
    frozen.close()


def test_a_small_file_takes_the_memory_of_its_bytes(tmp_path: Path) -> None:
    area = StagingArea(tmp_path, MIB)
    staged = area.create()
    staged.pwrite(0, b"x" * 100)
    assert area.memory_bytes == 100
    staged.close()


def test_writes_after_freeze_do_not_reach_the_snapshot_wherever_its_blocks_are(
    tmp_path: Path,
) -> None:
    area = StagingArea(tmp_path, 2 * BLOCK)
    staged = area.create()
    before = written(6 * BLOCK, 1)
    staged.pwrite(0, before)
    frozen = staged.freeze()
    staged.pwrite(BLOCK // 2, written(5 * BLOCK, 2))
    staged.truncate(BLOCK + 1)
    assert frozen.pread(0, frozen.size) == before
    staged.close()
    assert frozen.pread(0, frozen.size) == before
    frozen.close()


def test_a_snapshot_offers_no_way_to_write(tmp_path: Path) -> None:
    staged: StagedFile = StagingArea(tmp_path, 0).create()
    frozen: Any = staged.freeze()
    public = {name for name in dir(frozen) if not name.startswith("_")}
    assert public == {"size", "pread", "pread_into", "close"}
    with pytest.raises(AttributeError):
        frozen.size = 3
    frozen.close()
    staged.close()


def test_closed_files_refuse_to_be_read(tmp_path: Path) -> None:
    staged = StagingArea(tmp_path, 0).create()
    frozen = staged.freeze()
    frozen.close()
    staged.close()
    staged.close()
    for use in (frozen.pread, staged.pread):
        with pytest.raises(ValueError, match="closed"):
            use(0, 1)
    with pytest.raises(ValueError, match="closed"):
        frozen.pread_into(0, memoryview(bytearray(1)))


def test_a_snapshot_can_be_read_in_a_thread_while_its_file_is_written_and_spilled(
    tmp_path: Path,
) -> None:
    area = StagingArea(tmp_path, 3 * BLOCK)
    staged = area.create()
    content = os.urandom(16 * BLOCK)
    staged.pwrite(0, content)
    frozen = staged.freeze()
    wrong: list[int] = []
    done = threading.Event()

    def read() -> None:
        index = 0
        while not done.is_set():
            start = index * 40_009 % len(content)
            if frozen.pread(start, 3 * BLOCK) != content[start : start + 3 * BLOCK]:
                wrong.append(start)
            index += 1

    reader = threading.Thread(target=read)
    reader.start()
    for seed in range(400):
        staged.pwrite(seed * 50_021 % len(content), written(BLOCK + 77, seed))
        if seed % 10 == 0:
            later = staged.freeze()
            staged.pwrite(0, written(2 * BLOCK, seed))
            later.close()
    done.set()
    reader.join()
    assert wrong == []
    staged.close()
    frozen.close()
    assert (area.memory_bytes, area.scratch_bytes) == (0, 0)


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """The kernel lets no file of this process grow beyond *size*, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(staged: StagedFile, plain: bytearray, end: int) -> None:
    """Append to both until the staged file refuses."""
    while len(plain) < end:
        piece = written(BLOCK + 5, len(plain))
        try:
            staged.pwrite(len(plain), piece)
        except StagingFull:
            return
        plain += piece
    pytest.fail("there was room for everything")


def test_a_full_disk_refuses_the_write_and_leaves_the_content_usable(tmp_path: Path) -> None:
    area = StagingArea(tmp_path, 2 * BLOCK)
    staged = area.create()
    plain = bytearray()
    with files_limited_to(5 * BLOCK):
        fill(staged, plain, 100 * BLOCK)
        assert staged.pread(0, 100 * BLOCK) == plain
        with pytest.raises(StagingFull):
            staged.pwrite(3, written(3 * BLOCK, 9))
        assert staged.pread(0, 100 * BLOCK) == plain
        staged.truncate(BLOCK + 3)
        staged.pwrite(0, b"again")
    plain[:5] = b"again"
    staged.pwrite(BLOCK + 3, written(9 * BLOCK, 1))
    assert staged.pread(0, 100 * BLOCK) == plain[: BLOCK + 3] + written(9 * BLOCK, 1)
    staged.close()
    assert (area.memory_bytes, area.scratch_bytes) == (0, 0)


def scratch_descriptors(directory: Path) -> list[int]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
        if target.startswith(str(directory)):
            found.append(int(name))
    return found


def test_nothing_readable_reaches_the_disk_and_no_name_either(tmp_path: Path) -> None:
    staged = StagingArea(tmp_path, 0).create()
    text = b"the quick brown fox " * BLOCK
    staged.pwrite(0, text)
    staged.pwrite(len(text), b"x")
    assert os.listdir(tmp_path) == []
    (fd,) = scratch_descriptors(tmp_path)
    assert os.fstat(fd).st_mode & 0o777 == 0o600
    stored = os.pread(fd, 2 * len(text), 0)
    assert len(stored) >= len(text)
    assert b"quick" not in stored
    staged.close()
    assert scratch_descriptors(tmp_path) == []


def test_a_damaged_scratch_file_gives_an_error_and_never_other_bytes(tmp_path: Path) -> None:
    staged = StagingArea(tmp_path, 0).create()
    for index in range(3):
        staged.pwrite(index * BLOCK, written(BLOCK, index))
    (fd,) = scratch_descriptors(tmp_path)
    slot = os.fstat(fd).st_size // 2
    first, second = os.pread(fd, slot, 0), os.pread(fd, slot, slot)
    os.pwrite(fd, second + first, 0)
    for index in range(2):
        with pytest.raises(IntegrityError):
            staged.pread(index * BLOCK, 1)
    with pytest.raises(IntegrityError):
        staged.pwrite(5, b"part of a block")
    assert staged.pread(2 * BLOCK, BLOCK) == written(BLOCK, 2)
    staged.pwrite(0, written(2 * BLOCK, 7))
    assert staged.pread(0, 2 * BLOCK) == written(2 * BLOCK, 7)
    staged.close()


def test_a_scratch_file_that_cannot_be_read_is_an_error_of_the_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = StagingArea(tmp_path, 0).create()
    staged.pwrite(0, written(2 * BLOCK, 1))
    staged.pwrite(2 * BLOCK, b"x")  # the block written last stays in memory
    frozen = staged.freeze()

    def fail(_fd: int, _length: int, _offset: int) -> bytes:
        raise OSError(errno.EIO, "made to fail")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", fail)
        for source in (staged, frozen):
            with pytest.raises(OssfsError, match="cannot be read"):
                source.pread(0, 2 * BLOCK)
        with pytest.raises(OssfsError, match="cannot be read"):
            frozen.pread_into(0, memoryview(bytearray(2 * BLOCK)))
        with pytest.raises(OssfsError, match="cannot be read"):
            staged.pwrite(5, b"part of a block")
    assert staged.pread(0, 2 * BLOCK) == written(2 * BLOCK, 1)
    frozen.close()
    staged.close()


def test_a_directory_that_cannot_be_used_is_an_error_of_the_tree(tmp_path: Path) -> None:
    staged = StagingArea(tmp_path / "missing", 0).create()
    staged.pwrite(0, b"x")
    with pytest.raises(Exception, match="scratch file") as caught:
        staged.pwrite(1, b"x")
    assert getattr(caught.value, "errno", None) is not None
    assert staged.pread(0, 9) == b"x"
    staged.close()
