"""AES-256-CTR at any offset, against the SDK vector and against itself."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.crypto.body import BodyCipher
from ossfs.crypto.datakey import DataKey

VECTOR = json.loads((Path(__file__).parent.parent / "vectors" / "cse.json").read_text())
PLAIN = bytes((7 * i + 3) & 255 for i in range(300_007))
KEY = DataKey(bytes.fromhex(VECTOR["key_hex"]))
CIPHER = BodyCipher(KEY, bytes.fromhex(VECTOR["iv_hex"]))
STORED = CIPHER.apply(0, PLAIN)

SLICES = st.tuples(st.integers(0, len(PLAIN)), st.integers(0, 5000))


def test_the_body_is_what_the_official_sdks_write() -> None:
    assert hashlib.sha256(PLAIN).hexdigest() == VECTOR["plain_sha256"]
    assert hashlib.sha256(STORED).hexdigest() == VECTOR["cipher_sha256"]
    assert STORED[:64].hex() == VECTOR["cipher_first64"]
    assert STORED[-7:].hex() == VECTOR["cipher_last7"]
    assert CIPHER.apply(4096, PLAIN[4096:4112]).hex() == VECTOR["cipher_at_4096_len16"]


@given(SLICES)
def test_any_slice_encrypts_and_decrypts_by_itself(where: tuple[int, int]) -> None:
    part = slice(where[0], where[0] + where[1])
    assert CIPHER.apply(where[0], PLAIN[part]) == STORED[part]
    assert CIPHER.apply(where[0], memoryview(STORED)[part]) == PLAIN[part]


@given(SLICES)
def test_writing_into_a_buffer_touches_nothing_else(where: tuple[int, int]) -> None:
    plain = PLAIN[where[0] : where[0] + where[1]]
    out = bytearray(b"\xee" * (len(plain) + 40))
    CIPHER.apply_into(where[0], plain, memoryview(out)[20:])
    assert out == b"\xee" * 20 + STORED[where[0] : where[0] + len(plain)] + b"\xee" * 20


@given(SLICES)
def test_a_buffer_may_be_encrypted_in_place(where: tuple[int, int]) -> None:
    buffer = bytearray(PLAIN[where[0] : where[0] + where[1]])
    CIPHER.apply_into(where[0], buffer, buffer)
    assert buffer == STORED[where[0] : where[0] + where[1]]


def test_a_buffer_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        CIPHER.apply_into(3, b"12345", bytearray(4))


@given(st.integers(0, 1 << 63))
def test_the_counter_is_an_addition_to_128_bits(offset: int) -> None:
    iv = b"\xff" * 16
    shifted = (int.from_bytes(iv, "big") + offset // 16) % (1 << 128)
    elsewhere = BodyCipher(KEY, shifted.to_bytes(16, "big"))
    assert BodyCipher(KEY, iv).apply(offset, b"ossfs") == elsewhere.apply(offset % 16, b"ossfs")


def test_an_iv_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        BodyCipher(KEY, bytes(12))


def test_no_cipher_shows_its_key() -> None:
    assert repr(CIPHER) == "<BodyCipher>"
