"""No plaintext and no key outside the process, after a busy run: every byte is looked at."""

import base64
import errno
import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.fuse.conftest import MakeMount
from tests.fuse.mounting import Mount, Place
from tests.fuse.observing import error_of_close
from tests.fuse.oss import Bucket, Oss
from tests.fuse.programs import sh
from tests.keys.fakes import rsa_key

pytestmark = pytest.mark.fuse

MARKER = b"The harvest is hidden behind the old mill"
LINK = "a-target-that-nobody-may-read"


def secrets_of(bucket: Bucket) -> dict[str, bytes]:
    """What must be found nowhere, by what it is."""
    key = rsa_key()
    found = {
        "plaintext": MARKER,
        "plaintext in base64": base64.b64encode(MARKER)[4:44],
        "plaintext in hex": MARKER.hex().encode(),
        "target of a link": LINK.encode(),
        "access key secret": bucket.oss.secret.encode(),
    }
    return found | {f"key: {name}": value for name, value in forms_of(key).items()}


def forms_of(key: RSAPrivateKey) -> dict[str, bytes]:
    """The private parts of a key in every form in which they might lie around."""
    numbers = key.private_numbers()
    integers = {"d": numbers.d, "p": numbers.p, "q": numbers.q, "dmp1": numbers.dmp1}
    forms: dict[str, bytes] = {}
    for name, number in integers.items():
        raw = number.to_bytes((number.bit_length() + 7) // 8)
        forms[name] = raw[:64]
        forms[f"{name} in hex"] = raw.hex().encode()[:64]
        forms[f"{name} in decimal"] = str(number).encode()[:64]
        forms[f"{name} in base64"] = base64.b64encode(raw)[:64]
    kinds = {"PKCS#8": PrivateFormat.PKCS8, "PKCS#1": PrivateFormat.TraditionalOpenSSL}
    for kind, form in kinds.items():
        pem = key.private_bytes(Encoding.PEM, form, NoEncryption())
        body = b"".join(pem.splitlines()[1:-1])
        for number, start in enumerate(range(64, len(body) - 64, 256)):
            forms[f"{kind} line {number}"] = body[start : start + 64]
    return forms


def found_in(places: list[tuple[str, bytes]], secrets: dict[str, bytes]) -> list[str]:
    return [
        f"{what} in {where}"
        for where, data in places
        for what, secret in secrets.items()
        if secret in data
    ]


def files_below(folder: Path) -> list[tuple[str, bytes]]:
    return [(str(path), path.read_bytes()) for path in folder.rglob("*") if path.is_file()]


def open_files_of(process: int) -> list[tuple[str, bytes]]:
    """Contents of all that the process has open, files without a name among them."""
    found = []
    for link in Path(f"/proc/{process}/fd").iterdir():
        target = os.readlink(link)
        if target.startswith("/") and not target.startswith("/dev/"):
            found.append((target, link.read_bytes()))
    return found


def busy_run(one: Mount, tmp_path: Path) -> None:
    """All that writes plaintext into a mount, markers all over it."""
    text = b"\n".join(b"%d: %s" % (number, MARKER) for number in range(20_000))
    (tmp_path / "text").write_bytes(text)
    script = """
    cd "$1"
    cp "$2"/text text
    for i in 1 2 3 4 5 6 7 8; do cat "$2"/text "$2"/text "$2"/text; done >large
    cat "$2"/text >>text
    dd if="$2"/text of=text bs=1 seek=100 count=50 conv=notrunc status=none
    ln -s "$3" link
    mkdir d; mv text d/renamed; cp -a d e; rm -r d
    tar -cf a.tar e; grep -c harvest e/renamed large >/dev/null
    echo "$4" >short; truncate -s 30 short
    """
    sh(script, one.path, tmp_path, LINK, MARKER.decode())
    (tmp_path / "text").unlink()


def test_nothing_secret_is_in_the_bucket_the_state_directory_or_the_log(
    oss: Oss, bucket: Bucket, mount: MakeMount, tmp_path: Path
) -> None:
    one = mount(bucket, "--log-level=debug", "--memory=16MiB", "--part-size=1MiB", "--retries=0")
    secrets = secrets_of(bucket)
    busy_run(one, tmp_path)
    # A file that is open and larger than the memory for it, one that cannot be stored, one that
    # cannot be read, and refusals of many kinds.
    holder = (one.path / "open").open("wb")
    for _ in range(600):
        holder.write(MARKER * 1000)
    oss.service.add_fault("op=PutObject,key=refused,status=503")
    assert error_of_close(one.path / "refused", MARKER * 100) == errno.EIO
    oss.service.clear_faults()
    bucket.tamper("short", ossfs_head=base64.b64encode(bytes(32)).decode())
    with pytest.raises(OSError, match="Input/output"):
        (one.path / "short").read_bytes()

    open_files = open_files_of(one.pid)
    assert any(len(data) > 5_000_000 for _, data in open_files)  # it has spilled
    assert found_in(open_files, secrets) == []
    holder.close()
    sh('sync "$1"', one.path / "refused")
    one.end()
    local = files_below(one.home)
    assert str(one.log_file) in dict(local)
    assert found_in(local, secrets) == []
    # The whole disk of the server: bodies, headers, names; and every object as it is served.
    assert found_in(files_below(oss.root), secrets) == []
    stored = [(key, bucket.stored(key)) for key in bucket.keys_below()]
    assert len(stored) >= 8
    assert found_in(stored, secrets) == []
    headers = [(key, repr(bucket.headers(key)).encode()) for key in bucket.keys_below()]
    assert found_in(headers, secrets) == []


def test_the_search_finds_what_lies_open(
    place: Place, bucket: Bucket, mount: MakeMount, tmp_path: Path
) -> None:
    one = mount(bucket, "--encrypt=none")
    busy_run(one, tmp_path)
    stored = [(key, bucket.stored(key)) for key in bucket.keys_below()]
    assert found_in(stored, {"plaintext": MARKER, "link": LINK.encode()})
    private = [("key", place.key.read_bytes())]
    assert found_in(private, forms_of(rsa_key()))


def test_a_crash_leaves_no_plaintext_and_no_core(
    bucket: Bucket, mount: MakeMount, tmp_path: Path
) -> None:
    one = mount(bucket, "--memory=16MiB")
    script = 'exec 9>"$1"/open; for i in $(seq 30); do cat "$2" >&9; done; echo ready; read'
    (tmp_path / "text").write_bytes(MARKER * 20_000)
    writer = subprocess.Popen(
        ["bash", "-c", script, "sh", one.path, tmp_path / "text"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"ready\n"
    # A core would hold the keys and what was written; so there is none, whatever the limits say.
    resource.prlimit(one.pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
    one.signal(signal.SIGABRT)
    ended = os.waitid(os.P_PID, one.pid, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    writer.communicate(b"", timeout=30)
    assert ended.si_code == os.CLD_KILLED, "its memory was dumped"
    assert one.wait() == -signal.SIGABRT
    assert one.umount().returncode == 0
    assert found_in(files_below(one.home), secrets_of(bucket)) == []
