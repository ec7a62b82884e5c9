from hypothesis import given
from hypothesis import strategies as st

from ossfs.store.retry import Retry


@given(st.integers(min_value=1, max_value=10_000))
def test_waits_grow_to_a_limit(repetition: int) -> None:
    wait = Retry(first_seconds=0.2, longest_seconds=20).wait(repetition)
    assert 0 <= wait <= min(20.0, 0.2 * 2.0 ** min(repetition - 1, 60))


def test_waits_differ_so_that_clients_do_not_return_all_at_once() -> None:
    retry = Retry()
    assert len({retry.wait(8) for _ in range(20)}) > 10


def test_what_the_server_asks_for_is_honoured_within_the_limit() -> None:
    retry = Retry(first_seconds=0.2, longest_seconds=20)
    assert 3 <= retry.wait(1, at_least=3) <= 3.2
    assert retry.wait(1, at_least=1e9) == 20
