"""The commands on a real mount: what umount, stat and a second mount do to it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ossfs.cli.mount_table import find_mount, is_dead
from ossfs.config.state import mount_state
from ossfs.devserver import RunningServer, ServerConfig
from ossfs.keys.keygen import generate
from tests.waiting import wait_until

pytestmark = pytest.mark.fuse


class Machine:
    """Runs commands against one embedded server; whatever is still mounted goes with the test."""

    def __init__(self, folder: Path, server: RunningServer) -> None:
        self.mountpoint = folder / "mnt"
        self.mountpoint.mkdir()
        self.server = server
        self.key = generate(folder / "key", bits=2048).private
        self.state = mount_state(
            folder / "state" / "ossfs", bucket="photos", prefix="a", mountpoint=self.mountpoint
        )
        self.environ = {
            "PATH": os.environ["PATH"],
            "XDG_CONFIG_HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "OSS_ACCESS_KEY_ID": server.access_key_id,
            "OSS_ACCESS_KEY_SECRET": server.access_key_secret,
        }

    def ossfs(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ossfs", *words],
            env=self.environ | environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def mount(self, *words: str) -> subprocess.CompletedProcess[str]:
        where = f"endpoint={self.server.endpoint},region={self.server.region}"
        options = f"rw,dev,suid,{where},rsa-key={self.key}"
        return self.ossfs("oss://photos/a", str(self.mountpoint), "-o", options, *words)

    def umount(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.ossfs("umount", str(self.mountpoint), *words)

    @property
    def process(self) -> int:
        return int(self.state.lock.read_text())


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with RunningServer(ServerConfig(root=tmp_path / "oss"), buckets=["photos"]) as server:
        made = Machine(tmp_path, server)
        yield made
        if find_mount(made.mountpoint) is not None:
            subprocess.run(["fusermount3", "-uz", str(made.mountpoint)], check=True)


def test_mount8s_way_of_calling_mounts_and_umount_leaves_nothing_behind(machine: Machine) -> None:
    done = machine.mount()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    mounted = find_mount(machine.mountpoint)
    assert mounted is not None
    assert mounted.is_ours
    assert mounted.source == "oss://photos/a"
    (machine.mountpoint / "file").write_text("content")
    process = machine.process
    done = machine.umount()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert find_mount(machine.mountpoint) is None
    wait_until(lambda: not Path(f"/proc/{process}").exists())
    assert not machine.state.control.exists()
    assert "a/file" in machine.server.keys("photos")
    assert machine.umount().returncode == 5


def test_stat_of_a_path_asks_the_mount_and_oss(machine: Machine) -> None:
    assert machine.mount().returncode == 0
    (machine.mountpoint / "file").write_text("content")
    path = str(machine.mountpoint / "file")
    out = machine.ossfs("stat", path).stdout
    for line in (
        "Content-Length              : 7",
        "X-Oss-Object-Type           : Normal",
        "Object                      : oss://photos/a/file",
        "Encryption                  : client",
        "Integrity                   : tagged",
        "Upload                      : clean",
    ):
        assert line in out.splitlines()
    without = machine.ossfs("stat", path, OSS_ACCESS_KEY_ID="", OSS_ACCESS_KEY_SECRET="")
    assert without.returncode == 0
    assert "Content-Length" not in without.stdout
    assert "Encryption                  : client" in without.stdout
    assert machine.umount().returncode == 0


def test_a_mount_in_use_stays_and_works_on(machine: Machine) -> None:
    assert machine.mount().returncode == 0
    with open(machine.mountpoint / "file", "w") as file:
        done = machine.umount()
        assert done.returncode == 5
        assert "busy" in done.stderr
        file.write("content")
    assert (machine.mountpoint / "file").read_text() == "content"
    assert machine.umount().returncode == 0


def test_a_second_mount_at_the_same_place_is_refused(machine: Machine) -> None:
    assert machine.mount().returncode == 0
    done = machine.mount("--nonempty")
    assert done.returncode == 5
    assert f"{machine.mountpoint} is busy: oss://photos/a is mounted there" in done.stderr
    assert machine.umount().returncode == 0


def test_a_dead_mount_is_told_from_a_busy_one_and_cleared(machine: Machine) -> None:
    assert machine.mount().returncode == 0
    os.kill(machine.process, signal.SIGKILL)
    wait_until(lambda: is_dead(machine.mountpoint))
    done = machine.mount()
    assert done.returncode == 5
    assert "whose process has died; `ossfs umount" in done.stderr
    done = machine.umount()
    assert done.returncode == 0
    assert "had died" in done.stderr
    assert machine.mount().returncode == 0
    assert machine.umount().returncode == 0


def test_a_plain_umount_lets_the_process_end(machine: Machine) -> None:
    assert machine.mount().returncode == 0
    process = machine.process
    subprocess.run(["fusermount3", "-u", str(machine.mountpoint)], check=True)
    wait_until(lambda: not Path(f"/proc/{process}").exists())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_unmounts(machine: Machine, number: signal.Signals) -> None:
    assert machine.mount().returncode == 0
    process = machine.process
    os.kill(process, number)
    wait_until(lambda: not Path(f"/proc/{process}").exists())
    assert find_mount(machine.mountpoint) is None


def test_what_cannot_be_stored_is_listed_and_stored_when_it_can_be(machine: Machine) -> None:
    assert machine.mount("--retries", "0").returncode == 0
    machine.server.add_fault("op=PutObject,status=503")
    with pytest.raises(OSError, match="Input/output error"):
        (machine.mountpoint / "file").write_text("content")
    done = machine.umount("--timeout", "5")
    assert done.returncode == 6
    assert done.stderr.splitlines()[0].startswith("a/file: ")
    assert done.stderr.splitlines()[1].endswith("1 not stored, named above; still mounted")
    machine.server.clear_faults()
    assert machine.umount().returncode == 0
    assert "a/file" in machine.server.keys("photos")
