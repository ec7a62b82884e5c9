"""Server-side encryption that a mount asks for, keeps and shows."""

from dataclasses import replace

import pytest

from ossfs.store.base import ServerEncryption
from ossfs.store.memory import MemoryStore
from tests.vfs.world import World

AES256 = ServerEncryption(algorithm="AES256")
NAMED = ServerEncryption(algorithm="KMS", key_id="cmk-1")
OWN_KMS = ServerEncryption(algorithm="KMS", key_id="memory-own-key")
SM4 = ServerEncryption(algorithm="SM4")


async def encryptions(world: World) -> dict[str, ServerEncryption | None]:
    return {key: (await world.head(key)).encryption for key in world.stored()}


@pytest.mark.parametrize("asked", [AES256, NAMED], ids=lambda asked: asked.label)
async def test_everything_that_is_stored_is_asked_for(
    world: World, asked: ServerEncryption
) -> None:
    mount = world.mount(sse=asked, part_size=1 << 20)
    await mount.mkdir("d")
    await mount.write("d/small", b"x")
    await mount.write("d/large", bytes(3 << 20))
    await mount.write("d/sidecar", bytes((32 << 20) + 1))
    await mount.symlink("d/link", b"target")
    await mount.mknod("d/fifo", 0o010644)
    await mount.mknod("d/node", 0o100644)
    await mount.change("d", mode=0o700)
    await mount.drain()
    found = await encryptions(world)
    assert len(found) == 8
    assert set(found.values()) == {asked}
    mount.bucket.forget()
    await mount.rename("d", "e")
    puts = [call for call in mount.bucket.calls if call.name == "put"]
    assert {".ossfs/journal/" in call.key for call in puts} == {True}
    assert {call.arguments["options"].encryption for call in puts} == {asked}


async def test_without_asking_the_rule_of_the_bucket_acts_and_is_shown(world: World) -> None:
    world.store = MemoryStore(
        encryption=ServerEncryption(algorithm="KMS"), clock=world.wall.seconds
    )
    mount = world.mount(part_size=1 << 20)
    for name, size in (("small", 1), ("large", 3 << 20)):
        await mount.write(name, bytes(size))
        assert await mount.status(name, "sse") == "KMS:memory-own-key"
        assert await mount.status(name, "encryption") == "client+server"
        await mount.rename(name, f"{name}.moved")
        assert await mount.status(f"{name}.moved", "sse") == "KMS:memory-own-key"


async def test_a_new_version_keeps_what_the_version_before_it_has(world: World) -> None:
    for there in (AES256, NAMED, SM4, None):
        mount = world.mount()
        await world.put("f", b"old", encryption=there)
        await mount.write("f", b"new")
        assert (await world.head("f")).encryption == there
        await mount.truncate("f", 1)
        assert (await world.head("f")).encryption == there


async def test_what_the_mount_asks_for_wins_over_what_is_there(world: World) -> None:
    mount = world.mount(sse=NAMED)
    await world.put("f", b"old", encryption=AES256)
    assert await mount.status("f", "sse") == "AES256"
    await mount.write("f", b"new")
    assert (await world.head("f")).encryption == NAMED
    assert await mount.status("f", "sse") == "KMS:cmk-1"


async def test_a_new_version_keeps_what_another_client_chose_meanwhile(world: World) -> None:
    mount = world.mount()
    await mount.write("f", b"one")
    info = await world.head("f")
    handle = await mount.open("f", 1)
    encrypt(world, "f", NAMED)
    await mount.fs.write(handle, 0, b"two")
    await mount.close(handle)
    assert info.encryption is None
    assert (await world.head("f")).encryption == NAMED


async def test_a_directory_marker_that_is_put_again_keeps_its_own(world: World) -> None:
    await world.put("d/", b"", encryption=AES256)
    mount = world.mount()
    await mount.change("d", mode=0o700)
    await mount.drain()
    assert (await world.head("d/")).encryption == AES256


@pytest.mark.parametrize("there", [AES256, NAMED, SM4], ids=lambda there: there.label)
async def test_renames_and_what_is_put_aside_keep_it(world: World, there: ServerEncryption) -> None:
    mount = world.mount(attr_ttl=0)
    for name in ("f", "d/a", "d/b/c", "open", "over"):
        await world.put(name, b"content", encryption=there)
    await world.put("d/", b"", encryption=there)
    await mount.rename("f", "g")
    await mount.rename("d", "e")
    unlinked, replaced = await mount.open("open"), await mount.open("over")
    await mount.unlink("open")
    await mount.rename("g", "over")
    found = await encryptions(world)
    assert set(found) > {"over", "e/", "e/a", "e/b/c"}
    assert sum(".ossfs/orphans/" in key for key in found) == 2
    assert set(found.values()) == {there}
    for handle in (unlinked, replaced):
        assert await mount.read_all(handle) == b"content"
        await mount.close(handle)


async def test_attributes_that_ride_on_a_rename_and_those_stored_again_keep_it(
    world: World,
) -> None:
    mount = world.mount(sse=NAMED)
    await mount.write("f", b"content")
    await mount.change("f", mode=0o600)
    await mount.rename("f", "g")
    assert (await world.head("g")).encryption == NAMED
    await mount.set_xattr("g", b"user.large", b"x" * 900)
    await mount.drain()
    assert "put" in mount.bucket.names()
    assert (await world.head("g")).encryption == NAMED


async def test_what_is_not_stored_yet_shows_what_it_will_get(world: World) -> None:
    mount = world.mount(sse=AES256)
    await mount.mkdir("d")
    handle = await mount.create("d/f")
    for path in ("", "d", "d/f"):
        assert await mount.status(path, "encryption") == "client+server"
    assert await mount.status("d/f", "sse") == "AES256"
    assert await mount.status("d/f", "master-key") == "key"
    await mount.close(handle)
    assert await mount.status("d/f", "sse") == "AES256"


def encrypt(world: World, key: str, encryption: ServerEncryption | None) -> None:
    """What another client does that encrypts an object anew: same bytes, same ETag."""
    version = world.store._versions[key]
    info = replace(version.info, encryption=encryption)
    world.store._versions[key] = replace(version, info=info)
