"""The byte-bounded LRU against a list that does the same slowly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.cache import ByteLru


def test_an_entry_that_was_read_outlives_one_that_was_not() -> None:
    lru: ByteLru[int, bytes] = ByteLru(3)
    for key in (1, 2, 3):
        lru.put(key, b"x")
    assert lru.get(1) == b"x"
    lru.put(4, b"x")
    assert 1 in lru
    assert 2 not in lru


def test_a_value_heavier_than_the_capacity_is_not_kept_and_displaces_only_its_own_key() -> None:
    lru: ByteLru[str, bytes] = ByteLru(4)
    lru.put("a", b"12")
    lru.put("b", b"1")
    lru.put("a", b"12345")
    assert lru.get("a") is None
    assert lru.get("b") == b"1"
    assert lru.weight == 1


def test_the_overhead_bounds_the_number_of_empty_values() -> None:
    lru: ByteLru[int, bytes] = ByteLru(100, overhead=10)
    for key in range(1000):
        lru.put(key, b"")
    assert len(lru) == 10


@pytest.mark.parametrize("overhead", [0, 3])
@given(
    operations=st.lists(
        st.tuples(st.sampled_from(["put", "get", "discard"]), st.integers(0, 9), st.integers(0, 20))
    )
)
def test_it_holds_what_the_slow_model_holds(
    overhead: int, operations: list[tuple[str, int, int]]
) -> None:
    capacity = 50
    lru: ByteLru[int, bytes] = ByteLru(capacity, overhead=overhead)
    model: list[tuple[int, bytes]] = []
    for operation, key, length in operations:
        held = dict(model).get(key)
        if operation == "get":
            assert lru.get(key) == held
        rest = [entry for entry in model if entry[0] != key]
        if operation == "get" and held is not None:
            model = [*rest, (key, held)]
        elif operation == "discard":
            lru.discard(key)
            model = rest
        elif operation == "put":
            value = bytes(length)
            lru.put(key, value)
            model = [*rest, (key, value)] if length + overhead <= capacity else rest
            while sum(len(value) + overhead for _, value in model) > capacity:
                model.pop(0)
        assert lru.weight == sum(len(value) + overhead for _, value in model) <= capacity
        assert len(lru) == len(model)
