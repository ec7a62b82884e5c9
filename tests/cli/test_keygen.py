"""Making a key pair from the command line."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from ossfs.cli import main
from tests.keys.fakes import write_private


def test_it_makes_a_pair_and_says_how_to_mount_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keygen", str(tmp_path / "my key"), "--bits", "2048"]) == 0
    private, public = tmp_path / "my key.pem", tmp_path / "my key.pub.pem"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    key = load_pem_private_key(private.read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    assert key.key_size == 2048
    assert load_pem_public_key(public.read_bytes()) == key.public_key()
    out = capsys.readouterr().out
    assert f"--rsa-key '{private}'" in out
    assert "ossfs mount oss://BUCKET" in out


def test_a_passphrase_encrypts_the_private_part_and_is_never_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_private(tmp_path / "passphrase", "open sesame\n")
    words = ["keygen", str(tmp_path / "k"), "--bits", "2048", "--passphrase-file", str(file)]
    assert main(words) == 0
    private = (tmp_path / "k.pem").read_bytes()
    with pytest.raises(TypeError):
        load_pem_private_key(private, None)
    assert isinstance(load_pem_private_key(private, b"open sesame"), RSAPrivateKey)
    out = capsys.readouterr().out
    assert f"--key-passphrase-file {file}" in out
    assert "sesame" not in out


def test_an_existing_key_is_never_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "k.pem").write_text("precious")
    assert main(["keygen", str(tmp_path / "k"), "--bits", "2048"]) == 4
    captured = capsys.readouterr()
    assert captured.err.startswith(f"ossfs: {tmp_path}/k.pem exists already")
    assert captured.out == ""
    assert (tmp_path / "k.pem").read_text() == "precious"
