"""Scratch blocks come back as they went in, from their own write only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.crypto.scratch import SEAL_OVERHEAD, ScratchCipher
from ossfs.errors import IntegrityError

CIPHER = ScratchCipher(b"file 1")
SERIALS = st.integers(0, 1 << 50)


@given(SERIALS, st.binary(max_size=2000))
def test_a_block_opens_to_what_was_sealed(serial: int, data: bytes) -> None:
    sealed = CIPHER.seal(serial, memoryview(data))
    assert len(sealed) == len(data) + SEAL_OVERHEAD
    assert CIPHER.open(serial, memoryview(sealed)) == data


def test_the_same_block_never_looks_the_same_twice() -> None:
    assert len({bytes(CIPHER.seal(1, b"data")[:12]) for _ in range(100)}) == 100


@given(SERIALS, st.binary(max_size=100), st.integers(0), st.integers(0, 7))
def test_any_flipped_bit_is_refused(serial: int, data: bytes, position: int, bit: int) -> None:
    sealed = bytearray(CIPHER.seal(serial, data))
    sealed[position % len(sealed)] ^= 1 << bit
    with pytest.raises(IntegrityError):
        CIPHER.open(serial, sealed)
    shown = bytearray(b"x" * len(data))
    with pytest.raises(IntegrityError):
        CIPHER.open_into(serial, sealed, memoryview(shown))
    assert shown == bytes(len(data))


@given(st.binary(max_size=SEAL_OVERHEAD + 5))
def test_bytes_that_nobody_sealed_are_refused(noise: bytes) -> None:
    with pytest.raises(IntegrityError):
        CIPHER.open(0, noise)


@given(SERIALS, SERIALS)
def test_a_block_opens_by_the_number_of_its_own_write_alone(one: int, other: int) -> None:
    if one != other:
        with pytest.raises(IntegrityError):
            CIPHER.open(other, CIPHER.seal(one, b"data"))


def test_a_block_opens_in_its_own_file_alone() -> None:
    with pytest.raises(IntegrityError):
        ScratchCipher(b"file 1").open(0, CIPHER.seal(0, b"data"))
