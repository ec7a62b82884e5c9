"""CRC-64/XZ of a whole out of those of its parts.

Source: `crc32_combine` of zlib, with the polynomial of OSS: appending n bytes multiplies the CRC of
what stands before them by x^(8n) modulo the polynomial.
"""

import functools

_POLYNOMIAL = 0xC96C5795D7870F42
_ONE = 1 << 63


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
