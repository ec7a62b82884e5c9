"""Server-side encryption and policies on a real mount, as people use them."""

import errno
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ossfs.keys.keygen import generate
from tests.fuse.conftest import MakeMount
from tests.fuse.mounting import Place, command_environment, run_command
from tests.fuse.oss import Bucket

pytestmark = pytest.mark.fuse

HEADER = "x-oss-server-side-encryption"


def xattr(path: Path, name: str) -> str:
    return os.getxattr(path, f"user.ossfs.{name}").decode()


def tool(*words: str | Path) -> str:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=True)
    return done.stdout


def encryption(bucket: Bucket, key: str) -> str | None:
    found: str | None = bucket.client.head_object(key).headers.get(HEADER)
    return found


def test_setfattr_changes_the_object_and_what_other_clients_change_is_shown(
    mount: MakeMount, bucket: Bucket
) -> None:
    one = mount(bucket, "--encrypt=none", "--attr-ttl=0")
    file = one.path / "01.txt"
    file.write_bytes(b"content")
    assert encryption(bucket, "01.txt") is None
    with file.open("rb") as before:
        tool("setfattr", "-n", "user.ossfs.sse", "-v", "AES256", file)
        assert encryption(bucket, "01.txt") == "AES256"
        assert before.read() == b"content"
    assert "sse" not in tool("getfattr", "-d", file)
    assert 'user.ossfs.encryption="server"' in tool("getfattr", "-d", file)
    file.rename(one.path / "02.txt")
    assert encryption(bucket, "02.txt") == "AES256"
    bucket.client.update_object_meta("02.txt", {HEADER: "KMS"})
    assert xattr(one.path / "02.txt", "sse").startswith("KMS:")
    with pytest.raises(OSError, match="Invalid argument") as refused:
        os.setxattr(one.path / "02.txt", "user.ossfs.sse", b"AES512")
    assert refused.value.errno == errno.EINVAL
    tool("cp", "-a", one.path / "02.txt", one.path / "copy")
    assert encryption(bucket, "copy") is None
    tool("setfattr", "-x", "user.ossfs.sse", one.path / "02.txt")
    assert encryption(bucket, "02.txt") is None


def test_sse_goes_with_client_side_encryption(mount: MakeMount, bucket: Bucket) -> None:
    one = mount(bucket, "--sse=AES256")
    file = one.path / "f"
    file.write_bytes(b"content")
    assert xattr(file, "encryption") == "client+server"
    assert xattr(one.path, "encryption") == "client+server"
    assert encryption(bucket, "f") == "AES256"
    os.setxattr(file, "user.ossfs.sse", b"none")
    assert xattr(file, "encryption") == "client"
    one.again()
    assert file.read_bytes() == b"content"


POLICIES = """
[[policy]]
glob = "letters"
key = "team"
sse = "AES256"

[[policy]]
glob = "/public"
encrypt = "none"
"""


def test_policies_of_the_file_are_what_a_mount_does(
    mount: MakeMount, bucket: Bucket, tmp_path: Path, place: Place
) -> None:
    generate(tmp_path / "team", bits=2048)
    ring = tmp_path / "ring.toml"
    ring.write_text(
        f"active = 'usual'\n[key.usual]\nkind = 'rsa'\nfile = '{place.key}'\n"
        f"[key.team]\nkind = 'rsa'\nfile = '{tmp_path / 'team.pem'}'\n"
    )
    config = tmp_path / "config.toml"
    config.write_text(POLICIES)
    words = (f"--keyring={ring}", f"--config={config}")
    one = mount(bucket, *words)
    expected = {
        "f": ("client", "usual"),
        "public/f": ("none", None),
        "letters/f": ("client+server", "team"),
        "deep/letters/f": ("client+server", "team"),
        "deep/public/f": ("client", "usual"),
    }
    for name, (shown, key) in expected.items():
        file = one.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        assert xattr(file.parent, "encryption") == shown
        file.write_bytes(name.encode())
        assert xattr(file, "encryption") == shown
        if key is not None:
            assert xattr(file, "master-key") == key
    config.write_text("")
    one.again()
    for name in expected:
        assert (one.path / name).read_bytes() == name.encode()


@pytest.mark.parametrize(
    ("toml", "code", "says"),
    [
        ("glob = 'a//b'\nsse = 'KMS'", 2, "(a//b): glob: 'a//b' matches nothing"),
        ("glob = 'a'\nkey = 'other'", 4, "(a): there is no key other"),
        ("glob = 'a'\nencrypt = 'kms'", 4, "(a): there is no kms key"),
        ("glob = 'a'\nsse = 'KMS:gone'", 4, "(a): OSS cannot encrypt with gone: "),
    ],
)
def test_a_policy_that_cannot_hold_is_found_before_mounting(
    bucket: Bucket, tmp_path: Path, place: Place, toml: str, code: int, says: str
) -> None:
    config, mountpoint = tmp_path / "config.toml", tmp_path / "mnt"
    config.write_text(f"[[policy]]\n{toml}\n")
    mountpoint.mkdir()
    environment: dict[str, Any] = command_environment(tmp_path) | dict(bucket.oss.environment())
    words = ("mount", f"oss://{bucket.name}", str(mountpoint), f"--rsa-key={place.key}")
    done = run_command((*words, f"--config={config}"), environment)
    assert (done.returncode, done.stderr.count("\n")) == (code, 1)
    assert says in done.stderr


def test_a_key_that_oss_does_not_have_is_found_before_mounting(
    bucket: Bucket, tmp_path: Path, place: Place
) -> None:
    mountpoint = tmp_path / "mnt"
    mountpoint.mkdir()
    environment: dict[str, Any] = command_environment(tmp_path) | dict(bucket.oss.environment())
    words = ("mount", f"oss://{bucket.name}", str(mountpoint), f"--rsa-key={place.key}")
    done = run_command((*words, "--sse=KMS", "--sse-kms-key-id=gone"), environment)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    assert "--sse KMS: OSS cannot encrypt with gone: " in done.stderr
