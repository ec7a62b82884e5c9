"""Encrypted bodies on the disk: every range of every size, and no byte that was changed."""

import itertools
import os
import tempfile
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.devserver import chunks

KEY = b"k" * 32
SIZES = st.integers(0, 3 * chunks.CHUNK_BYTES + 2) | st.sampled_from(
    [chunks.CHUNK_BYTES + shift for shift in (-1, 0, 1)]
)


def body_of(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def sealed(pieces: Iterable[bytes], key: bytes = KEY) -> bytes:
    sealer = chunks.Sealer(key)
    return b"".join([*(sealer.add(piece) for piece in pieces), sealer.end()])


def opened(stored: bytes, size: int, offset: int, length: int, key: bytes = KEY) -> bytes:
    with tempfile.TemporaryFile() as file:
        file.write(stored)
        file.flush()
        return b"".join(chunks.read(file.fileno(), key, size, offset, length))


@given(
    size=SIZES, cuts=st.lists(st.integers(0, 3 * chunks.CHUNK_BYTES), max_size=4), data=st.data()
)
def test_every_range_comes_back_however_the_body_came(
    size: int, cuts: list[int], data: st.DataObject
) -> None:
    body = body_of(size)
    edges = [0, *sorted(min(cut, size) for cut in cuts), size]
    stored = sealed(body[start:end] for start, end in itertools.pairwise(edges))
    offset = data.draw(st.integers(0, size))
    length = data.draw(st.integers(0, size - offset))
    if size:
        assert opened(stored, size, offset, length) == body[offset : offset + length]
    else:
        assert stored == b""


@given(size=st.integers(1, 2 * chunks.CHUNK_BYTES), data=st.data())
def test_no_changed_or_missing_byte_goes_unnoticed(size: int, data: st.DataObject) -> None:
    stored = sealed([body_of(size)])
    at = data.draw(st.integers(0, len(stored) - 1))
    damaged = stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :]
    for wrong in (damaged, stored[:at]):
        with pytest.raises(OSError, match="damaged"):
            opened(wrong, size, 0, size)


def test_chunks_cannot_change_places() -> None:
    size = 2 * chunks.CHUNK_BYTES
    stored = sealed([body_of(size)])
    salt, half = stored[:16], (len(stored) - 16) // 2
    with pytest.raises(OSError, match="damaged"):
        opened(salt + stored[16 + half :] + stored[16 : 16 + half], size, 0, size)


def test_the_same_body_under_the_same_data_key_never_looks_the_same() -> None:
    one, two = (sealed([b"the same body"]) for _ in range(2))
    assert one[16:] != two[16:]


def test_another_data_key_opens_nothing() -> None:
    with pytest.raises(OSError, match="damaged"):
        opened(sealed([b"body"]), 4, 0, 4, os.urandom(32))
