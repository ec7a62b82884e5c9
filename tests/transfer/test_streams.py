"""Read-ahead planning: sequential streams are found, random reads are left alone."""

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ossfs.transfer.streams import ReadAhead

KIB = 1024
MIB = 1024 * KIB
CHUNK = 64 * KIB
PLENTY = 1 << 40


def planned(
    size: int, reads: list[tuple[int, int]], limit: int = 16 * MIB
) -> list[tuple[int, int]]:
    ahead = ReadAhead(size=size, chunk=CHUNK, limit=limit)
    return [
        fetched
        for offset, length in reads
        for fetched in ahead.advance(offset, min(offset + length, size), PLENTY)
    ]


def test_a_sequential_reader_has_everything_fetched_ahead_once_in_growing_spans() -> None:
    size, step = 256 * MIB + 12345, MIB
    ranges = planned(size, [(offset, step) for offset in range(0, size, step)])
    assert ranges[0][0] <= 2 * MIB
    assert all(end == begin for (_, end), (begin, _) in pairwise(ranges))
    assert ranges[-1][1] == size
    spans = [end - begin for begin, end in ranges]
    assert spans[0] == MIB
    assert max(spans) == 4 * MIB
    assert len(ranges) < 256 // 4 + 20


def test_random_small_reads_fetch_nothing_ahead() -> None:
    size = 1 << 30
    source = random.Random(7)
    reads = [(source.randrange(size // 4096) * 4096, 4096) for _ in range(5000)]
    assert planned(size, reads) == []


def test_two_streams_in_one_file_are_both_read_ahead() -> None:
    size = 1 << 30
    reads = []
    for step in range(64):
        reads += [(step * 128 * KIB, 128 * KIB), (size // 2 + step * 128 * KIB, 128 * KIB)]
    ranges = planned(size, reads)
    assert any(begin < size // 4 for begin, _ in ranges)
    assert any(begin > size // 2 for begin, _ in ranges)


def test_neighbouring_reads_may_change_places() -> None:
    offsets = [0, 2, 1, 3, 5, 4, 7, 6, 8, 9]
    reads = [(offset * 128 * KIB, 128 * KIB) for offset in offsets]
    assert planned(1 << 30, reads) != []


def test_without_a_limit_or_budget_nothing_is_fetched_ahead() -> None:
    reads = [(offset, MIB) for offset in range(0, 32 * MIB, MIB)]
    assert planned(1 << 30, reads, limit=0) == []
    ahead = ReadAhead(size=1 << 30, chunk=CHUNK, limit=16 * MIB)
    assert all(ahead.advance(offset, offset + length, 0) == [] for offset, length in reads)
    assert ahead.advance(32 * MIB, 33 * MIB, PLENTY) != []


@given(
    size=st.integers(1, 64 * MIB),
    limit=st.integers(1, 32 * MIB),
    chunk=st.sampled_from([64 * KIB, 128 * KIB, 256 * KIB]),
    steps=st.lists(st.integers(1, 2 * MIB), max_size=60),
)
def test_what_is_fetched_ahead_lies_in_front_of_the_reader_and_within_the_window(
    size: int, limit: int, chunk: int, steps: list[int]
) -> None:
    ahead = ReadAhead(size=size, chunk=chunk, limit=limit)
    position, known = 0, 0
    for step in steps:
        end = min(position + step, size)
        if position >= end:
            break
        for begin, behind in ahead.advance(position, end, PLENTY):
            assert begin % chunk == 0
            assert known <= begin < behind <= size
            assert behind <= end + limit + 4 * MIB + chunk
            known = behind
        position = end
