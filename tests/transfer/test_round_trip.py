"""What was uploaded is read back, at every size where something changes."""

import tracemalloc
from pathlib import Path

import fastcrc
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ossfs.crypto.body import BodyCipher
from ossfs.crypto.datakey import DataKey
from ossfs.crypto.tags import INLINE_LIMIT, ChunkTagger
from ossfs.errors import FileTooLarge
from ossfs.format import envelope as envelopes
from ossfs.format.attributes import SYMLINK_MODE, Attributes, from_metadata
from ossfs.store.base import ServerEncryption
from ossfs.transfer.ciphertext import StoredForm
from ossfs.transfer.limits import TransferLimits
from ossfs.transfer.sending import MAX_PART, MAX_PARTS, Sender
from ossfs.types import ObjectKey
from tests.transfer.watched import WatchedStore, as_store
from tests.transfer.world import FILE, KEY, KIB, MIB, OTHER, PART, World, content_of

CHUNK = 64 * KIB


@pytest.mark.parametrize(
    "size",
    [
        0,
        1,
        15,
        16,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        PART,
        PART + 1,
        2 * PART,
        2 * PART + 1,
        8 * MIB,
        8 * MIB + 1,
        16 * MIB + 1,
    ],
)
async def test_content_of_any_size_is_read_as_it_was_written(world: World, size: int) -> None:
    content = content_of(size)
    info = await world.upload(content)
    assert await world.content() == content
    assert await world.again().content(step=CHUNK + 1) == content
    assert info == await world.store.inner.head(KEY)
    assert info.size == size
    stored = (await world.store.inner.get(KEY))[1]
    assert size < 16 or stored != content


@pytest.mark.parametrize("size", [INLINE_LIMIT, INLINE_LIMIT + 1])
async def test_tags_move_to_a_sidecar_above_32_mebibytes(world: World, size: int) -> None:
    writer = world.again(part_size=4 * MIB)
    content = content_of(size)
    info = await writer.upload(content)
    sidecars = [key for key in world.store.inner._keys if ".ossfs/tags/" in key]
    assert len(sidecars) == (size > INLINE_LIMIT)
    assert ("ossfs-sidecar" in info.metadata) == (size > INLINE_LIMIT)
    assert all(key.startswith("p/.ossfs/tags/") for key in sidecars)
    assert await world.content() == content
    # The sidecar is there before the file is.
    if sidecars:
        assert world.store.names().index("put") < world.store.names().index("initiate_multipart")


@pytest.mark.parametrize("size", [0, 5, 3 * PART])
async def test_without_keys_content_is_stored_as_it_is(world: World, size: int) -> None:
    plain = world.again(keyring=None)
    content = content_of(size)
    await plain.upload(content)
    info, stored = await world.store.inner.get(KEY)
    assert bytes(stored) == content
    assert not any(name.startswith(envelopes.PREFIX) for name in info.metadata)
    assert await plain.content() == content


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    reads=st.lists(
        st.tuples(st.integers(0, 5 * CHUNK), st.integers(0, 4 * CHUNK)), min_size=1, max_size=6
    ),
    first=st.booleans(),
)
async def test_reads_at_any_offset_are_slices_of_the_content(
    tmp_path: Path, reads: list[tuple[int, int]], first: bool
) -> None:
    content = content_of(4 * CHUNK + 777)
    async with trio.open_nursery() as nursery:
        world = World(nursery=nursery, directory=tmp_path)
        await world.upload(content)
        reader = await world.reader(expect_size=len(content) if first else 0)
        for offset, length in reads:
            assert await reader.read(offset, length) == content[offset : offset + length]
        reader.close()


async def test_the_type_of_a_link_is_bound_and_its_target_is_its_content(world: World) -> None:
    link = Attributes(mode=SYMLINK_MODE, uid=0, gid=0, atime_ns=0, mtime_ns=0, ctime_ns=0)
    info = await world.uploader.upload_link("ziel/ä".encode(), KEY, attributes=link)
    assert from_metadata(info.metadata, FILE, size=info.size) == link
    assert await world.content() == "ziel/ä".encode()
    assert bytes((await world.store.inner.get(KEY))[1]) != "ziel/ä".encode()


async def test_markers_are_empty_and_have_no_envelope(world: World) -> None:
    directory = Attributes(mode=0o40755, uid=0, gid=0, atime_ns=0, mtime_ns=0, ctime_ns=0)
    info = await world.uploader.put_marker(ObjectKey("p/d/"), directory)
    assert info == await world.store.inner.head("p/d/")
    assert (info.size, info.content_type) == (0, "application/x-directory")
    assert not any(name.startswith((envelopes.PREFIX, "ossfs-")) for name in info.metadata)


async def test_options_reach_the_object_and_the_answer(world: World) -> None:
    kms = ServerEncryption(algorithm="KMS", key_id="k")
    for size in (5, 3 * PART):
        info = await world.upload(
            content_of(size), tags={"a": "b"}, encryption=kms, storage_class="IA"
        )
        assert info == await world.store.inner.head(KEY)
        assert (info.encryption, info.storage_class, info.tagging_count) == (kms, "IA", 1)
        assert await world.store.inner.get_tags(KEY) == {"a": "b"}


async def test_two_uploads_of_the_same_content_use_different_data_keys(world: World) -> None:
    content = content_of(1000)
    await world.upload(content)
    await world.upload(content, OTHER)
    one, two = [bytes((await world.store.inner.get(key))[1]) for key in (KEY, OTHER)]
    assert one != two


async def test_writes_during_an_upload_do_not_reach_it(world: World) -> None:
    content = content_of(4 * PART)
    staged = world.area.create()
    staged.pwrite(0, content)
    frozen = staged.freeze()
    world.store.before = lambda _name: staged.pwrite(0, b"later" * 50_000)
    await world.uploader.upload(frozen, KEY, attributes=FILE)
    assert await world.again().content() == content
    frozen.close()
    staged.close()


@pytest.mark.parametrize("keep", [False, True])
async def test_a_part_that_is_sent_again_has_the_same_bytes(world: World, keep: bool) -> None:
    key = DataKey.generate()
    cipher, tagger = BodyCipher(key, key.iv()), ChunkTagger(key, key.iv())
    content = content_of(3 * PART + 5)
    with world.frozen(content) as frozen:
        form = StoredForm(frozen, world.limits, cipher=cipher, tagger=tagger)
        await form.scan(keep=keep)
        stored = cipher.apply(0, content)
        assert form.crc64 == fastcrc.crc64.xz(stored)
        for number in (0, 3, 1, 2, 3, 0):
            start = number * PART
            async with form.piece(start, min(PART, form.size - start)) as piece:
                assert piece == stored[start : start + PART]


def test_parts_are_whole_chunks_and_never_too_many() -> None:
    limits = TransferLimits()
    sender = Sender(as_store(WatchedStore()), limits, part_size=8 * MIB)
    assert sender.part_size_for(16 * MIB) is None
    assert sender.part_size_for(16 * MIB + 1) == 8 * MIB
    for size in (100 << 30, 1 << 40, 40 << 40):
        part = sender.part_size_for(size)
        assert part is not None
        assert part % CHUNK == 0
        assert -(-size // part) <= MAX_PARTS
    with pytest.raises(FileTooLarge):
        sender.part_size_for(MAX_PARTS * MAX_PART + 1)


async def test_a_buffer_that_a_request_was_given_never_holds_plaintext(world: World) -> None:
    plain = b"A" * 32

    def look(_name: str) -> None:
        bodies = [arguments["body"] for _, arguments in world.store.calls if "body" in arguments]
        assert not any(plain in bytes(body) for body in bodies)

    world.store.before = look
    for size in (1000, 40 * PART):
        await world.upload(b"A" * size)
        look("")


async def test_no_buffer_outlives_the_part_whose_memory_was_held_for_it(world: World) -> None:
    key = DataKey.generate()
    cipher, tagger = BodyCipher(key, key.iv()), ChunkTagger(key, key.iv())
    with world.frozen(content_of(4 * MIB)) as frozen:
        form = StoredForm(frozen, world.limits, cipher=cipher, tagger=tagger)
        tracemalloc.start()
        try:
            await form.scan(keep=False)
            async with form.piece(0, 2 * MIB), form.piece(2 * MIB, 2 * MIB):
                pass
            kept, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak > 4 * MIB
    assert kept < 512 * KIB
