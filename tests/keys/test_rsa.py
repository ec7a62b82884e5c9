"""RSA keys load from every PEM form, or say in one line why not."""

import contextlib
from pathlib import Path

import pytest
from Crypto.PublicKey import RSA as OTHER_RSA
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from ossfs.errors import KeyProblem, KeyUnavailable
from ossfs.format.envelope import RSA_OAEP_SHA1, RSA_PKCS1
from ossfs.keys.base import MasterKey, WrongKey
from ossfs.keys.passphrase import read_passphrase
from ossfs.keys.rsa import RsaMasterKey, load
from tests.keys.fakes import private_pem, public_pem, rsa_key, write_private

SECRET = bytes(range(32))
PASSPHRASE = b"open sesame"


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    return tmp_path / "master.pem"


def loaded(
    path: Path, content: bytes, *, passphrase: bytes | None = None, padding: str = "pkcs1"
) -> RsaMasterKey:
    write_private(path, content)
    return load(path, passphrase=passphrase, padding=padding)


def refusal(path: Path, content: bytes | None = None, passphrase: bytes | None = None) -> str:
    if content is not None:
        write_private(path, content)
    with pytest.raises(KeyProblem) as caught:
        load(path, passphrase=passphrase)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    assert caught.value.__suppress_context__
    return text


@pytest.mark.parametrize("pkcs1", [False, True])
@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
async def test_every_form_of_a_private_key_unwraps(
    pem: Path, pkcs1: bool, passphrase: bytes | None
) -> None:
    content = private_pem(rsa_key(), pkcs1=pkcs1, passphrase=passphrase)
    key: MasterKey = loaded(pem, content, passphrase=passphrase)
    assert key.can_unwrap
    assert key.name == "master.pem"
    assert await key.unwrap(await key.wrap(SECRET), key.wrap_alg) == SECRET


async def test_the_key_files_of_oss2_open_with_their_passphrase(pem: Path) -> None:
    content = OTHER_RSA.import_key(private_pem(rsa_key())).export_key(passphrase="x y")
    key = loaded(pem, content, passphrase=b"x y", padding="oaep-sha1")
    assert await key.unwrap(await key.wrap(SECRET), RSA_OAEP_SHA1) == SECRET


@pytest.mark.parametrize("pkcs1", [False, True])
async def test_every_form_of_a_public_key_wraps_and_no_more(pem: Path, pkcs1: bool) -> None:
    public = loaded(pem, public_pem(rsa_key(), pkcs1=pkcs1))
    assert not public.can_unwrap
    wrapped = await public.wrap(SECRET)
    assert len(wrapped) == public.wrapped_limit == 256
    assert await RsaMasterKey(rsa_key(), name="whole").unwrap(wrapped, RSA_PKCS1) == SECRET
    with pytest.raises(KeyUnavailable):
        await public.unwrap(wrapped, RSA_PKCS1)


async def test_either_padding_is_understood_whichever_one_wraps() -> None:
    pkcs1 = RsaMasterKey(rsa_key(), name="k", padding="pkcs1")
    oaep = RsaMasterKey(rsa_key(), name="k", padding="oaep-sha1")
    assert (pkcs1.wrap_alg, oaep.wrap_alg) == (RSA_PKCS1, RSA_OAEP_SHA1)
    assert await pkcs1.unwrap(await oaep.wrap(SECRET), RSA_OAEP_SHA1) == SECRET
    assert await oaep.unwrap(await pkcs1.wrap(SECRET), RSA_PKCS1) == SECRET


async def test_a_wrong_key_never_gives_the_secret() -> None:
    writer, other = RsaMasterKey(rsa_key(0), name="a"), RsaMasterKey(rsa_key(1), name="b")
    for _ in range(20):
        with contextlib.suppress(WrongKey):
            assert await other.unwrap(await writer.wrap(SECRET), RSA_PKCS1) != SECRET
    oaep = RsaMasterKey(rsa_key(0), name="a", padding="oaep-sha1")
    for wrapped in (await oaep.wrap(SECRET), b"", b"short", bytes(256), b"\xff" * 300):
        with pytest.raises(WrongKey) as caught:
            await other.unwrap(wrapped, RSA_OAEP_SHA1)
        assert caught.value.__suppress_context__


def test_a_passphrase_that_is_not_needed_does_no_harm(pem: Path) -> None:
    write_private(pem, private_pem(rsa_key()))
    assert load(pem, passphrase=PASSPHRASE).can_unwrap


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "none.pem")
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("pkcs1", [False, True])
def test_a_missing_or_wrong_passphrase_is_said_without_quoting_it(pem: Path, pkcs1: bool) -> None:
    content = private_pem(rsa_key(), pkcs1=pkcs1, passphrase=PASSPHRASE)
    assert "--key-passphrase-file" in refusal(pem, content)
    text = refusal(pem, content, b"wrong one")
    assert "does not open with this passphrase" in text
    assert "wrong one" not in text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a PEM file"),
        (b"\xff" * 100, "not a PEM file"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "damaged"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "damaged"),
        (b"-----BEGIN CERTIFICATE-----\n", "is a certificate"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n", "is an OpenSSH key"),
    ],
)
def test_a_file_that_holds_no_key_is_refused(pem: Path, content: bytes, reason: str) -> None:
    assert reason in refusal(pem, content)


def test_a_key_that_is_not_rsa_is_refused(pem: Path) -> None:
    content = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    assert "not an RSA key" in refusal(pem, content)


def test_a_key_of_unfit_size_is_refused(pem: Path) -> None:
    assert "1024 bits" in refusal(pem, private_pem(rsa_key(bits=1024)))
    huge = rsa.RSAPublicNumbers(65537, (1 << 8191) | 1).public_key()
    pem.write_bytes(huge.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert "8192 bits" in refusal(pem)


def test_no_key_shows_itself() -> None:
    assert repr(RsaMasterKey(rsa_key(), name="a")) == "<RsaMasterKey a>"


def test_a_passphrase_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    for content in (b"open sesame", b"open sesame\n", b"open sesame\r\nmore"):
        write_private(file, content)
        assert read_passphrase(file) == PASSPHRASE
    for bad in (b"", b"\n"):
        write_private(file, bad)
        with pytest.raises(KeyProblem, match="empty"):
            read_passphrase(file)
    with pytest.raises(KeyProblem, match="cannot read"):
        read_passphrase(tmp_path / "none")
