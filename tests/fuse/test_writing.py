"""Writes of all kinds: at any offset, appended, truncated, by many at a time."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuse.mounting import Mount
from tests.fuse.programs import python, sh

pytestmark = pytest.mark.fuse

MIB = 1 << 20
PIECES = [(5, 3), (70_000, 100), (65_530, 20), (0, 1), (1_000_000, 65_536), (99, 1)]
"""Offsets and lengths of writes, one after another."""


def opened(path: Path, flags: int) -> int:
    return os.open(path, flags, 0o644)


def test_writes_at_any_offset_and_holes_read_as_zeros(work: Path) -> None:
    expected = bytearray()
    descriptor = opened(work / "f", os.O_RDWR | os.O_CREAT)
    for offset, length in [
        (5, 3),
        (70_000, 100),
        (65_530, 20),
        (0, 1),
        (1_000_000, 65_536),
        (99, 1),
    ]:
        piece = os.urandom(length)
        assert os.pwrite(descriptor, piece, offset) == length
        expected.extend(bytes(max(0, offset + length - len(expected))))
        expected[offset : offset + length] = piece
        assert os.fstat(descriptor).st_size == len(expected)
        assert os.pread(descriptor, 2 * MIB, 0) == expected
    os.close(descriptor)
    assert (work / "f").read_bytes() == expected


def test_truncate_both_ways_by_path_and_by_descriptor(shared: Mount, work: Path) -> None:
    path = work / "f"
    path.write_bytes(b"0123456789")
    os.truncate(path, 4)
    assert path.read_bytes() == b"0123"
    assert len(shared.bucket.stored(f"{work.name}/f")) == 4
    os.truncate(path, 8)
    assert path.read_bytes() == b"0123\0\0\0\0"
    with path.open("r+b") as file:
        os.ftruncate(file.fileno(), 2)
        assert os.fstat(file.fileno()).st_size == 2
        os.ftruncate(file.fileno(), 100_000)
        os.pwrite(file.fileno(), b"x", 99_999)
    assert path.read_bytes() == b"01" + bytes(99_997) + b"x"
    os.truncate(path, 0)
    assert path.read_bytes() == b""


def test_truncate_s_makes_a_large_hole_that_costs_little_memory(work: Path) -> None:
    sh('truncate -s 100M "$1"/hole; [ $(stat -c %s "$1"/hole) = 104857600 ]', work)
    assert sh('head -c 1M "$1"/hole | tr -d "\\000" | wc -c', work) == "0\n"
    assert sh('tail -c 1M "$1"/hole | tr -d "\\000" | wc -c', work) == "0\n"
    (work / "hole").unlink()


def test_all_of_a_file_is_data_to_those_who_seek_holes(work: Path) -> None:
    sh('truncate -s 1M "$1"/f', work)
    with (work / "f").open("rb") as file:
        assert os.lseek(file.fileno(), 0, os.SEEK_DATA) == 0
        assert os.lseek(file.fileno(), 0, os.SEEK_HOLE) == MIB


def test_o_excl_takes_a_name_once(work: Path) -> None:
    os.close(opened(work / "f", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    with pytest.raises(FileExistsError):
        opened(work / "f", os.O_WRONLY | os.O_CREAT | os.O_EXCL)


def test_o_excl_lets_one_of_many_processes_win(work: Path) -> None:
    script = """
    for i in $(seq 20); do
        (set -C; echo $i >"$1"/lock && echo won) 2>/dev/null &
    done
    wait
    """
    assert sh(script, work) == "won\n"


def test_o_append_writes_at_the_end_whatever_the_offset(work: Path) -> None:
    path = work / "f"
    path.write_bytes(b"begin ")
    descriptor = opened(path, os.O_WRONLY | os.O_APPEND)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, b"end")
    os.close(descriptor)
    assert path.read_bytes() == b"begin end"


def test_several_writers_append_whole_lines_and_lose_none(work: Path) -> None:
    script = """
    for writer in 1 2 3 4 5; do
        (for i in $(seq 40); do echo "writer $writer line $i"; done >>"$1"/log) &
    done
    wait
    sort "$1"/log
    """
    expected = sorted(f"writer {w} line {i}" for w in range(1, 6) for i in range(1, 41))
    assert sorted(sh(script, work).splitlines()) == expected


def test_o_trunc_and_a_close_without_a_write_store_an_empty_file(shared: Mount, work: Path) -> None:
    path = work / "f"
    path.write_bytes(b"content")
    os.close(opened(path, os.O_WRONLY | os.O_TRUNC))
    assert shared.bucket.stored(f"{work.name}/f") == b""
    assert path.stat().st_size == 0


def test_writes_are_seen_at_once_through_other_descriptors(work: Path) -> None:
    path = work / "f"
    path.write_bytes(b"old")
    with path.open("rb", buffering=0) as reader, path.open("r+b", buffering=0) as writer:
        assert reader.read() == b"old"
        writer.write(b"new and longer")
        reader.seek(0)
        assert reader.read() == b"new and longer"
        assert path.stat().st_size == 14


def test_a_reader_goes_on_while_its_file_is_written_and_stored_again(work: Path) -> None:
    path = work / "f"
    path.write_bytes(b"a" * 300_000)
    with path.open("rb", buffering=0) as reader:
        assert os.pread(reader.fileno(), 10, 0) == b"a" * 10
        path.write_bytes(b"b" * 300_000)
        assert os.pread(reader.fileno(), 10, 250_000) == b"b" * 10


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY])
def test_a_descriptor_does_only_what_it_was_opened_for(work: Path, flags: int) -> None:
    (work / "f").write_bytes(b"x")
    descriptor = opened(work / "f", flags)
    deed: Callable[[], object] = (
        (lambda: os.write(descriptor, b"y"))
        if flags == os.O_RDONLY
        else (lambda: os.read(descriptor, 1))
    )
    with pytest.raises(OSError, match="Bad file descriptor"):
        deed()
    os.close(descriptor)


def test_posix_fallocate_makes_room_by_writing(work: Path) -> None:
    with (work / "f").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 100_000)
    assert (work / "f").read_bytes() == bytes(100_000)


def test_copy_file_range_and_sendfile_work(work: Path) -> None:
    content = os.urandom(500_000)
    (work / "f").write_bytes(content)
    with (work / "f").open("rb") as source, (work / "g").open("wb") as target:
        left = len(content)
        while left:
            left -= os.copy_file_range(source.fileno(), target.fileno(), left)
    assert (work / "g").read_bytes() == content
    shutil.copyfile(work / "f", work / "h")  # by sendfile
    assert (work / "h").read_bytes() == content


def test_locks_hold_within_the_mount(work: Path) -> None:
    path = work / "f"
    path.touch()
    with path.open("r+b") as one, path.open("r+b") as two:
        fcntl.flock(one, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(one, fcntl.LOCK_UN)
        fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
    script = """
import fcntl, os, sys
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    child = os.fork()
    if not child:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os._exit(7)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert python(script, path) == "7\n"
