"""Every mode, every size, every range, in both directions."""

import random
from functools import partial

import pytest
import trio

from ossfs.types import ObjectKey
from tests.fuse.sdks import Sdk
from tests.modes.conftest import MakeWorld
from tests.modes.modes import MODES, Mode
from tests.modes.place import Place
from tests.transfer.world import FILE, MIB, World, content_of

SIZES = {"empty": 0, "one byte": 1, "a block": 16, "1 MiB + 3": MIB + 3, "multipart": 3 * MIB + 17}
ALIGNED = [(0, 16), (16, 32), (4096, 8192)]
UNALIGNED = [(1, 2), (5, 1005), (65_535, 65_553), (MIB - 1, MIB + 2), (2 * MIB + 9, 3 * MIB + 17)]
RANGES = [*ALIGNED, *UNALIGNED]

READERS = [(mode, name) for mode in MODES for name in mode.readers]
WRITERS = [(mode, name) for mode in MODES for name in mode.writers]


def identify(value: object) -> str:
    return str(value).replace(" ", "-")


async def check_sdk(sdk: Sdk, key: str, content: bytes) -> None:
    """The client reads the object whole and in ranges."""
    assert await trio.to_thread.run_sync(sdk.get, key, None, None) == content
    for first, end in RANGES:
        if end <= len(content):
            found = await trio.to_thread.run_sync(sdk.get, key, first, end - 1)
            assert found == content[first:end], (first, end)


async def check_mount(world: World, key: ObjectKey, content: bytes, *, sealed: bool) -> None:
    """A mount with nothing in memory reads the object whole and in ranges, in any order."""
    for expect in (0, len(content)):
        reader = await world.reader(key, expect_size=expect)
        assert reader.info.size == len(content)
        assert reader.is_authenticated is sealed
        for first, end in random.Random(expect).sample(RANGES, len(RANGES)):
            assert await reader.read(first, end - first) == content[first:end]
        assert await reader.read(0, len(content) + 1) == content
        reader.close()


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize(("mode", "reader"), READERS, ids=identify)
async def test_what_the_mount_wrote_is_read(
    world: MakeWorld, place: Place, mode: Mode, reader: str, kind: str
) -> None:
    key, content = ObjectKey(f"p/{mode} {reader} {kind}"), content_of(SIZES[kind])
    entry = mode.entry(place)
    info = await world(entry).upload(content, key)
    assert (info.object_type == "Multipart") is (kind == "multipart")
    metadata = (await world().store.head(key)).metadata
    assert metadata["mode"] == str(FILE.mode)
    assert ("ossfs-head" in metadata) is mode.sealed
    assert any(name.startswith("ossfs-") for name in metadata) is mode.sealed
    assert mode.wrap_alg in metadata.values()
    await check_sdk(mode.readers[reader](place), key, content)
    await check_mount(world(entry), key, content, sealed=mode.sealed)


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize(("mode", "writer"), WRITERS, ids=identify)
async def test_what_another_client_wrote_the_mount_reads(
    world: MakeWorld, place: Place, mode: Mode, writer: str, kind: str
) -> None:
    key, content = ObjectKey(f"p/by {mode} {writer} {kind}"), content_of(SIZES[kind], 1)
    sdk = mode.writers[writer](place)
    put = sdk.put_in_parts if kind == "multipart" else sdk.put
    await trio.to_thread.run_sync(partial(put, key, content))
    await check_mount(world(mode.entry(place)), key, content, sealed=False)
    await check_sdk(sdk, key, content)


async def test_one_keyring_opens_the_files_of_all_modes(world: MakeWorld, place: Place) -> None:
    keys = {mode.name: ObjectKey(f"p/of all {mode}") for mode in MODES}
    for mode in MODES:
        await world(mode.entry(place)).upload(content_of(1000), keys[mode.name])
    # Two KMS entries differ in their context; each opens its own, and RSA keys any padding.
    ring = world(*(mode.entry(place) for mode in reversed(MODES)))
    for mode in MODES:
        assert await ring.content(keys[mode.name]) == content_of(1000)
