"""How mounts begin and end."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuse.conftest import MakeMount
from tests.fuse.mounting import Mount, Place
from tests.fuse.observing import error_of_close
from tests.fuse.oss import Bucket, Oss
from tests.fuse.programs import sh
from tests.waiting import wait_until

pytestmark = pytest.mark.fuse


def open_dirty(one: Mount, name: str = "f") -> subprocess.Popen[bytes]:
    """A process that has written to a file and keeps it open until its stdin ends."""
    holder = subprocess.Popen(
        ["bash", "-c", 'exec 9>"$1"; echo content >&9; echo ready; read', "sh", one.path / name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"ready\n"
    return holder


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stores_everything_and_unmounts(
    bucket: Bucket, mount: MakeMount, number: signal.Signals
) -> None:
    one = mount(bucket)
    (one.path / "g").write_bytes(b"content")
    (one.path / "g").chmod(0o600)
    holder = open_dirty(one)
    one.signal(number)
    assert one.wait() == 0
    assert not one.is_mounted
    assert bucket.keys_below() == ["f", "g"]
    assert "ossfs.attr" in bucket.tags("g")
    holder.communicate(b"", timeout=10)


def test_fusermount_lets_the_process_store_the_rest_in_the_background(
    oss: Oss, bucket: Bucket, mount: MakeMount
) -> None:
    one = mount(bucket, "--retries=0")
    oss.service.add_fault("op=PutObject,key=f,status=503")
    assert error_of_close(one.path / "f", b"content") == errno.EIO
    sh('fusermount3 -u "$1"', one.path)
    assert not one.is_mounted
    assert not one.has_ended
    assert bucket.keys_below() == []
    oss.service.clear_faults()
    assert one.wait() == 0
    assert bucket.keys_below() == ["f"]


def test_what_cannot_be_stored_in_the_end_is_said_and_is_exit_code_6(
    oss: Oss, bucket: Bucket, mount: MakeMount
) -> None:
    one = mount(bucket, "--retries=0", "--timeout=1", "--log-names")
    oss.service.add_fault("op=PutObject,status=503")
    assert error_of_close(one.path / "lost", b"x") == errno.EIO
    one.signal(signal.SIGTERM)
    wait_until(lambda: not one.is_mounted)
    assert one.wait() == 6
    assert "'lost' was not stored" in one.log


def test_a_second_signal_stops_waiting(oss: Oss, bucket: Bucket, mount: MakeMount) -> None:
    one = mount(bucket, "--retries=0")
    oss.service.add_fault("op=PutObject,status=503")
    assert error_of_close(one.path / "lost", b"x") == errno.EIO
    one.signal(signal.SIGTERM)
    wait_until(lambda: not one.is_mounted)
    assert not one.has_ended
    one.signal(signal.SIGTERM)
    assert one.wait(10) == 6


def test_a_killed_process_leaves_a_dead_mount_that_umount_clears(
    bucket: Bucket, mount: MakeMount
) -> None:
    one = mount(bucket)
    (one.path / "f").write_bytes(b"stored")
    one.signal(signal.SIGKILL)
    assert one.wait() == -signal.SIGKILL
    # An empty directory in its place would invite rsync --delete.
    assert one.is_mounted
    with pytest.raises(OSError, match="not connected") as dead:
        os.listdir(one.path)
    assert dead.value.errno == errno.ENOTCONN

    again = one.ossfs(*one.words)
    assert again.returncode == 5
    assert "ossfs umount" in again.stderr

    done = one.umount()
    assert done.returncode == 0
    assert "what it had not stored is lost" in done.stderr
    assert not one.is_mounted
    one.start()
    assert (one.path / "f").read_bytes() == b"stored"


def test_a_mount_that_is_in_use_is_not_unmounted(bucket: Bucket, mount: MakeMount) -> None:
    one = mount(bucket)
    holder = open_dirty(one)
    refused = one.umount()
    assert refused.returncode == 5
    assert "busy" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert one.is_mounted
    # Yet what was written is stored by now.
    assert bucket.keys_below() == ["f"]
    holder.communicate(b"", timeout=10)
    one.end()


def test_umount_while_writers_are_busy_loses_nothing(bucket: Bucket, mount: MakeMount) -> None:
    one = mount(bucket)
    script = 'for i in $(seq 100); do echo $i >"$1"/f$i || exit 0; echo $i; done'
    writer = subprocess.Popen(
        ["bash", "-c", f"cd /; {script}", "sh", one.path],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: len(bucket.keys_below()) > 10)
    one.signal(signal.SIGTERM)
    assert one.wait() == 0
    written = writer.communicate(timeout=30)[0].split()
    stored = set(bucket.keys_below())
    # Whatever the shell took for written before the mount went is stored; the rest went past it
    # into the empty directory below.
    for number in written:
        name = f"f{number.decode()}"
        assert (name in stored) != (one.path / name).exists()
    for left in one.path.iterdir():
        left.unlink()


def test_in_the_background_the_command_returns_when_the_mount_answers(
    place: Place, bucket: Bucket
) -> None:
    one = Mount(place, bucket)
    try:
        started = one.ossfs(*one.words)
        assert (started.returncode, started.stdout, started.stderr) == (0, "", "")
        (one.path / "f").write_bytes(b"content")
        assert bucket.keys_below() == ["f"]
        logs = list(one.state_dir.glob("mounts/*/log"))
        assert len(logs) == 1
        assert "mounted oss://" in logs[0].read_text()
        second = one.ossfs(*one.words)
        assert second.returncode == 5
        shown = one.ossfs("stat", str(one.path / "f"), "--json")
        assert shown.returncode == 0, shown.stderr
        assert json.loads(shown.stdout)["encryption"]["encryption"] == "client"
    finally:
        done = one.umount()
    assert (done.returncode, done.stderr) == (0, "")
    assert not one.is_mounted


def test_several_mounts_live_side_by_side(bucket: Bucket, oss: Oss, mount: MakeMount) -> None:
    other = oss.new_bucket()
    one, two, three = mount(bucket), mount(bucket, prefix="below/it"), mount(other)
    for number, each in enumerate((one, two, three)):
        (each.path / "f").write_bytes(b"%d" % number)
    assert sorted(bucket.keys_below()) == ["below/it/f", "f"]
    assert other.keys_below() == ["f"]
    assert (one.path / "below" / "it" / "f").read_bytes() == b"1"
    two.end()
    assert (one.path / "f").read_bytes() == b"0"
    assert (three.path / "f").read_bytes() == b"2"


def test_two_mounts_on_one_directory_are_refused(
    place: Place, bucket: Bucket, mount: MakeMount
) -> None:
    one = mount(bucket)
    two = Mount(place, bucket, path=one.path)
    refused = two.ossfs(*two.words)
    assert refused.returncode == 5
    assert "busy" in refused.stderr


def test_the_state_directory_holds_nothing_that_outlives_the_mount(
    bucket: Bucket, mount: MakeMount
) -> None:
    one = mount(bucket, "--memory=16MiB")
    (one.path / "f").write_bytes(os.urandom(20_000_000))
    one.end()
    left = sorted(p.name for p in one.state_dir.rglob("*") if p.is_file() or p.is_socket())
    assert left == ["lock"]


@pytest.mark.parametrize("helper", ["mount.fuse3", "mount.ossfs"])
def test_it_mounts_as_mount_8_and_fstab_ask_for_it(
    place: Place, bucket: Bucket, tmp_path: Path, helper: str
) -> None:
    """mount(8) calls /sbin/mount.TYPE; that of the type fuse.ossfs is mount.fuse3, which calls
    `ossfs` without a subcommand.
    """
    program = f"#!{sys.executable}\nimport sys\nfrom ossfs.cli import main\nsys.exit(main())\n"
    for name in ("ossfs", "mount.ossfs"):
        (tmp_path / name).write_text(program)
        (tmp_path / name).chmod(0o755)
    one = Mount(place, bucket)
    names = ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "PYTHONPATH")
    environment = {name: one.environment[name] for name in names}
    environment["PATH"] = f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin"
    options = (
        f"rw,endpoint={bucket.oss.endpoint},region={bucket.oss.region},rsa-key={place.key},"
        f"state-dir={one.state_dir},_netdev,noatime"
    )
    source = f"oss://{bucket.name}/team"
    try:
        done = subprocess.run(
            [helper, source, one.path, "-o", options, "-t", "fuse.ossfs"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        (one.path / "f").write_bytes(b"content")
        assert bucket.keys_below() == ["team/f"]
        table = Path("/proc/self/mounts").read_text().splitlines()
        ours = next(line.split() for line in table if f" {one.path} " in line)
        assert (ours[0], ours[2]) == (source, "fuse.ossfs")
        assert {"rw", "nosuid", "nodev", "default_permissions"} <= set(ours[3].split(","))
    finally:
        ended = one.umount()
    assert (ended.returncode, ended.stderr) == (0, "")
