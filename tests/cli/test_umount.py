"""`ossfs umount` against a process that answers on a control socket, without a real mount."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ossfs.cli import lock, main, umount
from ossfs.cli.mount_table import Mounted, find_mount
from ossfs.config.state import MountState, mount_state

NOTHING: list[dict[str, str]] = []


class World:
    """A mount table with one mount, and what was done to it."""

    def __init__(self, folder: Path) -> None:
        self.mountpoint = folder / "mnt"
        self.mounted = True
        self.unmount_fails = ""
        self.state = mount_state(
            folder / "state", bucket="photos", prefix="", mountpoint=self.mountpoint
        )
        self.state.directory.mkdir(parents=True)

    def find(self, path: Path) -> Mounted | None:
        ours = Mounted(mountpoint=self.mountpoint, kind="fuse.ossfs", source="oss://photos", uid=0)
        return ours if self.mounted and path == self.mountpoint else None

    def unmount(self, mounted: Mounted) -> None:
        self.vanish()

    def vanish(self) -> None:
        self.mounted = False

    def umount(self, *words: str) -> int:
        state_dir = self.state.directory.parent.parent
        return main(["umount", str(self.mountpoint), "--state-dir", str(state_dir), *words])


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setattr(umount, "find_mount", made.find)
    monkeypatch.setattr(umount, "_unmount", made.unmount)
    return made


@contextmanager
def answering(state: MountState, answer: Any) -> Iterator[list[Any]]:
    """One connection is accepted, its request noted, and *answer* sent (bytes as they are)."""
    requests: list[Any] = []
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(state.directory, os.O_PATH)
    listener.bind(f"/proc/self/fd/{folder}/{state.control.name}")
    os.close(folder)
    listener.listen()

    def serve() -> None:
        peer, _ = listener.accept()
        with peer, peer.makefile("rb") as lines:
            requests.append(json.loads(lines.readline()))
            raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode() + b"\n"
            peer.sendall(raw)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield requests
    finally:
        thread.join(10)
        listener.close()


def test_everything_stored_means_unmounted_and_done(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(world.state, {"ok": True, "unmounted": False, "unstored": []}) as requests:
        assert world.umount("--timeout", "7") == 0
    assert not world.mounted
    assert requests == [{"command": "umount", "timeout": 7.0}]
    assert capsys.readouterr() == ("", "")


def test_what_could_not_be_stored_is_listed_and_the_mount_stays(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    unstored = [{"name": "a/b", "reason": "no answer"}, {"name": "c", "reason": "denied"}]
    with answering(world.state, {"ok": True, "unmounted": False, "unstored": unstored}):
        assert world.umount() == 6
    assert world.mounted
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["a/b: no answer", "c: denied"]
    assert lines[2] == f"ossfs: {world.mountpoint}: 2 not stored, named above; still mounted"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"ok": False, "error": "not now"}, "not now"),
        (b"", "ended before it had answered"),
    ],
)
def test_a_process_that_refuses_or_dies_leaves_the_mount(
    world: World, capsys: pytest.CaptureFixture[str], answer: Any, says: str
) -> None:
    with answering(world.state, answer):
        assert world.umount() == 5
    assert world.mounted
    assert says in capsys.readouterr().err


def test_it_returns_only_when_the_process_has_ended(world: World) -> None:
    held = lock.acquire(world.state)
    released = threading.Event()

    def let_go() -> None:
        released.set()
        os.close(held)

    timer = threading.Timer(0.2, let_go)
    timer.start()
    with answering(world.state, {"ok": True, "unmounted": True, "unstored": []}):
        umounting = threading.Timer(0.1, world.vanish)
        umounting.start()
        assert world.umount() == 0
    assert released.is_set()
    timer.join()
    umounting.join()


def test_a_process_that_does_not_end_is_told_of(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(umount, "_GONE_SECONDS", 0.05)
    held = lock.acquire(world.state)
    with answering(world.state, {"ok": True, "unmounted": False, "unstored": []}):
        assert world.umount() == 6
    assert "its process has not ended yet" in capsys.readouterr().err
    os.close(held)


def test_a_mount_whose_process_cannot_be_asked_is_unmounted_with_a_note(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.umount() == 0
    assert not world.mounted
    assert "its process could not be asked" in capsys.readouterr().err


def test_a_busy_mount_stays(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(umount, "find_mount", world.find)
    # There is nothing mounted in truth, which the helper says in its own words.
    assert world.umount() == 5
    assert f"{world.mountpoint} stays mounted: " in capsys.readouterr().err


def test_the_lock_is_held_by_one_and_its_owner_is_noted(world: World) -> None:
    held = lock.acquire(world.state)
    lock.write_owner(held)
    assert lock.is_held(world.state)
    assert world.state.lock.read_text() == f"{os.getpid()}\n"
    os.close(held)
    assert not lock.is_held(world.state)


def test_the_table_of_the_kernel_is_read(tmp_path: Path) -> None:
    root = find_mount(Path("/"))
    assert root is not None
    assert root.mountpoint == Path("/")
    assert not root.is_ours
    (tmp_path / "link").symlink_to("/proc")
    linked = find_mount(tmp_path / "link")
    assert linked is not None
    assert linked.kind == "proc"
    assert find_mount(tmp_path) is None
