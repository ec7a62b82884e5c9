"""Authenticated encryption of the blocks of one local scratch file.

    cipher = ScratchCipher(file_id)
    sealed = cipher.seal(serial, plain)     # nonce, ciphertext, tag: SEAL_OVERHEAD bytes more
    plain = cipher.open(serial, sealed)

The key is made here, lives in memory only and ends with the object: what is left on disk after a
crash is noise. Every write takes a fresh random nonce, and the file id and the serial number of the
write are bound: where each write has a number of its own, neither another block nor what stood in
the same place before opens in its stead.
"""

import os
from typing import final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ossfs.crypto.datakey import FAILED
from ossfs.errors import IntegrityError
from ossfs.types import Buffer

NONCE_BYTES = 12
SEAL_OVERHEAD = NONCE_BYTES + 16


@final
class ScratchCipher:
    """AES-256-GCM under a key of its own; *file_id* tells scratch files apart."""

    __slots__ = ("_file_id", "_gcm")

    def __init__(self, file_id: bytes) -> None:
        self._gcm = AESGCM(AESGCM.generate_key(256))
        self._file_id = file_id

    def seal(self, serial: int, data: Buffer) -> bytes:
        """*data* of the write number *serial*, sealed; two calls never give the same bytes."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._gcm.encrypt(nonce, data, self._bound(serial))

    def open(self, serial: int, sealed: Buffer) -> bytes:
        """The data of that write. Raises IntegrityError unless `seal` made *sealed* for it."""
        view = memoryview(sealed)
        if len(view) < SEAL_OVERHEAD:
            raise IntegrityError(FAILED)
        try:
            return self._gcm.decrypt(view[:NONCE_BYTES], view[NONCE_BYTES:], self._bound(serial))
        except InvalidTag:
            raise IntegrityError(FAILED) from None

    def _bound(self, serial: int) -> bytes:
        return self._file_id + serial.to_bytes(8, "big")

    def __repr__(self) -> str:
        return "<ScratchCipher>"
