"""Mounts whose master key lives in a KMS: they say at once what is wrong, and go on reading."""

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from ossfs.devserver import RunningServer
from tests.fuse.mounting import Mount, Place, run_command
from tests.keys.kms_world import ALIAS, environment, kms_server
from tests.waiting import wait_until

pytestmark = pytest.mark.fuse

SECRET = "open sesame"
CONTEXT = f'--kms-context={{"x-passphrase": "{SECRET}"}}'


@dataclass(frozen=True)
class Surroundings:
    """What a mount asks of its bucket, for a server in this process."""

    name: str
    server: RunningServer
    access_key_id: str = "full"

    @property
    def oss(self) -> "Surroundings":
        return self

    def environment(self) -> dict[str, str]:
        return environment(self.access_key_id) | {
            "OSSFS_ENDPOINT": self.server.endpoint,
            "OSSFS_REGION": self.server.region,
            "OSSFS_KMS_ENDPOINT": self.server.kms_endpoint,
            "OSSFS_ENCRYPT": "kms",
            "OSSFS_KMS_KEY_ID": ALIAS,
            "OSSFS_RETRIES": "1",
        }


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with kms_server(tmp_path / "oss") as running:
        yield running


MakeMount = Callable[..., Mount]


@pytest.fixture
def make(place: Place, server: RunningServer) -> Iterator[MakeMount]:
    """Makes mounts of that server, not started yet, that are gone when the test ends."""
    made: list[Mount] = []

    def new(*options: str, who: str = "full", **more: Any) -> Mount:
        bucket = cast("Any", Surroundings("bkt", server, who))
        made.append(Mount(place, bucket, *options, **more))
        return made[-1]

    yield new
    for one in reversed(made):
        one.clean_up()


def test_a_file_is_written_and_read_back_by_another_mount(
    make: MakeMount, server: RunningServer
) -> None:
    for number, options in enumerate([(), ("--kms-coding=double", CONTEXT), ("--signature=v1",)]):
        mount = make(*options).start()
        (mount.path / f"f{number}").write_bytes(b"content")
        mount.again()
        assert (mount.path / f"f{number}").read_bytes() == b"content"
        assert os.getxattr(mount.path / f"f{number}", "user.ossfs.master-key") == ALIAS.encode()
        assert SECRET not in mount.log
        mount.end()
        headers = server.object_headers("bkt", f"f{number}")
        assert headers["x-oss-meta-client-side-encryption-wrap-alg"] == "KMS/ALICLOUD"


def test_without_the_kms_files_that_were_read_stay_readable_and_others_are_enokey(
    make: MakeMount, server: RunningServer
) -> None:
    writing, reading = make().start(), make().start()
    for name in ("known", "unknown"):
        (writing.path / name).write_bytes(b"content")
    assert (reading.path / "known").read_bytes() == b"content"
    server.add_kms_fault("status=503")
    for _ in range(3):
        with pytest.raises(OSError, match="key") as failed:
            (reading.path / "unknown").read_bytes()
        assert failed.value.errno == errno.ENOKEY
    assert (reading.path / "known").read_bytes() == b"content"
    assert reading.log.count("refuses Decrypt") == 1  # once, however often it is asked
    server.clear_kms_faults()
    assert (reading.path / "unknown").read_bytes() == b"content"
    reading.end()
    writing.end()


def test_a_write_that_no_key_can_be_had_for_is_enokey_and_stored_later(
    make: MakeMount, server: RunningServer
) -> None:
    mount = make().start()
    server.add_kms_fault("status=503")
    failed: list[int | None] = []
    for number in range(100):
        try:
            (mount.path / f"f{number}").write_bytes(b"content")
        except OSError as error:
            failed.append(error.errno)
            break
    assert failed == [errno.ENOKEY]
    server.clear_kms_faults()
    wait_until(lambda: server.keys("bkt") and not mount.umount().returncode)
    assert mount.wait() == 0
    assert f"f{number}" in server.keys("bkt")


def refused(mount: Mount, **environ: str) -> str:
    """What `ossfs mount` says of why it cannot be; its exit code must be that of a key."""
    done = run_command(tuple(mount.words), mount.environment | environ)
    assert done.returncode == 4, done.stderr
    (line,) = done.stderr.splitlines()
    assert not mount.is_mounted
    return line


def test_a_key_that_does_not_work_is_said_before_the_mount_answers(
    make: MakeMount, server: RunningServer
) -> None:
    key_id = server.create_key()
    assert "no such alias" in refused(make(), OSSFS_KMS_KEY_ID="alias/nobody")
    assert "kms:Encrypt" in refused(make(who="reader"))
    assert "kms:Decrypt" in refused(make(who="writer"))
    server.set_key_enabled(key_id, False)
    for option in ((), ("--read-only",)):
        assert "isabled" in refused(make(*option), OSSFS_KMS_KEY_ID=key_id)
    port_of_nobody = "http://127.0.0.1:1"
    assert "cannot reach the KMS" in refused(make(), OSSFS_KMS_ENDPOINT=port_of_nobody)


def test_a_mount_that_only_reads_needs_no_permission_to_encrypt(
    make: MakeMount, server: RunningServer
) -> None:
    writing = make().start()
    (writing.path / "f").write_bytes(b"content")
    writing.end()
    reading = make("--read-only", who="reader").start()
    assert (reading.path / "f").read_bytes() == b"content"
    assert "ERROR" not in reading.log
    reading.end()
