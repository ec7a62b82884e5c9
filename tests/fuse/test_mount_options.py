"""Options of a mount and what they do to what people see."""

import errno
import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.fuse.conftest import MakeMount
from tests.fuse.mounting import Place
from tests.fuse.oss import Bucket
from tests.fuse.programs import sh

pytestmark = pytest.mark.fuse

NOBODY = 65534
BECOME_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


def as_nobody(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A shell script run by the user nobody; $1, $2… are its arguments."""
    return subprocess.run(
        [*BECOME_NOBODY, "bash", "-c", script, "sh", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd="/",
        timeout=60,
        check=False,
    )


@pytest.fixture
def reachable(open_to_all: Path) -> Path:
    """A mount point to which others may walk."""
    made = open_to_all / "mnt"
    made.mkdir()
    return made


def test_a_read_only_mount_changes_nothing(bucket: Bucket, mount: MakeMount) -> None:
    writer = mount(bucket)
    (writer.path / "f").write_bytes(b"content")
    (writer.path / "d").mkdir()
    writer.end()
    one = mount(bucket, "--read-only")
    requests = bucket.watch()
    assert (one.path / "f").read_bytes() == b"content"
    script = """
    cd "$1"
    for deed in 'echo x >f' 'echo x >new' 'mkdir new' 'rm f' 'rmdir d' 'mv f g' 'chmod 600 f' \\
        'chown 1:1 f' 'touch f' 'ln -s f l' 'truncate -s 0 f' 'setfattr -n user.a -v 1 f' \\
        'mkfifo p'
    do
        (eval "$deed") 2>&1 | grep -q 'Read-only file system' || echo "done: $deed"
    done
    """
    assert sh(script, one.path) == ""
    kinds = {r.operation for r in requests.all()}
    assert kinds <= {"GetObject", "HeadObject", "ListObjectsV2", "GetObjectTagging"}
    assert bucket.keys_below() == ["d/", "f"]


def test_owner_and_mode_can_be_the_same_for_all(bucket: Bucket, mount: MakeMount) -> None:
    bucket.put("f", b"x")
    bucket.put("d/g", b"x")
    one = mount(bucket, "-o", "uid=1234,gid=2345,umask=027")
    for name, mode in (("f", 0o750), ("d", 0o750), ("d/g", 0o750)):
        facts = (one.path / name).stat()
        assert (facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)) == (1234, 2345, mode)
    (one.path / "new").touch()
    assert (one.path / "new").stat().st_uid == 1234
    two = mount(bucket, "--attr-ttl=0")
    facts = (two.path / "f").stat()
    assert (facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)) == (0, 0, 0o644)


def test_nobody_else_may_enter_unless_allowed(
    reachable: Path, bucket: Bucket, mount: MakeMount
) -> None:
    one = mount(bucket, path=reachable)
    (one.path / "f").write_bytes(b"content")
    refused = as_nobody('cat "$1"/f', one.path)
    assert "Permission denied" in refused.stderr


def test_others_who_are_allowed_may_do_what_the_bits_say(
    reachable: Path, bucket: Bucket, mount: MakeMount
) -> None:
    one = mount(bucket, "--allow-other", path=reachable)
    one.path.chmod(0o1777)
    (one.path / "open").write_bytes(b"for all")
    (one.path / "secret").write_bytes(b"for me")
    (one.path / "secret").chmod(0o600)
    assert as_nobody('cat "$1"/open', one.path).stdout == "for all"
    assert "Permission denied" in as_nobody('cat "$1"/secret', one.path).stderr
    assert "Permission denied" in as_nobody('echo x >>"$1"/open', one.path).stderr
    assert as_nobody('umask 027; mkdir "$1"/d; echo mine >"$1"/d/f', one.path).returncode == 0
    facts = (one.path / "d" / "f").stat()
    assert (facts.st_uid, facts.st_gid) == (NOBODY, NOBODY)
    assert stat.S_IMODE(facts.st_mode) == 0o640
    assert "not permitted" in as_nobody('rm -f "$1"/open', one.path).stderr  # sticky
    one.again()
    assert (one.path / "d" / "f").stat().st_uid == NOBODY


def test_set_gid_directories_hand_their_group_on(bucket: Bucket, mount: MakeMount) -> None:
    one = mount(bucket)
    (one.path / "d").mkdir()
    os.chown(one.path / "d", 0, 2345)
    (one.path / "d").chmod(0o2775)
    (one.path / "d" / "f").touch()
    (one.path / "d" / "sub").mkdir()
    assert (one.path / "d" / "f").stat().st_gid == 2345
    assert (one.path / "d" / "sub").stat().st_gid == 2345
    assert (one.path / "d" / "sub").stat().st_mode & stat.S_ISGID


def test_set_uid_programs_and_devices_of_a_bucket_are_never_honoured(
    reachable: Path, bucket: Bucket, mount: MakeMount
) -> None:
    one = mount(bucket, "-o", "suid,dev,allow_other", path=reachable)
    sh('cp /usr/bin/id "$1"/id; chmod 4755 "$1"/id', one.path)
    assert as_nobody('"$1"/id -u', one.path).stdout == f"{NOBODY}\n"
    options = next(
        line.split()[3]
        for line in Path("/proc/self/mounts").read_text().splitlines()
        if f" {one.path} " in line
    )
    assert {"nosuid", "nodev"} <= set(options.split(","))


def test_noexec_runs_nothing(bucket: Bucket, mount: MakeMount) -> None:
    one = mount(bucket, "-o", "noexec")
    assert "Permission denied" in sh('cp /bin/true "$1"; "$1"/true 2>&1 || true', one.path)


def test_nonempty_covers_what_is_there(place: Place, bucket: Bucket, mount: MakeMount) -> None:
    path = place.new_folder("mnt")
    (path / "below").write_text("covered")
    one = mount(bucket, "--nonempty", path=path)
    assert os.listdir(path) == []
    one.end()
    assert (path / "below").read_text() == "covered"
    (path / "below").unlink()


def test_options_come_from_a_file_and_from_the_environment(
    place: Place, bucket: Bucket, mount: MakeMount, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'umask = "077"\nread-only = true\n[bucket.{bucket.name}]\nuid = 4321\n')
    bucket.put("f", b"x")
    one = mount(bucket, f"--config={config}", environment={"OSSFS_READ_ONLY": "off"})
    facts = (one.path / "f").stat()
    assert (facts.st_uid, stat.S_IMODE(facts.st_mode)) == (4321, 0o700)
    (one.path / "writable").touch()


def test_the_log_names_no_file_unless_asked_to(bucket: Bucket, mount: MakeMount) -> None:
    bucket.put("both-of-them", b"x")
    bucket.put("both-of-them/inside", b"x")
    one = mount(bucket, "--log-level=debug")
    (one.path / "both-of-them").stat()
    os.listdir(one.path)
    assert "<name> is a file and a directory" in one.log
    assert "both-of-them" not in one.log
    two = mount(bucket, "--log-names")
    (two.path / "both-of-them").stat()
    assert "'both-of-them' is a file and a directory" in two.log


def test_statfs_is_roomy(bucket: Bucket, mount: MakeMount) -> None:
    one = mount(bucket)
    facts = os.statvfs(one.path)
    assert facts.f_namemax == 255
    assert facts.f_bavail * facts.f_frsize > 1 << 40
    assert facts.f_favail > 1 << 20


# --- a public key alone --------------------------------------------------------------------------


def test_a_public_key_writes_and_reads_back_its_own_files_only(
    place: Place, bucket: Bucket, mount: MakeMount
) -> None:
    full = mount(bucket, "--attr-ttl=0", "--negative-ttl=0")
    (full.path / "old").write_bytes(b"old bytes" * 1000)
    blind = mount(bucket, key=place.public_key)

    content = os.urandom(200_000)
    (blind.path / "new").write_bytes(content)
    assert (blind.path / "new").read_bytes() == content
    with (blind.path / "new").open("ab") as file:
        file.write(b"more")
    assert (full.path / "new").read_bytes() == content + b"more"

    for attempt in ('cat "$1"', 'echo x >>"$1"', 'truncate -s 5 "$1"'):
        message = sh(f"({attempt}) 2>&1 || true", blind.path / "old")
        assert os.strerror(errno.ENOKEY) in message
    assert (blind.path / "old").stat().st_size == 9000
    assert (full.path / "old").read_bytes() == b"old bytes" * 1000

    # What needs no old bytes works.
    (blind.path / "old").chmod(0o600)
    (blind.path / "old").rename(blind.path / "moved")
    assert (full.path / "moved").read_bytes() == b"old bytes" * 1000
    (blind.path / "moved").write_bytes(b"replaced")
    assert (blind.path / "moved").read_bytes() == b"replaced"
    assert (full.path / "moved").read_bytes() == b"replaced"

    # The keys of its own files go with it.
    blind.again()
    with pytest.raises(OSError, match="key"):
        (blind.path / "new").read_bytes()
