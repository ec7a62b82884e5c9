"""`ossfs convert`, `stat` and `ls` of paths in a live mount, whose settings nobody repeats."""

import json
import os
import subprocess
from collections.abc import Mapping

import pytest

from tests.fuse.conftest import MakeMount
from tests.fuse.mounting import Mount, Place, run_command
from tests.fuse.oss import Bucket
from tests.keys.fakes import private_pem, rsa_key, write_private

pytestmark = pytest.mark.fuse

CONTENT = bytes(range(256)) * (32 << 10)


def ossfs(mount: Mount, *words: str) -> subprocess.CompletedProcess[str]:
    """A command that knows credentials and the state directory, and nothing else."""
    told: Mapping[str, str] = {
        name: text
        for name, text in mount.environment.items()
        if name not in {"OSSFS_ENDPOINT", "OSSFS_REGION"}
    }
    return run_command(words, told)


def converted(mount: Mount, *words: str) -> list[int]:
    done = ossfs(mount, "convert", *words, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    return [summary[name]["objects"] for name in ("converted", "as-asked", "skipped", "failed")]


def test_a_directory_of_a_live_mount_is_converted_and_the_mount_sees_it(
    mount: MakeMount, bucket: Bucket, place: Place
) -> None:
    one = mount(bucket, "--read-ahead=0", prefix="team")
    folder = one.path / "d"
    folder.mkdir()
    (folder / "f").write_bytes(CONTENT)
    (folder / "g").write_bytes(b"")
    (folder / "link").symlink_to("f")
    os.utime(folder / "f", ns=(5, 10**18 + 7))
    (folder / "f").chmod(0o640)
    os.setxattr(folder / "f", "user.a", b"b")
    new = place.new_folder("keys") / "new.pem"
    write_private(new, private_pem(rsa_key(1)))
    before = os.stat(folder / "f")
    with (folder / "f").open("rb", buffering=0) as held:
        held.read(3)
        words = (str(folder), "--to", "key=new.pem", f"--rsa-key={new}")
        assert converted(one, *words) == [3, 0, 1, 0]
        # What the kernel still has of the old version is right; the rest is gone.
        os.posix_fadvise(held.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        with pytest.raises(OSError, match="Stale"):
            os.preadv(held.fileno(), [bytearray(4000)], len(CONTENT) - 4000)
    assert converted(one, *words) == [0, 3, 1, 0]
    again = mount(bucket, f"--rsa-key={new}", prefix="team")
    there = again.path / "d"
    assert (there / "f").read_bytes() == CONTENT
    assert (there / "g").read_bytes() == b""
    assert os.readlink(there / "link") == "f"
    after = os.stat(there / "f")
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert os.getxattr(there / "f", "user.a") == b"b"
    assert os.getxattr(there / "f", "user.ossfs.master-key") == b"new.pem"
    assert not [key for key in bucket.keys_below() if "/.ossfs/convert/" in key]


def test_server_side_encryption_of_one_file_changes_under_its_readers(
    mount: MakeMount, bucket: Bucket
) -> None:
    one = mount(bucket)
    file = one.path / "f"
    file.write_bytes(b"content")
    with file.open("rb", buffering=0) as held:
        assert converted(one, str(file), "--to", "sse=AES256") == [1, 0, 0, 0]
        assert held.read() == b"content"
    assert converted(one, str(file), "--to", "sse=AES256,encrypt=rsa") == [0, 1, 0, 0]
    assert file.read_bytes() == b"content"
    assert os.getxattr(file, "user.ossfs.encryption") == b"client+server"


def test_stat_and_ls_tell_of_paths_what_oss_says(mount: MakeMount, bucket: Bucket) -> None:
    one = mount(bucket, "--sse=AES256", prefix="p")
    (one.path / "f").write_bytes(b"content")
    told = ossfs(one, "stat", str(one.path / "f"))
    lines = dict(line.split(": ", 1) for line in told.stdout.splitlines() if line)
    assert lines["ACL".ljust(28)] == "default"
    assert lines["Content-Length".ljust(28)] == "7"
    assert lines["X-Oss-Server-Side-Encryption"] == "AES256"
    assert lines["Encryption".ljust(28)] == "client+server"
    assert lines["Master-Key".ljust(28)] == "key.pem"
    assert lines["Integrity".ljust(28)] == "tagged"
    listed = ossfs(one, "ls", str(one.path), "--json")
    (found,) = [json.loads(line) for line in listed.stdout.splitlines()]
    assert (found["url"], found["encryption"]) == (f"oss://{bucket.name}/p/f", "client+server")


def test_the_rules_by_path_of_a_mount_hold_for_what_is_there_already(
    mount: MakeMount, bucket: Bucket, place: Place
) -> None:
    bucket.put("team/d/open/f", b"open")
    bucket.put("team/d/f", b"closed")
    config = place.new_folder("config") / "config.toml"
    config.write_text('[[policy]]\nglob = "open"\nencrypt = "none"\nsse = "AES256"\n')
    one = mount(bucket, f"--config={config}", prefix="team")
    assert converted(one, str(one.path / "d"), "--to", "policy") == [2, 0, 0, 0]
    kinds = [
        os.getxattr(one.path / "d" / name, "user.ossfs.encryption") for name in ("f", "open/f")
    ]
    assert kinds == [b"client", b"server"]
    assert (one.path / "d/f").read_bytes() == b"closed"
