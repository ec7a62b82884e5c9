"""Small files opened ahead of someone who reads one after the other."""

import math
import os
import random

import pytest
import trio

from ossfs.errors import StaleHandle
from ossfs.types import HandleId
from ossfs.vfs.foresight import FRESH_SECONDS, SMALL_BYTES
from ossfs.vfs.metadata import Changes
from tests.vfs.world import Mount, World

COUNT = 60
DELAY = 0.02


def name(number: int) -> str:
    return f"d/f{number:02}"


async def fill(mount: Mount, count: int = COUNT) -> None:
    await mount.mkdir("d")
    for number in range(count):
        await mount.write(name(number), b"%d" % number)


async def test_who_reads_one_file_after_the_other_waits_for_few_of_them(
    mount: Mount, world: World
) -> None:
    await fill(mount)
    other = world.mount()
    other.bucket.delay = lambda: DELAY
    begun = trio.current_time()
    for number in range(COUNT):
        assert await other.read(name(number)) == b"%d" % number
    assert trio.current_time() - begun < COUNT * DELAY
    assert other.bucket.count("get") < COUNT + 5
    assert other.bucket.count("head") < 15


async def test_each_open_is_answered_by_a_request_of_its_own(mount: Mount, world: World) -> None:
    await fill(mount)
    other = world.mount()
    for _ in range(2):
        other.bucket.forget()
        for number in range(COUNT):
            await other.read(name(number))
        assert other.bucket.count("get") >= COUNT


async def test_an_answer_that_has_grown_old_counts_for_no_open(mount: Mount, world: World) -> None:
    await fill(mount)
    other = world.mount()
    for number in range(10):
        await other.read(name(number))
    await trio.sleep(FRESH_SECONDS)
    for number in range(10, COUNT):
        await mount.write(name(number), b"changed")
    for number in range(10, COUNT):
        assert await other.read(name(number)) == b"changed"


async def test_what_this_mount_wrote_meanwhile_is_what_an_open_shows(
    mount: Mount, world: World
) -> None:
    await fill(mount)
    other = world.mount()
    for number in range(10):
        await other.read(name(number))
    for number in range(10, COUNT):
        await other.write(name(number), b"mine")
        assert await other.read(name(number)) == b"mine"


async def test_files_above_the_size_of_one_request_are_left_alone(
    mount: Mount, world: World
) -> None:
    await mount.mkdir("d")
    for number in range(8):
        await mount.write(name(number), bytes(SMALL_BYTES + 1))
    other = world.mount()
    for number in range(5):
        handle = await other.open(name(number), os.O_RDONLY)
        await other.fs.release(handle)
    await trio.testing.wait_all_tasks_blocked()
    assert {call.key for call in other.bucket.calls if call.name == "get"} == {
        name(number) for number in range(5)
    }


@pytest.mark.parametrize("operation", ["get", "head"])
async def test_what_fails_ahead_fails_nobody_who_asks_again(
    mount: Mount, world: World, operation: str
) -> None:
    await fill(mount)
    other = world.mount()
    other.bucket.fail(operation, name(20))
    for number in range(COUNT):
        assert await other.read(name(number)) == b"%d" % number


async def open_in_the_way_of_a_walk(other: Mount) -> HandleId:
    """A handle of file 20, which is open; a walk has just begun to ask for that file as well."""
    handle = await other.open(name(20))
    assert await other.read_all(handle) == b"20"
    await other.names("d")
    other.bucket.forget()
    other.bucket.delay = lambda: DELAY
    for number in range(8):
        await other.read(name(number))
        if any(call.key == name(20) for call in other.bucket.calls):
            return handle
    raise AssertionError("nobody asked ahead")


async def test_a_file_that_is_closed_while_it_is_asked_for_ahead_can_be_read_again(
    mount: Mount, world: World
) -> None:
    await fill(mount)
    other = world.mount()
    await other.close(await open_in_the_way_of_a_walk(other))
    assert await other.read(name(20)) == b"20"


async def test_a_file_that_changes_while_it_is_asked_for_ahead_stays_open(
    mount: Mount, world: World
) -> None:
    await fill(mount)
    other = world.mount()
    ino = (await other.find(name(20))).ino
    handle = await open_in_the_way_of_a_walk(other)
    await other.fs.setattr(ino, Changes(mode=0o600))
    await trio.sleep(4 * DELAY)
    assert await other.fs.read(handle, 0, 10) == b"20"
    await other.close(handle)


async def test_without_attributes_to_trust_nothing_is_opened_ahead(
    mount: Mount, world: World
) -> None:
    await fill(mount, 12)
    other = world.mount(attr_ttl=0)
    for number in range(6):
        await other.read(name(number))
    await trio.testing.wait_all_tasks_blocked()
    read = {call.key for call in other.bucket.calls if call.name == "get"}
    assert read == {name(number) for number in range(6)}


@pytest.mark.parametrize("seed", range(8))
async def test_a_walker_beside_a_writer_sees_each_file_as_it_was_when_opened_or_shortly_before(
    world: World, seed: int
) -> None:
    chance = random.Random(seed)
    writer, walker = world.mount(), world.mount()
    await fill(writer)
    versions = [[(0.0, b"%d" % number)] for number in range(COUNT)]
    for mount in (writer, walker):
        mount.bucket.delay = lambda: chance.random() * 0.05

    async def write(scope: trio.CancelScope) -> None:
        with scope:
            while True:
                await trio.sleep(chance.random() * 0.1)
                number, content = chance.randrange(COUNT), chance.randbytes(8)
                versions[number].append((math.inf, content))
                await writer.write(name(number), content)
                versions[number][-1] = (trio.current_time(), content)

    def possible(number: int, opened: float) -> list[bytes]:
        """What stood there at *opened*, shortly before, or after it."""
        history = versions[number]
        ends = [stored for stored, _ in history[1:]] + [math.inf]
        known = zip(history, ends, strict=True)
        return [content for (_, content), end in known if end >= opened - FRESH_SECONDS]

    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()
        nursery.start_soon(write, scope)
        for _ in range(3):
            for number in range(chance.randrange(COUNT // 2), COUNT):
                opened = trio.current_time()
                try:
                    seen = await walker.read(name(number))
                except StaleHandle:
                    continue  # replaced between open and read
                assert seen in possible(number, opened)
        scope.cancel()
