"""Whatever is changed in the bucket gives an error, and never other bytes."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from ossfs.crypto.tags import INLINE_LIMIT
from ossfs.errors import IntegrityError, KeyUnavailable, OssfsError, Unsupported
from ossfs.format.names import is_sidecar_key
from ossfs.transfer.version import Integrity
from ossfs.types import ObjectKey
from tests.transfer.world import KEY, KIB, MIB, OTHER, World, content_of, keyring

CHUNK = 64 * KIB


def version_of(world: World, key: ObjectKey = KEY) -> Any:
    return world.store.inner._versions[key]


def put_back(world: World, version: Any, *, key: ObjectKey = KEY, **changes: Any) -> None:
    """Let the bucket hold *version* with changes, as its owner could."""
    info = version.info
    body = changes.get("body", version.body)
    metadata = changes.get("metadata", info.metadata)
    info = replace(info, key=key, size=len(body), metadata=metadata)
    world.store.inner._versions[key] = replace(version, body=body, info=info)


def flipped(data: bytes, position: int, bit: int = 0) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 1 << bit
    return bytes(changed)


async def read_all(world: World, expect_size: int = 0) -> bytes:
    reader = await world.reader(expect_size=expect_size)
    return bytes(await reader.read(0, reader.info.size))


@pytest.mark.parametrize("expect", [0, 4 * CHUNK])
async def test_one_flipped_bit_of_the_body_spoils_its_chunk_and_no_other(
    world: World, expect: int
) -> None:
    content = content_of(3 * CHUNK + 100)
    await world.upload(content)
    version = version_of(world)
    for position in (0, CHUNK - 1, CHUNK, 2 * CHUNK + 5, len(content) - 1):
        put_back(world, version, body=flipped(version.body, position, position % 8))
        reader = await world.again().reader(expect_size=expect)
        spoiled = position // CHUNK
        for chunk in range(4):
            start = chunk * CHUNK
            if chunk != spoiled:
                expected = content[start : start + CHUNK]
                assert await reader.read(start, CHUNK) == expected
            for _ in range(2):
                if chunk == spoiled:
                    with pytest.raises(IntegrityError):
                        await reader.read(start, 1)
        with pytest.raises(IntegrityError):
            await reader.read(0, len(content))


async def test_first_bytes_that_were_damaged_on_their_way_are_asked_for_again(
    world: World,
) -> None:
    content = content_of(3 * CHUNK + 100)
    await world.upload(content)

    def damage(name: str, answer: Any) -> Any:
        if name != "get":
            return answer
        info, body = answer
        return info, flipped(bytes(body), CHUNK + 5)

    world.store.tamper = damage
    reader = await world.reader(expect_size=len(content))
    world.store.tamper = lambda _name, answer: answer
    world.store.calls.clear()
    assert await reader.read(0, len(content)) == content
    assert await reader.read(0, len(content)) == content
    (asked,) = [arguments for name, arguments in world.store.calls if name == "get"]
    assert (asked["start"], asked["length"]) == (CHUNK, CHUNK)


async def test_chunks_that_change_places_are_refused(world: World) -> None:
    content = content_of(3 * CHUNK)
    await world.upload(content)
    version = version_of(world)
    body = version.body
    put_back(world, version, body=body[CHUNK : 2 * CHUNK] + body[:CHUNK] + body[2 * CHUNK :])
    reader = await world.reader()
    with pytest.raises(IntegrityError):
        await reader.read(0, 1)
    with pytest.raises(IntegrityError):
        await reader.read(CHUNK, 1)
    assert await reader.read(2 * CHUNK, CHUNK) == content[2 * CHUNK :]


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1])
async def test_an_object_cut_short_or_grown_does_not_open(world: World, size: int) -> None:
    await world.upload(content_of(CHUNK + 7))
    version = version_of(world)
    put_back(world, version, body=(version.body + bytes(CHUNK))[:size])
    with pytest.raises(IntegrityError):
        await read_all(world)


async def test_no_change_of_a_header_shows_other_bytes(world: World) -> None:
    content = content_of(2 * CHUNK + 100)
    await world.upload(content)
    version = version_of(world)
    irrelevant = {"uid", "gid", "atime", "mtime", "ctime"}
    for name in version.info.metadata.keys() - irrelevant:
        value = version.info.metadata[name]
        for position in {0, len(value) // 2, len(value) - 1}:
            other = "A" if value[position] != "A" else "B"
            changed = value[:position] + other + value[position + 1 :]
            put_back(world, version, metadata={**version.info.metadata, name: changed})
            await shows_only(world, content)
        without = {key: text for key, text in version.info.metadata.items() if key != name}
        put_back(world, version, metadata=without)
        await shows_only(world, content)


async def shows_only(world: World, content: bytes) -> None:
    """Reading gives *content* or one of the errors that stand for a refusal."""
    fresh = world.again(keyring=keyring())
    with suppress(IntegrityError, KeyUnavailable, Unsupported):
        assert await read_all(fresh) == content


async def test_the_type_of_a_file_cannot_be_changed(world: World) -> None:
    await world.upload(b"/etc/passwd")
    version = version_of(world)
    put_back(world, version, metadata={**version.info.metadata, "mode": str(0o120777)})
    with pytest.raises(IntegrityError):
        await world.reader()


async def test_headers_of_another_object_do_not_fit(world: World) -> None:
    await world.upload(content_of(500))
    await world.upload(content_of(500, 1), OTHER)
    one, two = version_of(world), version_of(world, OTHER)
    envelope = {
        name: value
        for name, value in two.info.metadata.items()
        if name.startswith("client-side-encryption-")
    }
    put_back(world, one, metadata={**one.info.metadata, **envelope})
    with pytest.raises(IntegrityError):
        await world.reader()
    put_back(world, one, metadata=two.info.metadata)
    with pytest.raises(IntegrityError):
        await read_all(world)


async def test_a_stripped_object_is_refused_unless_integrity_is_off(world: World) -> None:
    content = content_of(1000)
    await world.upload(content)
    version = version_of(world)
    stripped = {
        name: value
        for name, value in version.info.metadata.items()
        if not name.startswith("ossfs-")
    }
    put_back(world, version, metadata=stripped)
    with pytest.raises(IntegrityError):
        await world.again().reader()
    off = world.again(integrity=Integrity.OFF)
    assert await off.content() == content


async def test_without_checks_damage_is_what_the_user_asked_for(world: World) -> None:
    content = content_of(1000)
    await world.upload(content)
    version = version_of(world)
    put_back(world, version, body=flipped(version.body, 3))
    assert await world.again(integrity=Integrity.OFF).content() == flipped(content, 3)


async def test_plain_objects_are_read_unless_authenticity_is_required(world: World) -> None:
    await world.again(keyring=None).upload(b"written by another program")
    for integrity in (Integrity.PREFER, Integrity.OFF):
        reader = await world.again(integrity=integrity).reader()
        assert await reader.read(0, 100) == b"written by another program"
        assert not reader.is_authenticated
    with pytest.raises(IntegrityError):
        await world.again(integrity=Integrity.REQUIRE).reader()


async def test_sealed_objects_are_read_where_authenticity_is_required(world: World) -> None:
    await world.upload(b"ours")
    reader = await world.again(integrity=Integrity.REQUIRE).reader()
    assert await reader.read(0, 100) == b"ours"
    assert reader.is_authenticated


async def test_a_key_that_does_not_open_it_is_an_error_at_open(world: World) -> None:
    await world.upload(b"ours")
    with pytest.raises(IntegrityError):
        await world.again(keyring=keyring(1)).reader(expect_size=4)
    with pytest.raises(KeyUnavailable):
        await world.again(keyring=None).reader()
    other = keyring(0, padding="oaep-sha1", matdesc={"a": "b"})
    assert await (await world.again(keyring=other).reader()).read(0, 9) == b"ours"


async def test_unchecked_bytes_in_the_cache_do_not_pass_for_sealed_ones(world: World) -> None:
    content = content_of(1000)
    await world.upload(content)
    genuine = version_of(world)
    forged = flipped(content, 0)
    put_back(world, genuine, body=forged, metadata={"mode": "33188"})
    assert await world.content() == forged
    # The owner of the bucket puts the real object back under the very same ETag.
    put_back(world, genuine)
    assert await world.content() == content


async def test_ciphertext_that_lost_its_envelope_does_not_pass_for_content_when_it_is_back(
    world: World,
) -> None:
    content = content_of(1000)
    await world.upload(content)
    own = version_of(world)
    names = [name for name in own.info.metadata if name.startswith("client-side-encryption-")]
    foreign = {name: own.info.metadata[name] for name in names}
    world = world.again(integrity=Integrity.OFF)
    for metadata, shown in (({}, own.body), (foreign, content), ({}, own.body)):
        put_back(world, own, metadata=metadata)
        assert await read_all(world) == shown
        assert await read_all(world, expect_size=1000) == shown


@pytest.mark.parametrize("size", [3, 5000])
async def test_chunks_in_the_cache_do_not_pass_for_those_of_another_size(
    world: World, size: int
) -> None:
    await world.again(keyring=None).upload(content_of(1000))
    plain = version_of(world)
    assert await world.content() == content_of(1000)
    put_back(world, plain, body=content_of(size, seed=1))
    assert await world.content() == content_of(size, seed=1)


@pytest.mark.parametrize("expect", [0, 4 * CHUNK])
async def test_a_known_version_under_its_etag_with_another_size_is_refused(
    world: World, expect: int
) -> None:
    content = content_of(3 * CHUNK)
    await world.upload(content)
    known = await world.reader(expect_size=expect)
    assert await known.read(0, len(content)) == content
    version = version_of(world)
    for body in (content[: 2 * CHUNK], version.body + b"x"):
        put_back(world, version, body=body)
        with pytest.raises(IntegrityError):
            await world.opener.open(KEY, expect_size=expect, known=known)
    put_back(world, version)
    _, reader = await world.opener.open(KEY, expect_size=expect, known=known)
    assert reader is known


class TestSidecar:
    """The same for files above 32 MiB, whose tags stand in an object of their own."""

    SIZE = INLINE_LIMIT + 3 * CHUNK + 9

    async def sidecar(self, world: World) -> tuple[ObjectKey, Any, bytes]:
        content = content_of(self.SIZE)
        await world.again(part_size=8 * MIB).upload(content)
        key = ObjectKey(next(key for key in world.store.inner._keys if ".ossfs/tags/" in key))
        return key, version_of(world, key), content

    async def test_damage_to_it_spoils_reading_and_shows_nothing_else(self, world: World) -> None:
        key, version, content = await self.sidecar(world)
        for position in (0, 31, 32, len(version.body) - 1, len(version.body) // 2):
            put_back(world, version, key=key, body=flipped(version.body, position))
            reader = await world.again().reader()
            with pytest.raises(IntegrityError):
                await reader.read(0, 10)
        put_back(world, version, key=key)
        reader = await world.again().reader()
        assert await reader.read(5, 10) == content[5:15]

    async def test_losing_or_cutting_it_is_an_integrity_error(self, world: World) -> None:
        key, version, _ = await self.sidecar(world)
        for body in (b"", version.body[:-1], version.body[:32], version.body + b"x"):
            put_back(world, version, key=key, body=body)
            with pytest.raises(IntegrityError):
                await (await world.again().reader()).read(0, 10)
        await world.store.inner.delete(key)
        reader = await world.again().reader()
        for _ in range(2):
            with pytest.raises(IntegrityError):
                await reader.read(0, 10)

    async def test_a_pointer_to_another_object_is_not_followed(self, world: World) -> None:
        key, _, _ = await self.sidecar(world)
        version = version_of(world)
        for pointer in ("p/file", "", "p/.ossfs/tags/" + "0" * 40, key + "x", "../" + key):
            put_back(world, version, metadata={**version.info.metadata, "ossfs-sidecar": pointer})
            world.store.calls.clear()
            with pytest.raises(OssfsError) as caught:
                await (await world.again().reader()).read(0, 10)
            assert isinstance(caught.value, IntegrityError)
            asked = {arguments["key"] for _, arguments in world.store.calls}
            assert all(is_sidecar_key(name) for name in asked - {KEY})

    async def test_the_body_is_checked_as_ever(self, world: World) -> None:
        _, _, content = await self.sidecar(world)
        version = version_of(world)
        put_back(world, version, body=flipped(version.body, 33 * MIB // 2))
        reader = await world.again().reader()
        assert await reader.read(0, CHUNK) == content[:CHUNK]
        with pytest.raises(IntegrityError):
            await reader.read(33 * MIB // 2, 1)
