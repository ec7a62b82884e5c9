"""Files that are open while their names change or go."""

import os
import tempfile
from pathlib import Path

import pytest

from tests.fuse.mounting import Mount
from tests.fuse.programs import sh
from tests.waiting import wait_until

pytestmark = pytest.mark.fuse


@pytest.mark.parametrize("size", [10, 300_000])
def test_an_unlinked_file_lives_until_it_is_closed(shared: Mount, work: Path, size: int) -> None:
    path, content = work / "f", os.urandom(size)
    path.write_bytes(content)
    with path.open("r+b", buffering=0) as file:
        path.unlink()
        assert not path.exists()
        assert os.fstat(file.fileno()).st_nlink == 0
        assert os.pread(file.fileno(), size, 0) == content
        os.pwrite(file.fileno(), b"more", size)
        assert os.pread(file.fileno(), size + 4, 0) == content + b"more"
    assert shared.bucket.keys_below(f"{work.name}/f") == []
    wait_until(lambda: shared.bucket.keys_below(".ossfs/orphans/") == [])


def test_a_new_file_that_is_unlinked_while_open_is_never_stored(shared: Mount, work: Path) -> None:
    requests = shared.bucket.watch()
    with tempfile.TemporaryFile(dir=work) as file:
        file.write(b"secret")
        file.seek(0)
        assert file.read() == b"secret"
    assert requests.counts() == {}


def test_a_rename_over_an_open_file_leaves_the_reader_what_it_opened(
    shared: Mount, work: Path
) -> None:
    (work / "old").write_bytes(b"old" * 100_000)
    (work / "new").write_bytes(b"new")
    with (work / "old").open("rb", buffering=0) as reader:
        (work / "new").rename(work / "old")
        assert os.pread(reader.fileno(), 300_000, 0) == b"old" * 100_000
        assert (work / "old").read_bytes() == b"new"
    assert not (work / "new").exists()
    wait_until(lambda: shared.bucket.keys_below(".ossfs/orphans/") == [])


def test_a_file_that_is_being_written_can_be_renamed(shared: Mount, work: Path) -> None:
    with (work / "f").open("wb", buffering=0) as file:
        file.write(b"one ")
        (work / "f").rename(work / "g")
        file.write(b"two")
    assert (work / "g").read_bytes() == b"one two"
    assert shared.bucket.keys_below(f"{work.name}/") == [f"{work.name}/", f"{work.name}/g"]


def test_the_usual_way_to_replace_a_file_never_shows_half_of_it(work: Path) -> None:
    script = """
    echo version 0 >"$1"/f
    (for i in $(seq 30); do echo version $i >"$1"/f.tmp; mv "$1"/f.tmp "$1"/f; done) &
    for i in $(seq 100); do cat "$1"/f; done | sort -u | grep -cv '^version [0-9]*$' || true
    wait
    cat "$1"/f
    """
    assert sh(script, work) == "0\nversion 30\n"
