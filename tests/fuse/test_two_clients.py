"""Two mounts of one bucket, and another client at the same objects."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fuse.conftest import MakeMount
from tests.fuse.mounting import Mount, Place
from tests.fuse.oss import Bucket, Oss
from tests.fuse.programs import sh
from tests.waiting import wait_until

pytestmark = pytest.mark.fuse

NEVER_TRUSTED = ("--attr-ttl=0", "--negative-ttl=0")


@dataclass(frozen=True, kw_only=True)
class Corner:
    """One directory as both mounts show it, and as the bucket holds it."""

    mount: Mount
    one: Path
    two: Path
    prefix: str

    def put(self, key: str, body: bytes) -> None:
        self.mount.bucket.put(self.prefix + key, body)

    def delete(self, key: str) -> None:
        self.mount.bucket.delete(self.prefix + key)

    def stored(self, key: str) -> bytes:
        return self.mount.bucket.stored(self.prefix + key)

    @property
    def log(self) -> str:
        return self.mount.log

    @property
    def has_ended(self) -> bool:
        return self.mount.has_ended


@contextmanager
def two_mounts(place: Place, oss: Oss, *options: str) -> Iterator[Iterator[Corner]]:
    """Corners of two mounts; they are there before the mounts, since names may be old later."""
    bucket = oss.new_bucket()
    names = [f"corner{number}" for number in range(20)]
    bucket.fill([f"{name}/" for name in names])
    one, two = (Mount(place, bucket, *options) for _ in range(2))
    try:
        one.start()
        two.start()
        yield (
            Corner(mount=one, one=one.path / name, two=two.path / name, prefix=f"{name}/")
            for name in names
        )
        one.end()
        two.end()
    finally:
        try:
            one.clean_up()
        finally:
            two.clean_up()


@pytest.fixture(scope="module")
def corners(place: Place, oss: Oss) -> Iterator[Iterator[Corner]]:
    with two_mounts(place, oss, "--log-names") as made:
        yield made


@pytest.fixture(scope="module")
def wary_corners(place: Place, oss: Oss) -> Iterator[Iterator[Corner]]:
    with two_mounts(place, oss, *NEVER_TRUSTED) as made:
        yield made


@pytest.fixture
def corner(corners: Iterator[Corner]) -> Corner:
    """In mounts that trust what they know for the usual time."""
    return next(corners)


@pytest.fixture
def wary(wary_corners: Iterator[Corner]) -> Corner:
    """In mounts that trust nothing they know."""
    return next(wary_corners)


def test_what_one_mount_closed_the_other_opens(corner: Corner) -> None:
    (corner.one / "f").write_bytes(b"first")
    assert (corner.two / "f").read_bytes() == b"first"
    for content in (b"second", b"x", b"", b"longer again" * 10_000):
        # Within every TTL: open() asks, and whatever the kernel had cached is dropped.
        (corner.one / "f").write_bytes(content)
        assert (corner.two / "f").read_bytes() == content
        (corner.two / "f").write_bytes(content + b"!")
        assert (corner.one / "f").read_bytes() == content + b"!"


def test_an_old_handle_is_stale_and_a_new_one_reads_the_new_bytes(corner: Corner) -> None:
    old, new = os.urandom(3_000_000), os.urandom(2_500_000)
    (corner.one / "f").write_bytes(old)
    with (corner.two / "f").open("rb", buffering=0) as reader:
        assert os.pread(reader.fileno(), 1000, 0) == old[:1000]
        (corner.one / "f").write_bytes(new)
        # Far from what is cached or read ahead. Never a mixture of two versions.
        with pytest.raises(OSError, match="Stale") as stale:
            os.pread(reader.fileno(), 1000, 2_400_000)
        assert stale.value.errno == errno.ESTALE
        assert (corner.two / "f").read_bytes() == new
        with pytest.raises(OSError, match="Stale"):
            os.pread(reader.fileno(), 1000, 2_000_000)


def test_a_client_without_a_mount_replaces_and_deletes(corner: Corner) -> None:
    path = corner.one / "f"
    path.write_bytes(b"by the mount")
    corner.put("f", b"by another client")
    assert path.read_bytes() == b"by another client"
    assert path.stat().st_size == 17
    with path.open("rb", buffering=0) as reader:
        corner.delete("f")
        with pytest.raises(FileNotFoundError):
            path.read_bytes()
        with pytest.raises(OSError, match="Stale"):
            os.pread(reader.fileno(), 100, 0)
    assert not path.exists()
    path.write_bytes(b"again")
    assert path.read_bytes() == b"again"


def test_two_mounts_that_change_one_file_keep_both(corner: Corner) -> None:
    one, two = corner.one / "f", corner.two / "f"
    one.write_bytes(b"begin" * 100_000)
    ours = one.open("r+b", buffering=0)
    ours.write(b"OURS!")
    two.write_bytes(b"theirs")
    assert os.listdir(corner.one) == ["f"]
    with pytest.raises(OSError, match="Stale") as stale:
        ours.close()
    assert stale.value.errno == errno.ESTALE
    name = next(name for name in os.listdir(corner.one) if name != "f")
    assert name.startswith("f.conflict-")
    for folder in (corner.one, corner.two):
        assert (folder / "f").read_bytes() == b"theirs"
        assert (folder / "f").stat().st_size == 6
        assert (folder / name).read_bytes() == b"OURS!" + b"begin" * 99_999
    assert os.getxattr(one, "user.ossfs.upload") == b"clean"
    key = f"{corner.prefix}f"
    assert f"another client changed '{key}'; ours is kept as '{corner.prefix}{name}'" in corner.log

    file = (corner.one / "new").open("wb")
    file.write(b"ours")
    corner.put("new", b"by an SDK")
    with pytest.raises(OSError, match="Stale"):
        file.close()
    assert (corner.one / "new").read_bytes() == b"by an SDK"
    assert corner.stored("new") == b"by an SDK"
    (beside,) = corner.one.glob("new.conflict-*")
    assert beside.read_bytes() == b"ours"


@pytest.mark.parametrize("policy", ["last-wins", "fail"])
def test_a_conflict_may_be_won_or_left_to_the_user(
    bucket: Bucket, mount: MakeMount, policy: str
) -> None:
    one = mount(bucket, f"--conflict={policy}")
    path = one.path / "f"
    path.write_bytes(b"begin")
    file = path.open("r+b", buffering=0)
    file.write(b"OURS!")
    bucket.put("f", b"by an SDK")
    if policy == "fail":
        with pytest.raises(OSError, match="Stale"):
            file.close()
        assert os.getxattr(path, "user.ossfs.upload").startswith(b"failed: conflict: ")
        assert path.read_bytes() == b"OURS!"
        path.rename(one.path / "mine")
        assert path.read_bytes() == b"by an SDK"
        wait_until(lambda: os.getxattr(one.path, "user.ossfs.pending") == b"0")
        assert (one.path / "mine").read_bytes() == b"OURS!"
    else:
        file.close()
        assert path.read_bytes() == b"OURS!"
    assert os.getxattr(one.path, "user.ossfs.conflicts") == b"1"


def test_o_excl_loses_to_another_client_s_object(corner: Corner) -> None:
    descriptor = os.open(corner.one / "lock", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.write(descriptor, b"ours")
    corner.put("lock", b"theirs")
    with pytest.raises(FileExistsError):
        os.close(descriptor)
    assert corner.stored("lock") == b"theirs"
    (corner.one / "lock").unlink()


def test_of_two_hosts_one_makes_a_name_of_its_own(corner: Corner) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    assert not (corner.two / "lock").exists()  # and may be taken for absent by it for a while
    first, second = (os.open(top / "lock", flags, 0o644) for top in (corner.one, corner.two))
    os.write(first, b"first")
    os.write(second, b"second")
    os.close(second)
    with pytest.raises(FileExistsError):
        os.close(first)
    assert (corner.two / "lock").read_bytes() == b"second"
    (corner.one / "lock").unlink()  # what it staged, and nothing else
    assert (corner.two / "lock").read_bytes() == b"second"


def test_of_two_hosts_that_take_turns_the_second_finds_the_name_taken(wary: Corner) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    for _ in range(3):
        os.close(os.open(wary.one / "lock", flags, 0o644))
        with pytest.raises(FileExistsError):
            os.open(wary.two / "lock", flags, 0o644)
        (wary.one / "lock").unlink()


def test_handles_of_two_hosts_are_stale_once_a_third_client_stored(corner: Corner) -> None:
    old, new = os.urandom(700_000), os.urandom(600_000)
    (corner.one / "f").write_bytes(old)
    tops = (corner.one, corner.two)
    readers = [os.open(top / "f", os.O_RDONLY) for top in tops]
    assert [os.pread(reader, 10, 0) for reader in readers] == [old[:10]] * 2
    corner.put("f", new)
    for top, reader in zip(tops, readers, strict=True):
        assert (top / "f").read_bytes() == new
        assert (top / "f").stat().st_size == len(new)
        with pytest.raises(OSError, match="Stale"):
            os.pread(reader, 10, 500_000)
        os.close(reader)


def test_an_append_goes_to_the_end_of_what_another_client_made_of_it(
    corner: Corner,
) -> None:
    path = corner.two / "f"
    (corner.one / "f").touch()
    for number, content in enumerate((b"begin", b"much longer than before", b"s")):
        path.stat()  # the size that the kernel remembers
        (corner.one / "f").write_bytes(content)
        with path.open("ab", buffering=0) as file:
            file.write(b"%d" % number)
            file.write(b"!")
        assert (corner.one / "f").read_bytes() == content + b"%d!" % number
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


def test_with_a_ttl_of_0_names_and_sizes_are_never_old(wary: Corner) -> None:
    for number in range(5):
        name = f"f{number}"
        assert not (wary.two / name).exists()
        (wary.one / name).write_bytes(b"x" * number)
        assert (wary.two / name).stat().st_size == number
        assert name in os.listdir(wary.two)
        (wary.two / name).write_bytes(b"longer" * 10)
        assert (wary.one / name).stat().st_size == 60
        (wary.two / name).chmod(0o600)
        sh('sync "$1"', wary.two / name)
        assert (wary.one / name).stat().st_mode & 0o777 == 0o600
        (wary.two / name).rename(wary.two / f"{name}.moved")
        assert not (wary.one / name).exists()
        (wary.one / f"{name}.moved").unlink()
        assert os.listdir(wary.two) == []


def test_two_mounts_work_in_one_tree_without_losing_anything(wary: Corner) -> None:
    script = """
    fill() { for i in $(seq 12); do mkdir -p "$1/d$i"; echo "$2 $i" >"$1/d$i/$2"; done; }
    fill "$1" one & fill "$2" two & wait -n; wait -n
    cat "$1"/d*/* | sort
    """
    expected = sorted(f"{who} {i}" for who in ("one", "two") for i in range(1, 13))
    assert sorted(sh(script, wary.one, wary.two).splitlines()) == expected


def test_a_kind_that_changes_underneath_costs_only_the_old_handle(wary: Corner) -> None:
    path = wary.one / "thing"
    path.write_bytes(b"a file")
    with path.open("rb", buffering=0):
        wary.delete("thing")
        wary.put("thing/inside", b"now a directory")
        assert path.is_dir()
        assert (path / "inside").read_bytes() == b"now a directory"
    wary.delete("thing/inside")
    assert not path.exists()
    path.symlink_to("elsewhere")
    assert os.readlink(path) == "elsewhere"


def test_a_listing_survives_what_vanishes_behind_it(corner: Corner) -> None:
    for number in range(80):
        corner.put(f"f{number:03}", b"x")
    with os.scandir(corner.one) as entries:
        first = next(entries).name
        for number in range(80):
            corner.delete(f"f{number:03}")
        rest = [entry.name for entry in entries]
    assert first not in rest
    for name in rest:
        with pytest.raises(OSError, match=r"No such file|Stale"):
            (corner.one / name).read_bytes()
    assert not corner.has_ended
