"""CRC-64/XZ of bytes, and of a whole out of those of its parts.

Source of the latter: `crc32_combine` of zlib, with the polynomial of OSS: appending n bytes
multiplies the CRC of what stands before them by x^(8n) modulo the polynomial.
"""

import functools

import fastcrc
import trio

from ossfs.types import Buffer

_POLYNOMIAL = 0xC96C5795D7870F42
_ONE = 1 << 63
# A MiB takes 0.1 ms, about as long as it takes to have a thread do it.
_INLINE_BYTES = 1 << 20


def _times(left: int, right: int) -> int:
    """Product of two polynomials, lowest power in the highest bit, modulo that of OSS."""
    product = 0
    while left:
        if left & _ONE:
            product ^= right
        left = (left << 1) & 0xFFFFFFFFFFFFFFFF
        right = (right >> 1) ^ (_POLYNOMIAL if right & 1 else 0)
    return product


@functools.lru_cache(maxsize=64)
def _shift(length: int) -> int:
    """x^(8 * length); parts are nearly all of one length."""
    result, square, power = _ONE, _ONE >> 8, length
    while power:
        if power & 1:
            result = _times(result, square)
        square = _times(square, square)
        power >>= 1
    return result


def combine(before: int, after: int, after_length: int) -> int:
    """CRC64 of two byte strings joined, out of their own and the length of the second."""
    return _times(before, _shift(after_length)) ^ after


async def crc64_of(body: Buffer) -> int:
    """CRC64 of *body*, which a thread takes of a large one while the event loop goes on."""
    if len(body) <= _INLINE_BYTES:
        return fastcrc.crc64.xz(body)
    return await trio.to_thread.run_sync(fastcrc.crc64.xz, body)
