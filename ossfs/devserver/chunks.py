"""How an encrypted body lies on the disk: a salt, then chunks of AES-256-GCM.

Each file has a key of its own, derived from the object's data key and the salt (HKDF-SHA256), so
that many files, as the parts of an upload, may share a data key; the nonce of a chunk is its
number. All chunks but the last hold 64 KiB, each with its tag behind it. The row that names the
file says how long the body is, so that a file that was cut at the end of a chunk is noticed.
"""

import os
import secrets
from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ossfs.types import Buffer

CHUNK_BYTES = 64 * 1024
_TAG_BYTES = 16
_SALT_BYTES = 16
_STORED_BYTES = CHUNK_BYTES + _TAG_BYTES
_READ_CHUNKS = 4


def _cipher(data_key: bytes, salt: bytes) -> AESGCM:
    derived = HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"ossfs-devserver body 1")
    return AESGCM(derived.derive(data_key))


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


class Sealer:
    """Encrypts one file as its body comes."""

    def __init__(self, data_key: bytes) -> None:
        self._salt = secrets.token_bytes(_SALT_BYTES)
        self._cipher = _cipher(data_key, self._salt)
        self._number = 0
        self._waiting = bytearray()

    def _sealed(self, chunk: Buffer) -> bytes:
        sealed = self._cipher.encrypt(_nonce(self._number), chunk, None)
        self._number += 1
        return sealed if self._number > 1 else self._salt + sealed

    def add(self, data: Buffer) -> bytes:
        """What of the file is certain now; up to a chunk of the body is kept back."""
        rest, sealed = memoryview(data), []
        if self._waiting:
            missing = CHUNK_BYTES - len(self._waiting)
            self._waiting += rest[:missing]
            rest = rest[missing:]
            if len(self._waiting) < CHUNK_BYTES:
                return b""
            sealed.append(self._sealed(self._waiting))
        while len(rest) >= CHUNK_BYTES:
            sealed.append(self._sealed(rest[:CHUNK_BYTES]))
            rest = rest[CHUNK_BYTES:]
        self._waiting = bytearray(rest)
        return b"".join(sealed)

    def end(self) -> bytes:
        """The rest of the file."""
        return self._sealed(self._waiting) if self._waiting else b""


def read(file: int, data_key: bytes, size: int, offset: int, length: int) -> Iterator[bytes]:
    """Bytes [offset, offset + length) of a body of *size* bytes, a few chunks at a time.

    file: its descriptor. Raises OSError where the file is damaged or is none of this data key.
    """
    cipher = _cipher(data_key, os.pread(file, _SALT_BYTES, 0))
    end = offset + length
    wanted = range(offset // CHUNK_BYTES, -(-end // CHUNK_BYTES))
    for first in wanted[::_READ_CHUNKS]:
        start = first * CHUNK_BYTES
        count = min(_READ_CHUNKS, wanted.stop - first)
        stored = min(count * CHUNK_BYTES, size - start) + count * _TAG_BYTES
        sealed = os.pread(file, stored, _SALT_BYTES + first * _STORED_BYTES)
        try:
            if len(sealed) != stored:
                raise ValueError("the file is too short")
            opened = b"".join(_opened(cipher, first, sealed))
        except (InvalidTag, ValueError):
            raise OSError("a stored body is damaged") from None
        yield opened[max(offset - start, 0) : end - start]


def _opened(cipher: AESGCM, first: int, sealed: bytes) -> Iterator[bytes]:
    """The chunks from number *first* on, of which the last may be a short one."""
    view = memoryview(sealed)
    for index, at in enumerate(range(0, len(sealed), _STORED_BYTES)):
        yield cipher.decrypt(_nonce(first + index), view[at : at + _STORED_BYTES], None)
