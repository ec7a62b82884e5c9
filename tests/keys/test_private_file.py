"""Files that hold secrets are refused where others may use them."""

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ossfs.errors import KeyProblem
from ossfs.keys import private_file, rsa, symmetric
from ossfs.keys.kms_context import read_context
from ossfs.keys.passphrase import read_passphrase
from tests.keys.fakes import private_pem, public_pem, rsa_key, write_private

PLAIN = private_pem(rsa_key())
ENCRYPTED = private_pem(rsa_key(), passphrase=b"open sesame")

Load = Callable[[Path], object]
HOLDERS: dict[str, tuple[bytes, Load]] = {
    "private key": (PLAIN, rsa.load),
    "private key, PKCS#1": (private_pem(rsa_key(), pkcs1=True), rsa.load),
    "encrypted private key": (ENCRYPTED, lambda path: rsa.load(path, passphrase=b"open sesame")),
    "encrypted private key, PKCS#1": (
        private_pem(rsa_key(), pkcs1=True, passphrase=b"open sesame"),
        lambda path: rsa.load(path, passphrase=b"open sesame"),
    ),
    "symmetric key": (bytes(32), symmetric.load),
    "passphrase": (b"open sesame\n", read_passphrase),
    "context": (b'{"x-passphrase": "open sesame"}\n', read_context),
}
every_holder = pytest.mark.parametrize(("content", "load"), HOLDERS.values(), ids=HOLDERS)


@every_holder
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o660, 0o777])
def test_a_secret_that_others_may_use_is_refused_with_the_command_that_helps(
    tmp_path: Path, content: bytes, load: Load, mode: int
) -> None:
    file = write_private(tmp_path / "my secret", content)
    file.chmod(mode)
    with pytest.raises(KeyProblem) as caught:
        load(file)
    assert f"(mode {mode:04o}); `chmod 600 '{file}'` makes" in str(caught.value)
    assert caught.value.exit_code == 4


@every_holder
@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700])
def test_what_is_its_owner_s_alone_is_taken(
    tmp_path: Path, content: bytes, load: Load, mode: int
) -> None:
    file = write_private(tmp_path / "secret", content)
    file.chmod(mode)
    assert load(file)


@every_holder
def test_a_pipe_has_no_mode_that_counts(content: bytes, load: Load) -> None:
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "wb") as file:
            file.write(content)

    os.fchmod(reading, 0o666)
    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert load(Path(f"/dev/fd/{reading}"))
    finally:
        thread.join()
        os.close(reading)


@every_holder
def test_a_descriptor_of_a_file_is_that_file(tmp_path: Path, content: bytes, load: Load) -> None:
    with write_private(tmp_path / "secret", content).open("rb") as file:
        assert load(Path(f"/dev/fd/{file.fileno()}"))
        os.fchmod(file.fileno(), 0o644)
        with pytest.raises(KeyProblem, match="chmod 600"):
            load(Path(f"/dev/fd/{file.fileno()}"))


def test_a_link_is_judged_by_where_it_leads(tmp_path: Path) -> None:
    file = write_private(tmp_path / "secret", bytes(32))
    (tmp_path / "link").symlink_to(file)
    assert symmetric.load(tmp_path / "link").name == "link"
    file.chmod(0o644)
    with pytest.raises(KeyProblem, match="chmod 600"):
        symmetric.load(tmp_path / "link")


def test_a_public_key_is_for_everyone(tmp_path: Path) -> None:
    for pkcs1 in (False, True):
        (tmp_path / "key.pub.pem").write_bytes(public_pem(rsa_key(), pkcs1=pkcs1))
        (tmp_path / "key.pub.pem").chmod(0o666)
        assert not rsa.load(tmp_path / "key.pub.pem").can_unwrap


def file_of(owner: int, path: Path, mode: int = 0o600) -> private_file.PrivateFile:
    found = os.stat_result((stat.S_IFREG | mode, 1, 1, 1, owner, 0, 32, 0, 0, 0))
    return private_file.PrivateFile(path=path, content=bytes(32), found=found)


@pytest.mark.parametrize(
    ("owner", "me", "taken"),
    [(0, 0, True), (0, 1000, True), (1000, 1000, True), (1001, 1000, False), (1000, 0, True)],
)
def test_it_belongs_to_root_or_to_who_mounts_unless_that_is_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int, me: int, taken: bool
) -> None:
    file = file_of(owner, tmp_path / "key")
    monkeypatch.setattr(os, "geteuid", lambda: me)
    if taken:
        file.require_private()
        return
    with pytest.raises(KeyProblem, match=rf"uid {owner}\); `sudo chown {me} {tmp_path}/key`"):
        file.require_private()


@pytest.mark.parametrize(
    ("sudo_uid", "warned"), [("1000", False), ("1001", True), ("", True), (None, True)]
)
def test_root_is_told_of_an_owner_who_did_not_run_sudo(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    sudo_uid: str | None,
    warned: bool,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.delenv("SUDO_UID", raising=False)
    if sudo_uid is not None:
        monkeypatch.setenv("SUDO_UID", sudo_uid)
    file_of(1000, tmp_path / "key").require_private()
    told = [f"{tmp_path}/key belongs to another user (uid 1000), who can change it"]
    assert caplog.messages == (told if warned else [])
    with pytest.raises(KeyProblem, match="chmod 600"):
        file_of(1000, tmp_path / "key", mode=0o640).require_private()


def test_nothing_secret_stands_in_a_repr(tmp_path: Path) -> None:
    file = private_file.read(write_private(tmp_path / "passphrase", "open sesame"))
    assert file.content == b"open sesame"
    assert "sesame" not in repr(file)
