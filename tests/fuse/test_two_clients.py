"""Two mounts of one bucket, and another client at the same objects."""

import errno
import os

import pytest

from tests.fuse.conftest import MakeMount
from tests.fuse.mounting import Mount
from tests.fuse.oss import Bucket
from tests.fuse.programs import sh
from tests.fuse.waiting import wait_until

pytestmark = pytest.mark.fuse

NEVER_TRUSTED = ("--attr-ttl=0", "--negative-ttl=0")


def test_what_one_mount_closed_the_other_opens(bucket: Bucket, mount: MakeMount) -> None:
    one, two = mount(bucket), mount(bucket)
    (one.path / "f").write_bytes(b"first")
    assert (two.path / "f").read_bytes() == b"first"
    for content in (b"second", b"x", b"", b"longer again" * 10_000):
        # Within every TTL: open() asks, and whatever the kernel had cached is dropped.
        (one.path / "f").write_bytes(content)
        assert (two.path / "f").read_bytes() == content
        (two.path / "f").write_bytes(content + b"!")
        assert (one.path / "f").read_bytes() == content + b"!"


def test_an_old_handle_is_stale_and_a_new_one_reads_the_new_bytes(
    bucket: Bucket, mount: MakeMount
) -> None:
    one, two = mount(bucket), mount(bucket)
    old, new = os.urandom(3_000_000), os.urandom(2_500_000)
    (one.path / "f").write_bytes(old)
    with (two.path / "f").open("rb", buffering=0) as reader:
        assert os.pread(reader.fileno(), 1000, 0) == old[:1000]
        (one.path / "f").write_bytes(new)
        # Far from what is cached or read ahead. Never a mixture of two versions.
        with pytest.raises(OSError, match="Stale") as stale:
            os.pread(reader.fileno(), 1000, 2_400_000)
        assert stale.value.errno == errno.ESTALE
        assert (two.path / "f").read_bytes() == new
        with pytest.raises(OSError, match="Stale"):
            os.pread(reader.fileno(), 1000, 2_000_000)


def test_a_client_without_a_mount_replaces_and_deletes(bucket: Bucket, mount: MakeMount) -> None:
    one = mount(bucket)
    path = one.path / "f"
    path.write_bytes(b"by the mount")
    bucket.put("f", b"by another client")
    assert path.read_bytes() == b"by another client"
    assert path.stat().st_size == 17
    with path.open("rb", buffering=0) as reader:
        bucket.delete("f")
        with pytest.raises(FileNotFoundError):
            path.read_bytes()
        with pytest.raises(OSError, match="Stale"):
            os.pread(reader.fileno(), 100, 0)
    assert not path.exists()
    path.write_bytes(b"again")
    assert path.read_bytes() == b"again"


def test_the_last_close_wins_and_the_log_says_so(bucket: Bucket, mount: MakeMount) -> None:
    one = mount(bucket, "--log-names")
    path = one.path / "f"
    path.write_bytes(b"begin")
    with path.open("r+b") as file:
        file.write(b"OURS!")
        bucket.put("f", b"foreign")
    assert path.read_bytes() == b"OURS!"
    assert "another client changed 'f'; the last close wins" in one.log

    with (one.path / "new").open("wb") as file:
        file.write(b"ours")
        bucket.put("new", b"foreign")
    assert (one.path / "new").read_bytes() == b"ours"
    assert "another client created 'new'; the last close wins" in one.log


def test_o_excl_loses_to_another_client_s_object(bucket: Bucket, mount: MakeMount) -> None:
    one = mount(bucket)
    descriptor = os.open(one.path / "lock", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.write(descriptor, b"ours")
    bucket.put("lock", b"theirs")
    with pytest.raises(FileExistsError):
        os.close(descriptor)
    assert bucket.stored("lock") == b"theirs"
    (one.path / "lock").unlink()


def test_an_append_goes_to_the_end_of_what_another_client_made_longer_or_shorter(
    bucket: Bucket, mount: MakeMount
) -> None:
    one, two = mount(bucket), mount(bucket)
    path = two.path / "f"
    (one.path / "f").touch()
    for number, content in enumerate((b"begin", b"much longer than before", b"s")):
        path.stat()  # the size that the kernel remembers
        (one.path / "f").write_bytes(content)
        with path.open("ab", buffering=0) as file:
            file.write(b"%d" % number)
            file.write(b"!")
        assert (one.path / "f").read_bytes() == content + b"%d!" % number
        assert path.read_bytes() == content + b"%d!" % number


def test_names_are_seen_within_their_ttl(bucket: Bucket, mount: MakeMount) -> None:
    one = mount(bucket, "--attr-ttl=1", "--negative-ttl=1")
    assert os.listdir(one.path) == []
    assert not (one.path / "f").exists()
    bucket.put("f", b"content")
    bucket.put("d/g", b"content")
    wait_until((one.path / "f").exists, seconds=3)
    wait_until(lambda: sorted(os.listdir(one.path)) == ["d", "f"], seconds=3)
    assert (one.path / "d" / "g").read_bytes() == b"content"
    bucket.delete("f")
    bucket.delete("d/g")
    wait_until(lambda: not (one.path / "f").exists(), seconds=3)
    wait_until(lambda: os.listdir(one.path) == [], seconds=3)


def test_with_a_ttl_of_0_names_and_sizes_are_never_old(bucket: Bucket, mount: MakeMount) -> None:
    one, two = mount(bucket, *NEVER_TRUSTED), mount(bucket, *NEVER_TRUSTED)
    for number in range(5):
        name = f"f{number}"
        assert not (two.path / name).exists()
        (one.path / name).write_bytes(b"x" * number)
        assert (two.path / name).stat().st_size == number
        assert name in os.listdir(two.path)
        (two.path / name).write_bytes(b"longer" * 10)
        assert (one.path / name).stat().st_size == 60
        (two.path / name).chmod(0o600)
        sh('sync "$1"', two.path / name)
        assert (one.path / name).stat().st_mode & 0o777 == 0o600
        (two.path / name).rename(two.path / f"{name}.moved")
        assert not (one.path / name).exists()
        (one.path / f"{name}.moved").unlink()
        assert os.listdir(two.path) == []


def test_two_mounts_work_in_one_tree_without_losing_anything(
    bucket: Bucket, mount: MakeMount
) -> None:
    one, two = mount(bucket, *NEVER_TRUSTED), mount(bucket, *NEVER_TRUSTED)
    script = """
    fill() { for i in $(seq 12); do mkdir -p "$1/d$i"; echo "$2 $i" >"$1/d$i/$2"; done; }
    fill "$1" one & fill "$2" two & wait -n; wait -n
    cat "$1"/d*/* | sort
    """
    expected = sorted(f"{who} {i}" for who in ("one", "two") for i in range(1, 13))
    assert sorted(sh(script, one.path, two.path).splitlines()) == expected


def test_a_kind_that_changes_underneath_costs_only_the_old_handle(
    bucket: Bucket, mount: MakeMount
) -> None:
    one = mount(bucket, *NEVER_TRUSTED)
    path = one.path / "thing"
    path.write_bytes(b"a file")
    with path.open("rb", buffering=0):
        bucket.delete("thing")
        bucket.put("thing/inside", b"now a directory")
        assert path.is_dir()
        assert (path / "inside").read_bytes() == b"now a directory"
    bucket.delete("thing/inside")
    assert not path.exists()
    path.symlink_to("elsewhere")
    assert os.readlink(path) == "elsewhere"


def test_a_listing_survives_what_vanishes_behind_it(bucket: Bucket, mount: MakeMount) -> None:
    for number in range(80):
        bucket.put(f"f{number:03}", b"x")
    one: Mount = mount(bucket)
    with os.scandir(one.path) as entries:
        first = next(entries).name
        for number in range(80):
            bucket.delete(f"f{number:03}")
        rest = [entry.name for entry in entries]
    assert first not in rest
    for name in rest:
        with pytest.raises(OSError, match=r"No such file|Stale"):
            (one.path / name).read_bytes()
    assert not one.has_ended
