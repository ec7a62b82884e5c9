"""What is wrong with a mount is said before it is mounted: one line, the documented exit code."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fuse.mounting import Mount, Place, command
from tests.fuse.oss import Bucket, Oss
from tests.keys.fakes import private_pem, public_pem, rsa_key, write_private

pytestmark = pytest.mark.fuse


@pytest.fixture(scope="module")
def bucket(oss: Oss) -> Bucket:
    return oss.new_bucket()


@dataclass(frozen=True, kw_only=True)
class Case:
    """words: {…} stand for things that the test makes; says: parts of the one line."""

    code: int
    says: tuple[str, ...]
    words: tuple[str, ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)
    source: str = "oss://{bucket}"
    mountpoint: str = "{mountpoint}"
    toml: str = ""


KEY = ("--rsa-key={key}",)
CASES = {
    "no key and no word about encryption": Case(code=2, says=("--rsa-key", "--encrypt")),
    "missing key": Case(
        code=4,
        says=("{folder}/none.pem", "does not exist", "ossfs keygen"),
        words=("--rsa-key={folder}/none.pem",),
    ),
    "a directory as key": Case(
        code=4, says=("{folder}", "cannot be read"), words=("--rsa-key={folder}",)
    ),
    "unreadable key": Case(
        code=4,
        says=("{folder}/locked.pem", "cannot be read", "permissions"),
        words=("--rsa-key={folder}/locked.pem",),
    ),
    "key that others can read": Case(
        code=4,
        says=("{folder}/open.pem", "(mode 0644)", "`chmod 600 {folder}/open.pem`"),
        words=("--rsa-key={folder}/open.pem",),
    ),
    "passphrase that others can read": Case(
        code=4,
        says=("`chmod 600 {folder}/open.pem`",),
        words=("--rsa-key={folder}/protected.pem", "--key-passphrase-file={folder}/open.pem"),
    ),
    "not a key": Case(code=4, says=("is not a PEM file",), words=("--rsa-key={folder}/text",)),
    "passphrase needed": Case(
        code=4, says=("--key-passphrase-file",), words=("--rsa-key={folder}/protected.pem",)
    ),
    "wrong passphrase": Case(
        code=4,
        says=("protected.pem", "does not open with this passphrase"),
        words=("--rsa-key={folder}/protected.pem", "--key-passphrase-file={folder}/text"),
    ),
    "RSA 1024": Case(
        code=4, says=("has 1024 bits", "2048 to 4096"), words=("--rsa-key={folder}/weak.pem",)
    ),
    "RSA 1024, public": Case(
        code=4, says=("has 1024 bits",), words=("--rsa-key={folder}/weak.pub.pem",)
    ),
    "wrong secret": Case(
        code=3,
        says=("credentials", "SignatureDoesNotMatch"),
        words=KEY,
        environment={"OSS_ACCESS_KEY_SECRET": "wrong"},
    ),
    "unknown access key": Case(
        code=3,
        says=("credentials", "InvalidAccessKeyId"),
        words=KEY,
        environment={"OSS_ACCESS_KEY_ID": "nobody"},
    ),
    "no credentials": Case(
        code=3,
        says=("OSS_ACCESS_KEY_ID",),
        words=KEY,
        environment={"OSS_ACCESS_KEY_ID": None, "OSS_ACCESS_KEY_SECRET": None},
    ),
    "no such bucket": Case(
        code=3, says=("no-such-bucket", "does not exist"), words=KEY, source="oss://no-such-bucket"
    ),
    "unreachable endpoint": Case(
        code=3,
        says=("http://127.0.0.1:1",),
        words=(*KEY, "--endpoint=http://127.0.0.1:1", "--retries=0"),
    ),
    "unknown host": Case(
        code=3,
        says=("https://oss.invalid",),
        words=(*KEY, "--endpoint=https://oss.invalid", "--retries=0"),
    ),
    "http beyond this machine": Case(
        code=2, says=("--allow-http",), words=(*KEY, "--endpoint=http://192.0.2.1")
    ),
    "mount point missing": Case(
        code=5, says=("does not exist", "mkdir -p"), words=KEY, mountpoint="{folder}/nowhere"
    ),
    "mount point is a file": Case(
        code=5, says=("is not a directory",), words=KEY, mountpoint="{folder}/text"
    ),
    "mount point not empty": Case(
        code=5, says=("is not empty", "--nonempty"), words=KEY, mountpoint="{folder}"
    ),
    "mount point busy": Case(code=5, says=("/proc is busy",), words=KEY, mountpoint="/proc"),
    "malformed matdesc": Case(code=2, says=("--matdesc",), words=(*KEY, '--matdesc={{"a"')),
    "matdesc is no object of texts": Case(
        code=2, says=("--matdesc",), words=(*KEY, '--matdesc={{"a": 1}}')
    ),
    "matdesc too long": Case(
        code=2, says=("--matdesc",), words=(*KEY, '--matdesc={{"a": "' + "x" * 600 + '"}}')
    ),
    "unknown option": Case(code=2, says=("--colour",), words=(*KEY, "--colour=red")),
    "unknown -o": Case(
        code=2, says=("unknown option regon", "region"), words=(*KEY, "-o", "regon=x")
    ),
    "unknown TOML key": Case(
        code=2, says=("unknown key memroy", "memory"), words=KEY, toml="memroy = 1"
    ),
    "not TOML": Case(code=2, says=("is not TOML",), words=KEY, toml="= ="),
    "option of a later version": Case(
        code=2, says=("unknown option --write-mode",), words=(*KEY, "--write-mode=back")
    ),
    "prefix that is no path": Case(code=2, says=("a//b",), words=KEY, source="oss://{bucket}/a//b"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bad")
    write_private(made / "text", "no key\n")
    (made / "locked.pem").write_bytes(private_pem(rsa_key()))
    (made / "locked.pem").chmod(0)
    write_private(made / "protected.pem", private_pem(rsa_key(), passphrase=b"right"))
    (made / "open.pem").write_bytes(private_pem(rsa_key()))
    write_private(made / "weak.pem", private_pem(rsa_key(bits=1024)))
    (made / "weak.pub.pem").write_bytes(public_pem(rsa_key(bits=1024)))
    return made


@pytest.mark.parametrize("name", CASES)
def test_it_is_said_in_one_line_and_nothing_is_mounted(
    place: Place, bucket: Bucket, folder: Path, name: str
) -> None:
    case = CASES[name]
    one = Mount(place, bucket)
    made = {
        "bucket": bucket.name,
        "key": place.key,
        "folder": folder,
        "mountpoint": one.path,
    }
    environment = {**one.environment, **case.environment}
    words = ["mount", case.source, case.mountpoint, *case.words]
    if case.toml:
        (one.home / "config.toml").write_text(case.toml)
        words.append(f"--config={one.home}/config.toml")
    done = subprocess.run(
        # Root reads every file unless it gives that up.
        [
            "setpriv",
            "--bounding-set=-dac_override,-dac_read_search",
            *command(*(word.format_map(made) for word in words)),
        ],
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        cwd="/",
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (case.code, ""), done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("ossfs: ")
    for part in case.says:
        assert part.format_map(made) in lines[0]
    assert not one.is_mounted
    secrets = (bucket.oss.secret, "right", "PRIVATE KEY-----")
    assert not any(secret in done.stderr for secret in secrets)
