"""The rename of a directory in a mount that is killed: the next mount finishes or undoes it."""

import contextlib
import json
import signal
import threading
from pathlib import Path

import pytest

from tests.fuse.conftest import MakeMount
from tests.fuse.oss import Bucket, Oss
from tests.fuse.programs import sh
from tests.waiting import wait_until

pytestmark = pytest.mark.fuse

COUNT = 40
JOURNAL = ".ossfs/journal/"


def furnish(top: Path) -> None:
    for number in range(COUNT):
        directory = top / f"{number % 4}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{number}").write_text(f"content {number}")


def check(top: Path) -> None:
    files = [path for path in top.rglob("*") if path.is_file()]
    assert sorted(path.read_text() for path in files) == sorted(
        f"content {number}" for number in range(COUNT)
    )
    assert all(path.read_text() == f"content {path.name}" for path in files)
    assert sorted(path.name for path in top.iterdir()) == ["0", "1", "2", "3"]


def renames(path: Path) -> threading.Thread:
    """In a thread, since the mount dies under it."""

    def rename() -> None:
        with contextlib.suppress(OSError):  # the mount is killed
            (path / "tree").rename(path / "moved")

    thread = threading.Thread(target=rename)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("fault", "copied", "name"),
    [
        ("op=CopyObject,skip=20,status=503", False, "tree"),
        ("op=DeleteMultipleObjects,status=503", True, "moved"),
    ],
)
def test_a_rename_that_is_cut_short_is_whole_again_at_the_next_mount(
    fault: str, copied: bool, name: str, oss: Oss, bucket: Bucket, mount: MakeMount
) -> None:
    one = mount(bucket)
    furnish(one.path / "tree")
    oss.service.add_fault(fault)
    thread = renames(one.path)
    wait_until(lambda: len(bucket.keys_below("moved/")) >= 20 and has_copied(bucket) == copied)
    one.signal(signal.SIGKILL)
    one.wait()
    thread.join()
    oss.service.clear_faults()
    sh("fusermount3 -u $1", one.path)
    one.start()
    assert [path.name for path in one.path.iterdir()] == [name]
    check(one.path / name)
    assert bucket.keys_below(JOURNAL) == []


def has_copied(bucket: Bucket) -> bool:
    (intent,) = bucket.keys_below(JOURNAL)
    return bool(json.loads(bucket.stored(intent))["copied"])
