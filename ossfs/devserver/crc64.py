"""CRC-64/XZ of a concatenation from the CRCs of its pieces (as zlib's crc32_combine does)."""

_POLYNOMIAL = 0xC96C5795D7870F42
_Matrix = tuple[int, ...]


def _times(matrix: _Matrix, vector: int) -> int:
    product = 0
    for row in matrix:
        if not vector:
            break
        if vector & 1:
            product ^= row
        vector >>= 1
    return product


def _square(matrix: _Matrix) -> _Matrix:
    return tuple(_times(matrix, row) for row in matrix)


def _operators() -> tuple[_Matrix, ...]:
    """Operator n appends 2^n zero bytes to what a CRC covers."""
    one_bit: _Matrix = (_POLYNOMIAL, *(1 << bit for bit in range(63)))
    operator = _square(_square(_square(one_bit)))
    operators = [operator]
    for _ in range(63):
        operator = _square(operator)
        operators.append(operator)
    return tuple(operators)


_APPEND_ZEROS = _operators()


def combine(first: int, second: int, second_bytes: int) -> int:
    """CRC of A followed by B, from the CRC of A, the CRC of B and the length of B."""
    level = 0
    while second_bytes:
        if second_bytes & 1:
            first = _times(_APPEND_ZEROS[level], first)
        second_bytes >>= 1
        level += 1
    return first ^ second
