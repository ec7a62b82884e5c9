"""AES Key Wrap as RFC 3394, section 2.2, writes it down; by pycryptodome's plain AES."""

import struct

from Crypto.Cipher import AES

_START = b"\xa6" * 8


def wrap(key: bytes, secret: bytes) -> bytes:
    """2.2.1."""
    cipher = AES.new(key, AES.MODE_ECB)
    blocks = [secret[start : start + 8] for start in range(0, len(secret), 8)]
    check = _START
    for turn in range(6):
        for number in range(len(blocks)):
            mixed = cipher.encrypt(check + blocks[number])
            check, blocks[number] = _xor(mixed[:8], turn * len(blocks) + number + 1), mixed[8:]
    return check + b"".join(blocks)


def unwrap(key: bytes, wrapped: bytes) -> bytes:
    """2.2.2. Raises ValueError."""
    cipher = AES.new(key, AES.MODE_ECB)
    blocks = [wrapped[start : start + 8] for start in range(8, len(wrapped), 8)]
    check = wrapped[:8]
    for turn in reversed(range(6)):
        for number in reversed(range(len(blocks))):
            step = turn * len(blocks) + number + 1
            plain = cipher.decrypt(_xor(check, step) + blocks[number])
            check, blocks[number] = plain[:8], plain[8:]
    if check != _START:
        raise ValueError("another key wrapped it")
    return b"".join(blocks)


def _xor(block: bytes, step: int) -> bytes:
    return struct.pack(">Q", struct.unpack(">Q", block)[0] ^ step)
