import fastcrc
from hypothesis import given
from hypothesis import strategies as st

from ossfs.store.crc64 import combine


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_the_crc_of_a_whole_follows_from_those_of_its_halves(first: bytes, second: bytes) -> None:
    xz = fastcrc.crc64.xz
    assert combine(xz(first), xz(second), len(second)) == xz(first + second)


def test_large_lengths_are_no_different() -> None:
    zeros = bytes(10_000_000)
    whole = fastcrc.crc64.xz(b"x" + zeros)
    assert combine(fastcrc.crc64.xz(b"x"), fastcrc.crc64.xz(zeros), len(zeros)) == whole
