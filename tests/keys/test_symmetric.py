"""Symmetric keys load from either form of file, and wrap as RFC 3394 says."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.errors import IntegrityError, KeyProblem
from ossfs.format.envelope import AES_KEY_WRAP
from ossfs.keys.base import WrongKey
from ossfs.keys.keyring import Keyring
from ossfs.keys.symmetric import SymmetricMasterKey, load
from tests.keys.fakes import write_private
from tests.modes import rfc3394

RAW = bytes(range(32))


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=16, max_size=16))
async def test_an_independent_reader_of_the_rfc_unwraps_keys_and_ivs(
    raw: bytes, secret: bytes
) -> None:
    key = SymmetricMasterKey(raw, name="k")
    for wanted in (secret, secret * 2):
        wrapped = await key.wrap(wanted)
        assert len(wrapped) == len(wanted) + 8 <= key.wrapped_limit
        assert rfc3394.unwrap(raw, wrapped) == wanted
        assert rfc3394.wrap(raw, wanted) == wrapped
        assert await key.unwrap(wrapped, AES_KEY_WRAP) == wanted


async def test_the_vector_of_the_rfc_is_reproduced() -> None:
    # RFC 3394, 4.6: 256 bits of key data with a 256-bit key.
    secret = bytes.fromhex("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F")
    wrapped = bytes.fromhex(
        "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"
    )
    assert await SymmetricMasterKey(RAW, name="k").wrap(secret) == wrapped


async def test_a_wrong_key_and_damaged_bytes_are_one_error() -> None:
    key = SymmetricMasterKey(RAW, name="k")
    wrapped = await key.wrap(bytes(32))
    other = SymmetricMasterKey(bytes(32), name="o")
    for reader, text in [
        (other, wrapped),
        *((key, wrapped[:length]) for length in (0, 7, 8, 16, 24, 39)),
        (key, wrapped + bytes(8)),
        *((key, wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :]) for at in range(40)),
    ]:
        with pytest.raises(WrongKey) as caught:
            await reader.unwrap(text, AES_KEY_WRAP)
        assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "content", [RAW, RAW.hex().encode(), RAW.hex().upper().encode() + b"\n", b"0" * 64 + b"\r\n"]
)
async def test_raw_bytes_and_hex_digits_load(tmp_path: Path, content: bytes) -> None:
    file = write_private(tmp_path / "archive.key", content)
    key = load(file)
    assert (key.name, key.wrap_alg, key.can_unwrap) == ("archive.key", AES_KEY_WRAP, True)
    raw = RAW if RAW in content or RAW.hex().encode() in content.lower() else bytes(32)
    assert rfc3394.unwrap(raw, await key.wrap(RAW)) == RAW


@pytest.mark.parametrize(
    "content",
    [b"", RAW[:31], RAW + b"\n", RAW * 2, b"g" * 64, b"0" * 63, b"0" * 65, b" " + b"0" * 64],
)
def test_any_other_content_is_refused_in_one_line_that_quotes_none_of_it(
    tmp_path: Path, content: bytes
) -> None:
    file = write_private(tmp_path / "archive.key", content)
    with pytest.raises(KeyProblem) as caught:
        load(file)
    text = str(caught.value)
    assert text.startswith(f"{file} holds neither 32 bytes nor 64 hex digits")
    assert "\n" not in text


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyProblem, match="does not exist"):
        load(tmp_path / "none")
    with pytest.raises(KeyProblem, match="cannot be read"):
        load(tmp_path)


async def test_what_a_keyring_wraps_with_it_opens_with_it_alone() -> None:
    writer = Keyring([SymmetricMasterKey(RAW, name="a", matdesc={"k": "a"})])
    key, iv, envelope = await writer.new_envelope()
    assert envelope.wrap_alg == AES_KEY_WRAP
    assert rfc3394.unwrap(RAW, envelope.wrapped_key) == key.reveal()
    assert rfc3394.unwrap(RAW, envelope.wrapped_start) == iv
    reader = Keyring([SymmetricMasterKey(RAW, name="other name")])
    found = await reader.open(envelope, accept=lambda found: found.reveal() == key.reveal())
    assert found.reveal() == key.reveal()
    with pytest.raises(IntegrityError):
        await Keyring([SymmetricMasterKey(bytes(32), name="a")]).open(
            envelope, accept=lambda _: True
        )


def test_nothing_secret_stands_in_a_repr() -> None:
    key = SymmetricMasterKey(RAW, name="archive")
    assert repr(key) == "<SymmetricMasterKey archive>"
    with pytest.raises(ValueError, match="32 bytes"):
        SymmetricMasterKey(RAW[:16], name="short")
