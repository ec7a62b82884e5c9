"""Each client-side mode on a real mount, and keyrings as people use them."""

import errno
import os
from pathlib import Path

import pytest

from tests.fuse.conftest import MakeMount
from tests.fuse.mounting import run_command
from tests.fuse.oss import Bucket
from tests.modes.modes import MODES, Mode
from tests.modes.place import Place, new_place

pytestmark = [
    pytest.mark.fuse,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:aliyunsdkcore.*"),
    pytest.mark.filterwarnings("ignore::SyntaxWarning:aliyunsdkcore.*"),
]

CONTENT = os.urandom(300_000)


@pytest.fixture
def keys(bucket: Bucket, tmp_path: Path) -> Place:
    return new_place(bucket, bucket.oss.service.kms_endpoint(), tmp_path)


def words_of(mode: Mode, keys: Place) -> list[str]:
    """Its options as a mount takes them."""
    told = mode.options.replace("--", "\0--").replace(" \0", "\0").split("\0")[1:]
    named = [word.replace("{folder}", str(keys.folder)) for word in mode.words]
    named = [word.replace("{kms}", keys.kms_endpoint) for word in named]
    return [*(word.replace(" ", "=") for word in told), *named]


def xattr(path: Path, name: str) -> str:
    return os.getxattr(path, f"user.ossfs.{name}").decode()


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_mount_and_the_clients_of_its_mode_read_each_other_s_files(
    mount: MakeMount, bucket: Bucket, keys: Place, mode: Mode
) -> None:
    one = mount(bucket, *words_of(mode, keys), "--attr-ttl=0", "--negative-ttl=0")
    file = one.path / "ours"
    file.write_bytes(CONTENT)
    file.chmod(0o640)
    for make in mode.readers.values():
        sdk = make(keys)
        assert sdk.get("ours", None, None) == CONTENT
        assert sdk.get("ours", 100_001, 200_002) == CONTENT[100_001:200_003]
    assert xattr(file, "integrity") == ("tagged" if mode.sealed else "none")
    assert xattr(file, "wrap-alg") == mode.wrap_alg
    for number, make in enumerate(mode.writers.values()):
        make(keys).put(f"theirs {number}", CONTENT)
        assert (one.path / f"theirs {number}").read_bytes() == CONTENT
        assert xattr(one.path / f"theirs {number}", "integrity") == "none"
    one.again()
    assert file.read_bytes() == CONTENT
    assert file.stat().st_mode & 0o777 == 0o640
    (one.path / "ours").rename(one.path / "moved")
    with (one.path / "moved").open("ab") as appended:
        appended.write(b"more")
    assert next(iter(mode.readers.values()))(keys).get("moved", None, None) == CONTENT + b"more"


def test_a_keyring_opens_what_any_of_its_keys_encrypted_and_shows_the_name(
    mount: MakeMount, bucket: Bucket, keys: Place
) -> None:
    ring = keys.folder / "keys.toml"
    ring.write_text(
        """active = "archive"
[key.archive]
kind = "aes"
file = "aes.key"
[key.team]
kind = "rsa"
file = "key.pem"
matdesc = { team = "photos" }
[key.cloud]
kind = "kms"
key-id = "alias/ossfs-demo"
"""
        f'endpoint = "{keys.kms_endpoint}"\n'
    )
    option = f"--keyring={ring}"
    names = ("archive", "team", "cloud")
    for name in names:
        text = ring.read_text()
        ring.write_text(f'active = "{name}"\n' + text.partition("\n")[2])
        one = mount(bucket, option)
        (one.path / name).write_text(name)
        done = one.ossfs("key", "test", option)
        assert (done.returncode, done.stderr) == (0, "")
        one.end()
    last = mount(bucket, option)
    for name in names:
        assert (last.path / name).read_text() == name
        assert xattr(last.path / name, "master-key") == name
    (keys.folder / "few.toml").write_text(
        'active = "archive"\n[key.archive]\nkind = "aes"\nfile = "aes.key"\n'
    )
    few = mount(bucket, f"--keyring={keys.folder / 'few.toml'}")
    assert (few.path / "archive").read_text() == "archive"
    for name in ("team", "cloud"):
        with pytest.raises(OSError, match="key") as refused:
            (few.path / name).read_text()
        assert refused.value.errno == errno.ENOKEY


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--dialect=deprecated", "--integrity=require", "--rsa-key=key.pem"), 2, "drop one"),
        (("--dialect=deprecated", "--encrypt=none"), 2, "--encrypt none"),
        (("--dialect=deprecated", "--aes-key=aes.key"), 2, "--encrypt aes"),
        (("--encrypt=aes",), 2, "--aes-key FILE"),
        (("--aes-key=open.key",), 4, "chmod 600"),
        (("--aes-key=key.pem",), 4, "neither 32 bytes nor 64 hex digits"),
        (("--keyring=none.toml",), 4, "does not exist"),
        (("--keyring=keys.toml", "--rsa-key=key.pem"), 2, "names all keys"),
        (("--keyring=keys.toml", "--encrypt=rsa"), 4, "the active key a is aes"),
        (("--keyring=keys.toml", "--dialect=deprecated"), 4, "symmetric"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_mount(
    keys: Place, bucket: Bucket, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    (tmp_path / "open.key").write_bytes(bytes(32))
    (tmp_path / "keys.toml").write_text('active="a"\n[key.a]\nkind="aes"\nfile="aes.key"\n')
    (tmp_path / "mnt").mkdir()
    told = [word.replace("=", f"={tmp_path}/") if "." in word else word for word in words]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "HOME": str(tmp_path),
        **bucket.oss.environment(),
    }
    where = (f"oss://{bucket.name}", str(tmp_path / "mnt"))
    done = run_command(("mount", *where, *told), environment)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
