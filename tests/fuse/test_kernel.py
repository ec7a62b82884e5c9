"""What the kernel does to a mount that is slow, busy or wrong."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.fuse.conftest import MakeMount
from tests.fuse.mounting import Mount
from tests.fuse.oss import Bucket, Oss
from tests.fuse.programs import sh
from tests.waiting import wait_until

pytestmark = pytest.mark.fuse


def test_many_slow_closes_keep_no_stat_waiting(oss: Oss, bucket: Bucket, mount: MakeMount) -> None:
    one = mount(bucket, "--parallel=64")
    (one.path / "known").touch()
    oss.service.add_fault("op=PutObject,key=slow*,delay=3000")
    script = 'for i in $(seq 150); do echo x >"$1"/slow$i & done; wait'
    closes = subprocess.Popen(["bash", "-c", script, "sh", one.path])
    wait_until(lambda: int(os.getxattr(one.path, "user.ossfs.pending")) == 150)
    slowest = 0.0
    for number in range(20):
        begun = time.monotonic()
        (one.path / f"absent{number}").exists()
        (one.path / "known").stat()
        os.getxattr(one.path / "known", "user.ossfs.upload")
        slowest = max(slowest, time.monotonic() - begun)
    assert closes.poll() is None
    assert slowest < 2
    oss.service.clear_faults()
    assert closes.wait(60) == 0
    assert len(bucket.keys_below("slow")) == 150


def test_slow_reads_keep_no_one_else_waiting(oss: Oss, shared: Mount, work: Path) -> None:
    for number in range(30):
        (work / f"slow{number}").write_bytes(b"x")
    (work / "fast").write_bytes(b"fast")
    oss.service.add_fault("op=GetObject,key=*/slow*,delay=3000")
    script = 'for i in $(seq 0 29); do cat "$1"/slow$i & done; wait'
    readers = subprocess.Popen(["bash", "-c", script, "sh", work], stdout=subprocess.PIPE)
    for number in range(5):
        (work / f"new{number}").write_bytes(b"x")
        assert (work / "fast").read_bytes() == b"fast"
    assert readers.poll() is None
    assert readers.communicate(timeout=60)[0] == b"x" * 30
    oss.service.clear_faults()


def test_a_reader_that_is_killed_does_no_harm(oss: Oss, work: Path) -> None:
    (work / "slow").write_bytes(b"content")
    oss.service.add_fault("op=GetObject,key=*/slow,delay=2000,times=1")
    reader = subprocess.Popen(["cat", work / "slow"], stdout=subprocess.DEVNULL)
    waits_in = Path(f"/proc/{reader.pid}/wchan")
    wait_until(lambda: "request_wait_answer" in waits_in.read_text())
    reader.kill()
    reader.wait(10)  # the kernel waits for the answer all the same
    assert (work / "slow").read_bytes() == b"content"
    oss.service.clear_faults()


def test_two_hundred_processes_at_a_time(shared: Mount, work: Path) -> None:
    script = """
    for i in $(seq 200); do
        (mkdir "$1"/d$i && echo $i >"$1"/d$i/f && mv "$1"/d$i/f "$1"/d$i/g && cat "$1"/d$i/g) &
    done
    wait
    """
    assert sorted(map(int, sh(script, work).split())) == list(range(1, 201))


def test_every_process_and_thread_sees_one_directory_change(shared: Mount, work: Path) -> None:
    script = """
    cd "$1"
    for w in 1 2 3 4; do
        (for i in $(seq 25); do
            echo $w >f$w.$i; mv f$w.$i g$w.$i; [ -e g$w.$i ] || echo lost; rm g$w.$i
            [ ! -e g$w.$i ] || echo still there
         done) &
    done
    wait
    ls -A
    """
    assert sh(script, work) == ""
    assert shared.bucket.keys_below(f"{work.name}/") == [f"{work.name}/"]


def test_the_kernel_reads_a_megabyte_ahead(bucket: Bucket, mount: MakeMount) -> None:
    one = mount(bucket)
    device = os.stat(one.path).st_dev
    name = f"{os.major(device)}:{os.minor(device)}"
    ahead = Path(f"/sys/class/bdi/{name}/read_ahead_kb")
    if os.access(ahead, os.W_OK) and "read-ahead stays" not in one.log:
        assert ahead.read_text() == "1024\n"


def test_inode_numbers_stay_while_they_are_known(bucket: Bucket, mount: MakeMount) -> None:
    one = mount(bucket, "--attr-ttl=0", "--negative-ttl=0")
    (one.path / "d").mkdir()
    (one.path / "d" / "f").write_bytes(b"x")
    number = (one.path / "d" / "f").stat().st_ino
    with (one.path / "d" / "f").open("rb") as file:
        (one.path / "d" / "f").rename(one.path / "g")
        assert os.fstat(file.fileno()).st_ino == number
        assert (one.path / "g").stat().st_ino == number
        bucket.put("g", b"another version")
        assert (one.path / "g").stat().st_size == 15
    numbers = {p.stat().st_ino for p in (one.path, one.path / "d", one.path / "g")}
    assert len(numbers) == 3
