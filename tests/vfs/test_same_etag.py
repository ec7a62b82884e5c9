"""A bucket that shows other bytes, or another number of them, under an ETag that is known."""

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from ossfs.keys import rsa
from ossfs.types import ObjectKey
from tests.keys.fakes import private_pem, rsa_key, write_private
from tests.vfs.world import World, refused


def cut(world: World, name: str, size: int) -> None:
    """Let the bucket hold only the first *size* bytes, under the ETag of all of them."""
    version = world.store._versions[ObjectKey(name)]
    info = replace(version.info, size=size)
    world.store._versions[ObjectKey(name)] = replace(version, body=version.body[:size], info=info)


@pytest.mark.parametrize("ask_by_head", [False, True])
async def test_another_size_under_the_same_etag_is_another_version(
    world: World, ask_by_head: bool
) -> None:
    mount = world.mount(attr_ttl=0)
    await mount.write("f", b"all of this is content")
    handle = await mount.open("f")
    assert await mount.read_all(handle) == b"all of this is content"
    cut(world, "f", 3)
    if ask_by_head:
        await mount.stat("f")
        with refused(errno.ESTALE):
            await mount.fs.read(handle, 0, 99)
    with refused(errno.EIO):
        await mount.open("f")
    await mount.close(handle)


async def test_another_size_of_a_plain_object_under_the_same_etag_is_shown(world: World) -> None:
    mount = world.mount(attr_ttl=0)
    await world.put("f", b"all of this is content")
    assert await mount.read("f") == b"all of this is content"
    cut(world, "f", 3)
    assert await mount.read("f") == b"all"


@pytest.mark.parametrize("ask_by_head", [False, True])
async def test_another_envelope_of_the_deprecated_form_is_another_version(
    world: World, ask_by_head: bool, tmp_path: Path
) -> None:
    """Nothing vouches for this form, so what was read before must go when its headers change."""
    path = write_private(tmp_path / "key.pem", private_pem(rsa_key()))
    world.key = rsa.load(path, padding="deprecated")
    mount = world.mount(attr_ttl=0)
    await mount.write("f", b"what was there")
    handle = await mount.open("f")
    assert await mount.read_all(handle) == b"what was there"
    await mount.write("other", b"something else")
    others = (await world.head("other")).metadata
    version = world.store._versions[ObjectKey("f")]
    world.store._versions[ObjectKey("f")] = replace(
        version, info=replace(version.info, metadata=others)
    )
    if ask_by_head:
        await mount.stat("f")
        with refused(errno.ESTALE):
            await mount.fs.read(handle, 0, 99)
    assert await mount.read("f") != b"what was there"
    await mount.close(handle)
