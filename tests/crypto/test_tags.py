"""Chunk geometry, tags, pages, tagsum, head and the layout of sidecars."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.crypto import tags
from ossfs.crypto.datakey import DataKey
from ossfs.crypto.tags import ChunkTagger, SidecarLayout
from ossfs.errors import IntegrityError

KIB, MIB = 1 << 10, 1 << 20
KEY = DataKey(bytes(range(32)))
TAGGER = ChunkTagger(KEY, KEY.iv())

BITS = st.integers(0, 7)


def flipped(data: bytes, position: int, bit: int) -> bytes:
    changed = bytearray(data)
    changed[position % len(data)] ^= 1 << bit
    return bytes(changed)


@pytest.mark.parametrize(
    ("size", "chunk", "count"),
    [
        (0, 64, 0),
        (1, 64, 1),
        (64 * KIB, 64, 1),
        (64 * KIB + 1, 64, 2),
        (8 * MIB, 64, 128),
        (8 * MIB + 1, 128, 65),
        (16 * MIB, 128, 128),
        (16 * MIB + 1, 256, 65),
        (32 * MIB, 256, 128),
        (32 * MIB + 1, 64, 513),
    ],
)
def test_the_size_alone_decides_the_chunks(size: int, chunk: int, count: int) -> None:
    assert tags.chunk_size(size) == chunk * KIB
    assert tags.chunk_count(size) == count


@given(st.integers(1, 32 * MIB))
def test_inline_chunks_are_the_fewest_that_fit(size: int) -> None:
    assert tags.chunk_count(size) <= 128
    if tags.chunk_size(size) > 64 * KIB:
        assert size > 128 * (tags.chunk_size(size) // 2)


@given(st.binary(min_size=1, max_size=300), st.integers(0, 1 << 40), st.integers(0), BITS)
def test_any_flipped_bit_of_chunk_or_tag_is_refused(
    stored: bytes, index: int, position: int, bit: int
) -> None:
    tag = TAGGER.tag(index, stored)
    TAGGER.check(index, memoryview(stored), memoryview(tag))
    for chunk, claimed in (
        (flipped(stored, position, bit), tag),
        (stored, flipped(tag, position, bit)),
    ):
        with pytest.raises(IntegrityError):
            TAGGER.check(index, chunk, claimed)


@given(st.binary(max_size=100), st.integers(0, 1000), st.integers(0, 1000))
def test_a_chunk_is_bound_to_its_place(stored: bytes, here: int, there: int) -> None:
    if here != there:
        with pytest.raises(IntegrityError):
            TAGGER.check(there, stored, TAGGER.tag(here, stored))


@given(st.binary(max_size=100), st.integers(0, 15))
def test_a_shortened_tag_is_refused(stored: bytes, length: int) -> None:
    with pytest.raises(IntegrityError):
        TAGGER.check(0, stored, TAGGER.tag(0, stored)[:length])


def test_other_keys_and_ivs_give_other_tags() -> None:
    others = ChunkTagger(DataKey(bytes(32)), KEY.iv()), ChunkTagger(KEY, bytes(16))
    assert len({tagger.tag(0, b"chunk") for tagger in (TAGGER, *others)}) == 3


@given(st.integers(0, 3 * tags.PAGE_TAGS), st.integers(0), BITS)
def test_pages_and_tagsum_refuse_any_flipped_bit(count: int, position: int, bit: int) -> None:
    all_tags = bytes(i * 7 & 255 for i in range(count * tags.TAG_BYTES))
    hashes = tags.page_hashes(all_tags)
    total = tags.tagsum_of(all_tags)
    tags.check_pages(hashes, total)
    for index in range(0, len(hashes), 32):
        page = all_tags[index // 32 * tags.PAGE_BYTES :][: tags.PAGE_BYTES]
        tags.check_page(page, hashes[index : index + 32])
        with pytest.raises(IntegrityError):
            tags.check_page(flipped(page, position, bit), hashes[index : index + 32])
    if hashes:
        with pytest.raises(IntegrityError):
            tags.check_pages(flipped(hashes, position, bit), total)


@given(st.sampled_from([8, 10]), st.integers(0, 1 << 48), st.binary(min_size=32, max_size=32))
def test_the_head_binds_type_size_tagsum_and_key(file_type: int, size: int, total: bytes) -> None:
    iv = KEY.iv()
    head = tags.make_head(KEY, iv, file_type=file_type, size=size, tagsum=total)

    def matches(
        key: DataKey = KEY, iv: bytes = iv, file_type: int = file_type, size: int = size
    ) -> bool:
        return tags.head_matches(key, iv, head, file_type=file_type, size=size, tagsum=total)

    assert matches()
    assert not matches(file_type=file_type ^ 2)
    assert not matches(size=size + 1)
    assert not matches(key=DataKey(bytes(32)))
    assert not matches(iv=bytes(16))
    assert not tags.head_matches(
        KEY, iv, head, file_type=file_type, size=size, tagsum=flipped(total, 3, 1)
    )
    assert not tags.head_matches(
        KEY, iv, flipped(head, size, 0), file_type=file_type, size=size, tagsum=total
    )
    assert not tags.head_matches(KEY, iv, b"", file_type=file_type, size=size, tagsum=total)


@given(st.integers(32 * MIB + 1, 2 << 30))
def test_a_sidecar_is_where_its_layout_says(size: int) -> None:
    layout = SidecarLayout(size=size)
    all_tags = b"".join(i.to_bytes(16, "big") for i in range(tags.chunk_count(size)))
    body = tags.sidecar_body(all_tags)
    assert layout.total_length == len(body)
    hashes = body[: layout.hashes_length]
    tags.check_pages(hashes, tags.tagsum_of(all_tags))
    found = b""
    for index in range(tags.page_count(size)):
        start, length = layout.page(index)
        page = body[start : start + length]
        tags.check_page(page, hashes[32 * index : 32 * index + 32])
        found += page
    assert found == all_tags
