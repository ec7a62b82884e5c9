"""Copies and re-uploads keep the bytes and their envelope."""

from dataclasses import replace

import pytest

from ossfs.crypto.tags import INLINE_LIMIT
from ossfs.errors import (
    AlreadyExists,
    FileTooLarge,
    IntegrityError,
    NoAttributeRoom,
    Stale,
    Unavailable,
)
from ossfs.format.attributes import Attributes, from_metadata
from ossfs.store.base import ObjectInfo, PutOptions, ServerEncryption
from ossfs.store.memory import MemoryStore
from ossfs.transfer.protection import ServerChoice
from tests.transfer.watched import WatchedStore, now
from tests.transfer.world import FILE, KEY, KIB, MIB, OTHER, PART, World, content_of

CHANGED = replace(FILE, mode=0o100600, mtime_ns=99, xattrs={b"user.a": b"b" * 300})
SIZES = [0, 5, 3 * PART + 7, 9 * MIB]


def envelope(info: ObjectInfo) -> dict[str, str]:
    """All that makes the object readable."""
    return {
        name: value
        for name, value in info.metadata.items()
        if name.startswith(("client-side-encryption-", "ossfs-"))
    }


@pytest.mark.parametrize("size", SIZES)
async def test_a_copy_by_the_server_has_everything(world: World, size: int) -> None:
    kms = ServerEncryption(algorithm="KMS", key_id="k")
    content = content_of(size)
    info = await world.upload(content, tags={"a": "b"}, encryption=kms, storage_class="IA")
    copied = await world.copier.copy(info, OTHER)
    assert copied == await world.store.inner.head(OTHER)
    assert (copied.encryption, copied.storage_class) == (kms, "IA")
    assert await world.store.inner.get_tags(OTHER) == {"a": "b"}
    assert await world.content(OTHER) == content
    again = await world.copier.copy(info, OTHER, tags={"c": "d"})
    assert again == await world.store.inner.head(OTHER)
    assert await world.store.inner.get_tags(OTHER) == {"c": "d"}


async def test_a_version_that_was_replaced_is_not_copied(world: World) -> None:
    info = await world.upload(b"one")
    await world.upload(b"two")
    with pytest.raises(Stale):
        await world.copier.copy(info, OTHER)


@pytest.mark.parametrize("size", [5, 3 * PART + 7, INLINE_LIMIT + 1])
async def test_what_the_server_will_not_copy_is_streamed(world: World, size: int) -> None:
    world = world.again(store=WatchedStore(MemoryStore(copy_limit=0, clock=now)))
    content = content_of(size)
    kms = ServerEncryption(algorithm="AES256")
    info = await world.upload(content, tags={"a": "b"}, encryption=kms)
    copied = await world.copier.copy(info, OTHER)
    assert copied == await world.store.inner.head(OTHER)
    assert copied.metadata == info.metadata
    assert copied.encryption == kms
    assert await world.store.inner.get_tags(OTHER) == {"a": "b"}
    assert await world.again().content(OTHER) == content
    with pytest.raises(AlreadyExists):
        await world.copier.copy(info, OTHER, forbid_overwrite=True)


async def test_an_object_of_one_request_is_streamed_in_parts_with_their_sizes(
    world: World,
) -> None:
    world = world.again(store=WatchedStore(MemoryStore(copy_limit=0, clock=now)))
    content = content_of(5 * PART)
    info = await world.again(part_size=8 * MIB).upload(content)
    assert info.object_type == "Normal"
    copied = await world.copier.copy(info, OTHER)
    assert copied.object_type == "Multipart"
    assert copied.metadata["client-side-encryption-part-size"] == str(PART)
    assert copied.metadata["client-side-encryption-data-size"] == str(5 * PART)
    assert await world.content(OTHER) == content


async def test_a_strange_part_size_is_not_taken_over(world: World) -> None:
    world = world.again(store=WatchedStore(MemoryStore(copy_limit=0, clock=now)))
    content = content_of(5 * PART)
    info = await world.upload(content)
    for strange in ("1", "102401", "0", "-1", "x", "9" * 30, str(1 << 40)):
        metadata = {**info.metadata, "client-side-encryption-part-size": strange}
        odd = replace(info, metadata=metadata)
        copied = await world.copier.copy(odd, OTHER)
        assert copied.metadata["client-side-encryption-part-size"] == str(PART)
        assert await world.content(OTHER) == content


@pytest.mark.parametrize("size", SIZES)
async def test_a_reupload_changes_attributes_and_nothing_else(world: World, size: int) -> None:
    content = content_of(size)
    info = await world.upload(content, tags={"x": "y"}, storage_class="IA")
    before = bytes((await world.store.inner.get(KEY))[1])
    stored = await world.copier.reupload(
        info, attributes=CHANGED, tags={"x": "z"}, limit=max(size, 1)
    )
    assert stored == await world.store.inner.head(KEY)
    assert bytes((await world.store.inner.get(KEY))[1]) == before
    assert envelope(stored) == envelope(info)
    assert from_metadata(stored.metadata, FILE, size=size) == CHANGED
    assert await world.store.inner.get_tags(KEY) == {"x": "z"}
    assert stored.storage_class == "IA"
    assert await world.again().content() == content
    back = await world.copier.reupload(stored, attributes=FILE, tags={}, limit=None)
    assert back.metadata == info.metadata


async def test_a_plain_object_can_be_given_attributes_too(world: World) -> None:
    stored = await world.store.inner.put(KEY, b"foreign", PutOptions(metadata={"own": "x"}))
    info = await world.store.inner.head(KEY)
    assert info.etag == stored.etag
    again = await world.copier.reupload(info, attributes=CHANGED, tags={}, limit=None)
    assert again.metadata["own"] == "x"
    assert from_metadata(again.metadata, FILE, size=7) == CHANGED
    assert await world.content() == b"foreign"


async def test_a_reupload_above_the_limit_is_refused(world: World) -> None:
    info = await world.upload(content_of(1000))
    with pytest.raises(FileTooLarge):
        await world.copier.reupload(info, attributes=CHANGED, tags={}, limit=999)


async def test_xattrs_without_room_are_refused_before_anything_is_sent(world: World) -> None:
    info = await world.upload(b"x")
    world.store.calls.clear()
    huge = replace(FILE, xattrs={b"user.a": bytes(3000)})
    with pytest.raises(NoAttributeRoom):
        await world.copier.reupload(info, attributes=huge, tags={}, limit=None)
    assert world.store.calls == []


async def test_the_type_of_a_file_cannot_change(world: World) -> None:
    info = await world.upload(b"x")
    link = Attributes(mode=0o120777, uid=0, gid=0, atime_ns=0, mtime_ns=0, ctime_ns=0)
    with pytest.raises(ValueError, match="type"):
        await world.copier.reupload(info, attributes=link, tags={}, limit=None)


@pytest.mark.parametrize("size", [5, 3 * PART + 7])
async def test_damaged_bytes_are_not_stored_again(world: World, size: int) -> None:
    info = await world.upload(content_of(size))
    version = world.store.inner._versions[KEY]
    damaged = version.body[:-1] + bytes([version.body[-1] ^ 1])
    world.store.inner._versions[KEY] = replace(version, body=damaged)
    with pytest.raises(IntegrityError):
        await world.copier.reupload(info, attributes=CHANGED, tags={}, limit=None)
    assert world.store.inner._versions[KEY].info == info
    assert not world.store.inner._uploads


@pytest.mark.parametrize("size", [5, 3 * PART + 7])
async def test_a_version_that_is_replaced_meanwhile_stays(world: World, size: int) -> None:
    info = await world.upload(content_of(size))
    newer = await world.again().upload(b"theirs", OTHER)
    theirs = replace(world.store.inner._versions[OTHER], info=replace(newer, key=KEY))

    def replace_it(name: str) -> None:
        if name == "head":
            world.store.inner._versions[KEY] = theirs

    world.store.before = replace_it
    with pytest.raises(Stale):
        await world.copier.reupload(info, attributes=CHANGED, tags={}, limit=None)
    world.store.before = lambda _name: None
    assert await world.content() == b"theirs"
    assert not world.store.inner._uploads


@pytest.mark.parametrize("size", [5, 3 * PART + 7])
async def test_a_failing_request_leaves_the_version_as_it_was(world: World, size: int) -> None:
    content = content_of(size)
    info = await world.upload(content)
    for number in range(1, 50):
        world.store.calls.clear()
        world.store.fail_at = number
        try:
            await world.copier.reupload(info, attributes=CHANGED, tags={}, limit=None)
        except Unavailable:
            assert await world.store.inner.head(KEY) == info
            assert not world.store.inner._uploads
            continue
        break
    assert number > 3
    world.store.fail_at = 0
    assert await world.again().content() == content


@pytest.mark.parametrize("size", [5, 3 * PART + 7])
@pytest.mark.parametrize(
    ("tags", "encryption"),
    [
        ({"a": "new"}, None),
        ({"a": "old", "b": "new"}, None),
        ({"a": "old"}, ServerEncryption(algorithm="AES256")),
    ],
)
async def test_the_version_that_is_replaced_never_passes_for_the_new_one(
    world: World, size: int, tags: dict[str, str], encryption: ServerEncryption | None
) -> None:
    info = await world.upload(content_of(size), tags={"a": "old"})

    def fail(name: str) -> None:
        if name in {"put", "complete_multipart"}:
            raise Unavailable("made to fail", status=503)

    world.store.before = fail
    with pytest.raises(Unavailable):
        await world.copier.reupload(
            info, attributes=FILE, tags=tags, limit=None, choice=ServerChoice(encryption)
        )
    assert await world.store.inner.head(KEY) == info


@pytest.mark.parametrize("size", [5, 3 * PART + 7])
async def test_a_reupload_whose_last_answer_was_lost_is_recognised_by_its_headers(
    world: World, size: int
) -> None:
    info = await world.upload(content_of(size))
    world.store.answer_lost = True
    world.store.calls.clear()
    world.store.fail_at = {5: 3, 3 * PART + 7: 11}[size]
    stored = await world.copier.reupload(info, attributes=CHANGED, tags={}, limit=None)
    assert world.store.names()[world.store.fail_at - 1] in {"put", "complete_multipart"}
    assert stored == await world.store.inner.head(KEY)


async def test_a_streamed_copy_takes_memory_of_parts_alone(world: World) -> None:
    world = world.again(store=WatchedStore(MemoryStore(copy_limit=0, clock=now)))
    info = await world.upload(content_of(20 * PART))
    lowest = world.limits.memory.free

    def note(_name: str) -> None:
        nonlocal lowest
        lowest = min(lowest, world.limits.memory.free)

    world.store.before = note
    await world.copier.copy(info, OTHER)
    assert lowest >= 64 * MIB - 8 * PART
    assert lowest < 64 * MIB
    assert PART > 100 * KIB
