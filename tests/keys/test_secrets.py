"""The memory of secrets is bounded in number and time."""

from hypothesis import given
from hypothesis import strategies as st

from ossfs.keys.secrets import SecretCache


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_secret_is_known_until_its_time_ends() -> None:
    clock = Clock()
    cache = SecretCache(limit=10, seconds=60, clock=clock)
    cache.put("A", b"w", b"secret")
    clock.now = 59.9
    assert cache.get("A", b"w") == b"secret"
    assert cache.get("B", b"w") is None
    clock.now = 60
    assert cache.get("A", b"w") is None
    assert len(cache) == 0


def test_secrets_that_nobody_asks_for_are_forgotten_too() -> None:
    clock = Clock()
    cache = SecretCache(limit=10, seconds=60, clock=clock)
    cache.put("A", b"old", b"1")
    clock.now = 130
    cache.put("A", b"new", b"2")
    assert len(cache) == 1


def test_the_least_used_goes_first() -> None:
    cache = SecretCache(limit=2, seconds=60, clock=Clock())
    cache.put("A", b"1", b"one")
    cache.put("A", b"2", b"two")
    assert cache.get("A", b"1") == b"one"
    cache.put("A", b"3", b"three")
    assert cache.get("A", b"2") is None
    assert cache.get("A", b"1") == b"one"


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 40)), max_size=50), st.integers(1, 5))
def test_it_never_holds_more_than_its_limit_nor_gives_a_wrong_secret(
    steps: list[tuple[int, float]], limit: int
) -> None:
    clock = Clock()
    cache = SecretCache(limit=limit, seconds=30, clock=clock)
    for number, passed in steps:
        clock.now += passed
        wrapped = bytes([number])
        assert cache.get("A", wrapped) in {None, b"secret" + wrapped}
        cache.put("A", wrapped, b"secret" + wrapped)
        assert cache.get("A", wrapped) == b"secret" + wrapped
        assert len(cache) <= limit


def test_its_repr_tells_a_number_alone() -> None:
    cache = SecretCache(limit=2, seconds=60, clock=Clock())
    cache.put("A", b"1", b"secret")
    assert repr(cache) == "<SecretCache of 1>"
