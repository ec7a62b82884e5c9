"""How many requests ordinary work costs, counted by the server."""

import os
from pathlib import Path

import pytest

from tests.fuse.conftest import MakeMount
from tests.fuse.mounting import Mount
from tests.fuse.oss import Bucket, Requests
from tests.fuse.programs import sh
from tests.waiting import wait_until

pytestmark = pytest.mark.fuse


@pytest.fixture
def requests(shared: Mount, work: Path) -> Requests:
    """What is asked from here on; the directory of the test was just made, so it is warm."""
    return shared.bucket.watch()


def test_a_new_file_is_one_put_and_nothing_else(requests: Requests, work: Path) -> None:
    (work / "f").write_bytes(b"content")
    assert requests.counts() == {"PutObject": 1}


def test_cp_of_a_file_is_one_put(requests: Requests, work: Path, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(os.urandom(1_000_000))
    sh('cp "$2"/f "$1"/f', work, tmp_path)
    assert requests.counts() == {"PutObject": 1}


def test_a_file_that_is_written_again_is_asked_for_once_before(shared: Mount, work: Path) -> None:
    (work / "f").write_bytes(b"first")
    requests = shared.bucket.watch()
    (work / "f").write_bytes(b"second")
    # One HEAD because open() asks what is there, one because somebody may have changed it since.
    assert requests.counts() == {"HeadObject": 2, "PutObject": 1}


def test_echoes_of_the_shell_into_one_redirect_are_stored_when_it_is_closed(
    requests: Requests, work: Path
) -> None:
    sh('for i in $(seq 20); do echo $i; done >"$1"/f', work)
    # The shell opens the file, makes the descriptor its stdout and closes the first one: the empty
    # file is stored. Nothing is closed then until the loop has ended.
    assert requests.counts() == {"PutObject": 2, "HeadObject": 1}
    assert (work / "f").read_text() == sh("seq 20")


def test_a_loop_of_20_processes_into_one_redirect_costs_one_put_for_each(
    requests: Requests, work: Path
) -> None:
    # 23 closes: that of the first descriptor, those of 20 processes, and two clean ones.
    sh('for i in $(seq 20); do env echo $i; done >"$1"/f', work)
    assert requests.counts() == {"PutObject": 21, "HeadObject": 20}
    assert (work / "f").read_text() == sh("seq 20")


def test_closing_a_descriptor_that_nothing_was_written_through_costs_nothing(
    shared: Mount, work: Path
) -> None:
    (work / "f").write_bytes(b"content")
    requests = shared.bucket.watch()
    sh('exec 9<>"$1"/f; for i in $(seq 5); do env true; done', work)
    assert requests.counts() == {"GetObject": 1}


def test_closes_side_by_side_share_uploads(requests: Requests, work: Path) -> None:
    script = """
    exec 9>"$1"/f
    for i in $(seq 40); do (echo line $i >&9) & done
    wait
    """
    sh(script, work)
    assert len((work / "f").read_text().splitlines()) == 40
    assert requests.count("PutObject") < 40


def test_rsync_costs_put_tags_copy_and_delete_for_each_file(
    requests: Requests, work: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(10):
        (source / f"f{number}").write_bytes(b"%d" % number * 1000)
    sh('rsync -a "$2"/ "$1"/d/', work, source)
    counts = requests.counts(f"{work.name}/d/")
    # Under its temporary name each file is stored when it is closed. Its time and mode, set after
    # that, ride as object tags on the copy of the rename, for which the present tags are read.
    # Newer versions of rsync open the file again to set its mode, and open() asks once.
    assert counts.pop("GetObject", 10) == 10
    assert counts.pop("PutObject") in {11, 12}  # the directory's marker, again if its time is set
    assert counts == {"GetObjectTagging": 10, "CopyObject": 10, "DeleteObject": 10}
    # Nothing of it is left to do: the copies carry everything.
    sh('sync "$1"/d/f0', work)
    assert requests.count("PutObjectTagging") == 0


def test_a_second_rsync_only_looks(shared: Mount, work: Path, tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"f{number}").write_bytes(b"%d" % number * 1000)
    sh('rsync -a "$2"/ "$1"/d/', work, tmp_path)
    requests = shared.bucket.watch()
    sh('rsync -a "$2"/ "$1"/d/', work, tmp_path)
    assert set(requests.counts()) <= {"ListObjectsV2", "HeadObject", "GetObjectTagging"}


def test_open_and_read_of_a_small_file_is_one_get(shared: Mount, work: Path) -> None:
    (work / "f").write_bytes(os.urandom(100_000))
    sh('cat "$1"/f >/dev/null', work)
    requests = shared.bucket.watch()
    sh('cat "$1"/f >/dev/null', work)
    assert requests.counts() == {"GetObject": 1}


def test_open_of_an_empty_file_is_one_head(shared: Mount, work: Path) -> None:
    (work / "f").touch()
    requests = shared.bucket.watch()
    assert (work / "f").read_bytes() == b""
    assert requests.counts() == {"HeadObject": 1}


def test_opens_under_ttl_trust_what_is_known(bucket: Bucket, mount: MakeMount) -> None:
    one = mount(bucket, "--open-check=ttl", "--attr-ttl=60")
    (one.path / "f").write_bytes(b"content")
    assert (one.path / "f").read_bytes() == b"content"
    requests = bucket.watch()
    for _ in range(3):
        assert (one.path / "f").read_bytes() == b"content"
    assert requests.counts() == {}


def test_stat_of_known_names_and_of_known_absences_costs_nothing(shared: Mount, work: Path) -> None:
    (work / "f").touch()
    requests = shared.bucket.watch()
    sh('for i in $(seq 10); do [ -e "$1"/f ]; [ ! -e "$1"/g ]; [ ! -e "$1"/h$i ]; done', work)
    assert requests.counts() == {}


def test_ls_l_asks_once_for_each_file_that_is_not_known(bucket: Bucket, mount: MakeMount) -> None:
    for number in range(30):
        bucket.put(f"d/f{number}", b"x")
    one = mount(bucket)
    requests = bucket.watch()
    assert sh('ls -l "$1"/d | wc -l', one.path) == "31\n"
    counts = requests.counts()
    assert counts["HeadObject"] in {30, 31}  # and one for the name d itself
    assert counts["ListObjectsV2"] <= 2
    requests = bucket.watch()
    assert sh('ls -l "$1"/d | wc -l', one.path) == "31\n"
    assert requests.counts() == {}


def test_changes_of_attributes_are_gathered_into_one_put_of_tags(shared: Mount, work: Path) -> None:
    path = work / "f"
    path.write_bytes(b"content")
    requests = shared.bucket.watch()
    path.chmod(0o600)
    os.chown(path, 1000, 1000)
    os.utime(path, (1, 2))
    os.setxattr(path, "user.a", b"1")
    wait_until(lambda: requests.count("PutObjectTagging"))
    wait_until(lambda: os.getxattr(path, "user.ossfs.upload") == b"clean")
    counts = requests.counts()
    assert counts.pop("HeadObject", 1) == 1
    assert counts == {"PutObjectTagging": 1, "GetObjectTagging": 1}


def test_a_rename_is_one_copy_and_one_delete(shared: Mount, work: Path) -> None:
    (work / "f").write_bytes(b"content")
    requests = shared.bucket.watch()
    (work / "f").rename(work / "g")
    assert requests.counts() == {"CopyObject": 1, "DeleteObject": 1}


def test_mkdir_is_one_put_and_rmdir_looks_and_deletes(requests: Requests, work: Path) -> None:
    (work / "d").mkdir()
    assert requests.counts() == {"PutObject": 1}
    (work / "d").rmdir()
    assert requests.counts() == {"PutObject": 1, "ListObjectsV2": 1, "DeleteObject": 1}


def test_a_large_file_is_read_once(shared: Mount, work: Path) -> None:
    path = work / "f"
    path.write_bytes(os.urandom(9_000_000))
    requests = shared.bucket.watch()
    sh('cat "$1" >/dev/null', path)
    assert sum(r.sent for r in requests.all()) < 9_500_000
    requests = shared.bucket.watch()
    sh('dd if="$1" bs=4096 skip=1000 count=1 status=none >/dev/null', path)
    # Pages that the kernel still has are not read again; open() asks once.
    assert requests.counts() == {"GetObject": 1}
