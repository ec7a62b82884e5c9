"""A bucket that shows other bytes, or another number of them, under an ETag that is known."""

import errno
from dataclasses import replace

import pytest

from ossfs.types import ObjectKey
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
