"""How often the bucket is asked, what waits for what, and what survives an error."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from ossfs.errors import BadHandle, IntegrityError, NotFound, OssfsError, Stale, Unavailable
from ossfs.transfer.reader import ObjectReader
from tests.transfer.world import KEY, KIB, MIB, OTHER, World, content_of

CHUNK = 64 * KIB


class Gate:
    """Holds back every GET of a store until it is opened."""

    def __init__(self, world: World) -> None:
        self.open = trio.Event()
        original = world.store.inner.get

        async def get(*args: object, **kwargs: object) -> object:
            await self.open.wait()
            return await original(*args, **kwargs)

        world.store.inner.get = get


@pytest.fixture
async def large(world: World) -> bytes:
    content = content_of(24 * MIB + 5)
    await world.again(part_size=8 * MIB).upload(content)
    world.store.calls.clear()
    return content


def requests(world: World) -> list[str]:
    return [name for name in world.store.names() if name != "list_page"]


@pytest.mark.parametrize("size", [1, CHUNK, 200 * KIB, 256 * KIB])
async def test_opening_and_reading_a_small_file_is_one_request(world: World, size: int) -> None:
    content = content_of(size)
    await world.upload(content)
    world.store.calls.clear()
    reader = await world.again().reader(expect_size=size)
    assert await reader.read(0, size) == content
    assert requests(world) == ["get"]


async def test_what_was_thought_to_have_content_may_have_become_empty(world: World) -> None:
    await world.upload(b"")
    world.store.calls.clear()
    reader = await world.reader(expect_size=500)
    assert await reader.read(0, 10) == b""
    assert requests(world) == ["get", "head"]


async def test_a_wrong_expectation_of_the_size_does_no_harm(world: World) -> None:
    for size in (1, CHUNK, 300 * KIB, 17 * MIB):
        content = content_of(size)
        await world.again(part_size=8 * MIB).upload(content)
        for expected in (1, 100 * KIB, 9 * MIB, 40 * MIB):
            reader = await world.again().reader(expect_size=expected)
            assert await reader.read(0, size) == content


async def test_a_missing_object_is_not_found(world: World) -> None:
    for expected in (0, 5):
        with pytest.raises(NotFound):
            await world.reader(expect_size=expected)


async def test_random_small_reads_fetch_one_chunk_each(world: World, large: bytes) -> None:
    reader = await world.reader()
    world.store.calls.clear()
    source = random.Random(3)
    offsets = [source.randrange(len(large) // 4096) * 4096 for _ in range(100)]
    for offset in offsets:
        assert await reader.read(offset, 4096) == large[offset : offset + 4096]
    await trio.testing.wait_all_tasks_blocked()
    # A chunk of a file of this size has 256 KiB.
    assert len(requests(world)) == len({offset // (256 * KIB) for offset in offsets})
    assert all(arguments["length"] <= 256 * KIB for _, arguments in world.store.calls)
    assert all(arguments["if_match"] for _, arguments in world.store.calls)


async def test_reading_from_end_to_end_takes_about_one_request_per_span(
    world: World, large: bytes
) -> None:
    reader = await world.reader()
    world.store.calls.clear()
    for offset in range(0, len(large), 128 * KIB):
        assert await reader.read(offset, 128 * KIB) == large[offset : offset + 128 * KIB]
    fetched = [arguments["length"] for _, arguments in world.store.calls]
    assert sum(fetched) <= len(large) + MIB
    assert len(fetched) <= 24
    assert max(fetched) > MIB


async def test_read_ahead_runs_side_by_side(world: World, large: bytes) -> None:
    running = highest = 0
    original = world.store.inner.get

    async def get(*args: Any, **kwargs: Any) -> Any:
        nonlocal running, highest
        running += 1
        highest = max(highest, running)
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        running -= 1
        return await original(*args, **kwargs)

    world.store.inner.get = get
    reader = await world.reader()
    for offset in range(0, len(large), 512 * KIB):
        await reader.read(offset, 512 * KIB)
    assert highest >= 3


async def test_two_reads_of_the_same_bytes_are_one_request(world: World) -> None:
    content = content_of(500 * KIB)
    await world.upload(content)
    reader = await world.reader()
    gate = Gate(world)
    world.store.calls.clear()
    results: list[bytes] = []

    async def read(offset: int) -> None:
        results.append(bytes(await reader.read(offset, 100)))

    async with trio.open_nursery() as nursery:
        for offset in (0, 10, 20):
            nursery.start_soon(read, offset)
        await trio.testing.wait_all_tasks_blocked()
        gate.open.set()
    assert requests(world) == ["get"]
    assert sorted(results) == sorted(content[offset : offset + 100] for offset in (0, 10, 20))


async def test_a_second_reader_finds_what_the_first_one_fetched(world: World) -> None:
    content = content_of(500 * KIB)
    await world.upload(content)
    first = await world.reader()
    await first.read(0, len(content))
    first.close()
    second = await world.reader()
    world.store.calls.clear()
    assert await second.read(0, len(content)) == content
    assert requests(world) == []


async def test_a_version_that_is_known_is_not_opened_again(world: World) -> None:
    await world.upload(b"x" * 500)
    _, first = await world.opener.open(KEY, expect_size=500)
    _, second = await world.opener.open(KEY, expect_size=500, known=first)
    assert second is first
    await world.upload(b"y" * 500)
    info, third = await world.opener.open(KEY, expect_size=500, known=first)
    assert third is not first
    assert third.info == info
    assert await third.read(0, 1) == b"y"


async def test_our_own_new_version_is_read_without_asking_for_its_headers(world: World) -> None:
    info = await world.upload(b"x" * 500)
    world.store.calls.clear()
    reader = await world.opener.open_known(info)
    assert requests(world) == []
    assert await reader.read(0, 3) == b"xxx"


async def test_a_cancelled_read_takes_nothing_from_the_others(world: World) -> None:
    content = content_of(500 * KIB)
    await world.upload(content)
    reader = await world.reader()
    gate = Gate(world)
    with trio.move_on_after(0) as scope:
        await reader.read(0, 100)
    assert scope.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reads_as, reader, content)
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0):
            await reader.read(0, 100)
        gate.open.set()


async def reads_as(reader: ObjectReader, content: bytes) -> None:
    assert await reader.read(0, len(content)) == content


@pytest.mark.parametrize("error", [Unavailable, Stale, IntegrityError])
async def test_a_failed_fetch_is_told_to_who_waits_and_then_forgotten(
    world: World, error: Callable[[str], OssfsError]
) -> None:
    content = content_of(500 * KIB)
    await world.upload(content)
    reader = await world.reader()
    failing = True

    def fail(name: str) -> None:
        if failing and name == "get":
            raise error("made to fail")

    world.store.before = fail
    for _ in range(2):
        with pytest.raises(OssfsError, match="made to fail"):
            await reader.read(5, 10)
    failing = False
    assert await reader.read(5, 10) == content[5:15]


async def test_a_failure_of_read_ahead_hurts_only_when_its_bytes_are_needed(
    world: World, large: bytes
) -> None:
    reader = await world.reader()
    broken = False

    def fail(name: str) -> None:
        if broken and name == "get":
            raise Unavailable("made to fail")

    world.store.before = fail
    await reader.read(0, 256 * KIB)
    broken = True
    with pytest.raises(Unavailable):
        await reader.read(256 * KIB, 256 * KIB)
    await trio.testing.wait_all_tasks_blocked()
    broken = False
    for offset in range(0, len(large), MIB):
        assert await reader.read(offset, MIB) == large[offset : offset + MIB]


async def test_a_mistake_in_the_code_reaches_the_read_and_not_the_nursery(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.upload(content_of(500))
    reader = await world.reader()

    def fail(_name: str) -> None:
        raise ZeroDivisionError

    world.store.before = fail
    with pytest.raises(OssfsError, match="internal error"):
        await reader.read(0, 1)
    assert "a mistake in ossfs" in caplog.text


async def test_a_replaced_version_is_stale_and_never_mixed(world: World) -> None:
    content = content_of(500 * KIB)
    await world.upload(content)
    reader = await world.reader()
    assert await reader.read(0, 10) == content[:10]
    await world.upload(content_of(500 * KIB, 1))
    assert await reader.read(0, 10) == content[:10]
    with pytest.raises(Stale):
        await reader.read(300 * KIB, 10)


async def test_closing_stops_read_ahead_but_no_read_that_has_begun(
    world: World, large: bytes
) -> None:
    reader = await world.reader()
    for offset in range(0, 2 * MIB, 512 * KIB):
        await reader.read(offset, 512 * KIB)
    await trio.testing.wait_all_tasks_blocked()
    gate = Gate(world)
    done: list[bytes] = []

    async def read(offset: int) -> None:
        done.append(bytes(await reader.read(offset, 512 * KIB)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read, 20 * MIB)
        nursery.start_soon(read, 2 * MIB)
        await trio.testing.wait_all_tasks_blocked()
        reader.close()
        with pytest.raises(BadHandle):
            await reader.read(0, 1)
        fetches = list(reader._under_way.values())
        assert all((fetch.waiting > 0) != fetch.scope.cancel_called for fetch in fetches)
        gate.open.set()
    assert large[20 * MIB : 20 * MIB + 512 * KIB] in done
    assert len(done) == 2
    for fetch in fetches:
        await fetch.done.wait()
    assert world.pool.limits.requests.borrowed_tokens == 0
    assert world.pool.limits.memory.free == 64 * MIB


async def test_the_cache_stays_within_its_bytes_and_reading_works_without_it(
    world: World, large: bytes
) -> None:
    for capacity in (0, 300 * KIB, 3 * MIB):
        small = world.again(cache_bytes=capacity)
        reader = await small.reader(expect_size=len(large))
        for offset in (0, 20 * MIB, 3 * MIB, 0):
            assert await reader.read(offset, 2 * MIB) == large[offset : offset + 2 * MIB]
            assert small.pool.chunks.weight <= capacity


async def test_a_sidecar_is_fetched_once_for_what_it_covers(world: World) -> None:
    content = content_of(33 * MIB)
    await world.again(part_size=8 * MIB).upload(content)
    reader = await world.reader()
    world.store.calls.clear()

    async def read(offset: int) -> None:
        assert await reader.read(offset, 100) == content[offset : offset + 100]

    async with trio.open_nursery() as nursery:
        for offset in range(0, 33 * MIB, 3 * MIB):
            nursery.start_soon(read, offset)
    keys = [arguments["key"] for _, arguments in world.store.calls]
    assert len([key for key in keys if key != KEY]) == 1


async def test_many_readers_in_parallel_read_right(world: World, large: bytes) -> None:
    await world.again(part_size=8 * MIB).upload(large[::-1], OTHER)
    small = world.again(cache_bytes=6 * MIB)

    async def scan(make: Callable[[], Awaitable[ObjectReader]], content: bytes, step: int) -> None:
        reader = await make()
        for offset in range(0, len(content), step):
            assert await reader.read(offset, step) == content[offset : offset + step]
        reader.close()

    async with trio.open_nursery() as nursery:
        for step in (777_777, MIB):
            nursery.start_soon(scan, lambda: small.reader(KEY), large, step)
            nursery.start_soon(scan, lambda: small.reader(OTHER), large[::-1], step)
