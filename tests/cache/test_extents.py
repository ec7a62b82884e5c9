"""The cache of extents against a dictionary of chunks that never forgets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.cache import Extent, ExtentLru

CHUNK = 4
CAPACITY = 40


def extent(first: int, length: int, seed: int = 0, lacking: frozenset[int] = frozenset()) -> Extent:
    content = bytes((seed + i) % 256 for i in range(length))
    return Extent(first, CHUNK, memoryview(bytearray(content)), lacking)


def test_a_piece_reaches_to_the_end_of_the_extent_or_of_what_is_wanted() -> None:
    held = extent(2, 10)
    assert held.piece(9, 100) == bytes(range(1, 10))
    assert held.piece(9, 11) == bytes((1, 2))


def test_a_piece_ends_with_its_chunk_where_others_are_lacking() -> None:
    held = extent(2, 12, lacking=frozenset({3}))
    assert held.piece(9, 100) == bytes((1, 2, 3))
    assert held.piece(16, 100) == bytes((8, 9, 10, 11))
    assert list(held.numbers()) == [2, 4]


def test_nobody_can_change_what_is_held() -> None:
    with pytest.raises(TypeError):
        extent(0, 4).view[0] = 1


def test_a_lacking_chunk_is_not_found_and_leaves_an_older_one_in_place() -> None:
    cache: ExtentLru[str] = ExtentLru(CAPACITY)
    older = extent(0, 4, 7)
    cache.put("a", older)
    newer = extent(0, 8, 9, frozenset({0}))
    cache.put("a", newer)
    assert cache.get("a", 0) is older
    assert cache.get("a", 1) is newer
    assert cache.get("b", 1) is None


def test_an_extent_that_was_read_outlives_one_that_was_not() -> None:
    cache: ExtentLru[str] = ExtentLru(3 * CHUNK)
    for first in range(3):
        cache.put("a", extent(first, CHUNK))
    cache.get("a", 0)
    cache.put("a", extent(3, CHUNK))
    assert ("a", 0) in cache
    assert ("a", 1) not in cache


def test_an_extent_heavier_than_the_capacity_is_not_kept_and_displaces_nothing() -> None:
    cache: ExtentLru[str] = ExtentLru(8, overhead=1)
    cache.put("a", extent(0, CHUNK))
    cache.put("a", extent(1, 2 * CHUNK))
    assert ("a", 0) in cache
    assert ("a", 1) not in cache


@given(
    operations=st.lists(
        st.tuples(
            st.sampled_from(["put", "get", "discard"]),
            st.sampled_from("ab"),
            st.integers(0, 9),
            st.integers(1, 20),
            st.frozensets(st.integers(0, 14), max_size=2),
        )
    )
)
def test_what_is_found_is_what_was_put_last_and_the_weight_is_bounded(
    operations: list[tuple[str, str, int, int, frozenset[int]]],
) -> None:
    cache: ExtentLru[str] = ExtentLru(CAPACITY, overhead=1)
    latest: dict[tuple[str, int], Extent] = {}
    for seed, (operation, key, first, length, lacking) in enumerate(operations):
        if operation == "put":
            made = extent(first, length, seed, lacking)
            cache.put(key, made)
            if length + made.end - made.first <= CAPACITY:
                latest |= {(key, number): made for number in made.numbers()}
        elif operation == "discard":
            cache.discard(key, first)
            assert (key, first) not in cache
        found = cache.get(key, first)
        assert found is None or found is latest[key, first]
        assert (found is not None) == ((key, first) in cache)
        assert 0 <= cache.weight <= CAPACITY
    for (key, number), made in latest.items():
        found = cache.get(key, number)
        assert found is None or found is made
        cache.discard(key, number)
    assert cache.weight >= 0
