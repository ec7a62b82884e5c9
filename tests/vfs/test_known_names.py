"""What a listing decides, and what a walk through it asks ahead for."""

from hypothesis import given
from hypothesis import strategies as st

from ossfs.vfs.known_names import AHEAD, STEPS, Listing, Walk

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=6)


@given(keys=st.sets(NAMES), directories=st.sets(NAMES), name=NAMES, size=st.integers(1, 9))
def test_a_page_decides_only_names_of_which_it_holds_all_keys(
    keys: set[str], directories: set[str], name: str, size: int
) -> None:
    everything = sorted([k.encode() for k in keys] + [f"{d}/".encode() for d in directories])
    for begin in range(0, len(everything), size):
        page = everything[begin : begin + size]
        after = everything[begin - 1].rstrip(b"/") if begin else b""
        upto = page[-1] if begin + size < len(everything) else None
        listing = Listing(
            0, {k.decode().rstrip("/"): k[-1:] == b"/" for k in page}, {}, after, upto
        )
        if listing.decides(name):
            assert (name in listing.names) == (name in keys or name in directories)


def test_a_complete_listing_decides_every_name() -> None:
    assert Listing(0, {}).is_complete
    assert Listing(0, {}).decides("x")
    assert not Listing(0, {}, upto=b"m").is_complete
    assert not Listing(0, {}, after=b"m").is_complete


@given(st.integers(0, 200), st.integers(1, 400))
def test_a_walk_to_the_end_is_asked_ahead_for_each_position_once(begin: int, length: int) -> None:
    walk, end, handed = Walk(), begin + length, []
    for position in range(begin, end):
        ahead = walk.step(position, end)
        assert all(position < step <= position + AHEAD for step in ahead)
        handed += list(ahead)
    assert handed == list(range(end - len(handed), end))
    assert length - len(handed) <= STEPS + 1


@given(st.lists(st.integers(0, 1000).map(lambda n: n * 10), max_size=50))
def test_who_jumps_about_is_asked_nothing_ahead_for(positions: list[int]) -> None:
    walk = Walk()
    assert not any(walk.step(position, 10_000) for position in positions)


def test_the_order_is_that_of_the_bytes() -> None:
    names = ["z", "\U00010000", "\uffff", "a", "a.b"]
    listing = Listing(0, dict.fromkeys(names, False))
    assert listing.looked_up("a") == listing.looked_up("a.b") == []
    assert listing.looked_up("z") == ["\uffff", "\U00010000"]
