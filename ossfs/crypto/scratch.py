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
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from ossfs.crypto.datakey import FAILED
from ossfs.errors import IntegrityError
from ossfs.types import Buffer

NONCE_BYTES = 12
_TAG_BYTES = 16
_KEY_BYTES = 32
SEAL_OVERHEAD = NONCE_BYTES + _TAG_BYTES


@final
class ScratchCipher:
    """AES-256-GCM under a key of its own; *file_id* tells scratch files apart.

    Threads may share one.
    """

    __slots__ = ("_algorithm", "_file_id")

    def __init__(self, file_id: bytes) -> None:
        self._algorithm = AES(os.urandom(_KEY_BYTES))
        self._file_id = file_id

    def seal(self, serial: int, data: Buffer) -> bytearray:
        """*data* of the write number *serial*, sealed; two calls never give the same bytes."""
        sealed = bytearray(len(data) + SEAL_OVERHEAD)
        self.seal_into(serial, data, memoryview(sealed))
        return sealed

    def seal_into(self, serial: int, data: Buffer, out: memoryview) -> None:
        """As `seal`, into *out*, which has SEAL_OVERHEAD bytes more than *data*."""
        nonce = os.urandom(NONCE_BYTES)
        context = Cipher(self._algorithm, GCM(nonce)).encryptor()
        context.authenticate_additional_data(self._bound(serial))
        context.update_into(data, out[NONCE_BYTES : NONCE_BYTES + len(data)])
        context.finalize()
        out[:NONCE_BYTES] = nonce
        out[NONCE_BYTES + len(data) :] = context.tag

    def open(self, serial: int, sealed: Buffer) -> bytearray:
        """The data of that write. Raises IntegrityError unless `seal` made *sealed* for it."""
        data = bytearray(max(0, len(sealed) - SEAL_OVERHEAD))
        self.open_into(serial, sealed, memoryview(data))
        return data

    def open_into(self, serial: int, sealed: Buffer, out: memoryview) -> None:
        """As `open`, into *out*, which is as long as the data and holds zeros after an error."""
        view = memoryview(sealed)
        if len(view) != len(out) + SEAL_OVERHEAD:
            raise IntegrityError(FAILED)
        mode = GCM(bytes(view[:NONCE_BYTES]), bytes(view[-_TAG_BYTES:]))
        context = Cipher(self._algorithm, mode).decryptor()
        context.authenticate_additional_data(self._bound(serial))
        context.update_into(view[NONCE_BYTES:-_TAG_BYTES], out)
        try:
            context.finalize()
        except InvalidTag:
            out[:] = bytes(len(out))
            raise IntegrityError(FAILED) from None

    def _bound(self, serial: int) -> bytes:
        return self._file_id + serial.to_bytes(8, "big")

    def __repr__(self) -> str:
        return "<ScratchCipher>"
