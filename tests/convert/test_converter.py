"""Whole prefixes: all is converted, internals are left alone, and runs know of each other."""

import contextlib
import random

import pytest
import trio

from ossfs.errors import AccessDenied, NotFound, Unavailable
from ossfs.store.base import PutOptions
from ossfs.store.memory import MemoryStore
from ossfs.transfer.convert.conversion import Outcome, Result
from ossfs.transfer.convert.converter import Converter
from ossfs.transfer.convert.goal import Goal, Stays
from ossfs.transfer.convert.workspace import DEAD_SECONDS, RENEW_SECONDS, Workspace
from ossfs.types import ObjectKey
from tests.convert.world import AES256, Conversions, aes, rsa, to_key
from tests.transfer.watched import as_store


def nothing(_result: Result) -> None:
    """Nobody listens."""


async def filled(conversions: Conversions, count: int = 12) -> dict[ObjectKey, bytes]:
    contents = {ObjectKey(f"p/d/{number:02}"): b"%d" % number for number in range(count)}
    for number, (key, content) in enumerate(contents.items()):
        await conversions.store(content, key, master=rsa() if number % 2 else None)
    return contents


def objects(converter: Converter, outcome: Outcome) -> int:
    return converter.totals.by_outcome[outcome].objects


async def test_everything_below_a_prefix_is_converted_and_nothing_else(
    conversions: Conversions,
) -> None:
    contents = await filled(conversions)
    others = [ObjectKey(name) for name in ("p/dx", "p/e", "p/.ossfs/tags/x", "p/d/.ossfs/y")]
    before = [await conversions.put(b"x", key) for key in others]
    converter = conversions.converter(to_key(aes()), jobs=3)
    results: list[Result] = []
    await converter.run("p/d", dry_run=False, told=results.append)
    assert sorted(result.key for result in results) == sorted(contents)
    for key, content in contents.items():
        assert await conversions.content(key, aes()) == content
    assert [await conversions.info(key) for key in others] == before
    assert objects(converter, Outcome.CONVERTED) == len(contents)
    assert [key for key in conversions.keys(internal=True) if "convert" in key] == []
    again = conversions.converter(to_key(aes()), jobs=3)
    await again.run("p/d/", dry_run=False, told=nothing)
    assert objects(again, Outcome.AS_ASKED) == len(contents)


async def test_one_object_may_be_named_and_what_is_below_its_name_goes_along(
    conversions: Conversions,
) -> None:
    for name in ("p/a", "p/a/b", "p/ab"):
        await conversions.put(b"x", ObjectKey(name))
    results: list[Result] = []
    await conversions.converter(to_key(aes())).run("p/a", dry_run=False, told=results.append)
    assert sorted(result.key for result in results) == ["p/a", "p/a/b"]


async def test_a_name_that_nothing_has_is_not_found(conversions: Conversions) -> None:
    for dry_run in (False, True):
        with pytest.raises(NotFound):
            await conversions.converter(to_key(aes())).run("p/x", dry_run=dry_run, told=nothing)
    assert conversions.keys(internal=True) == []
    await conversions.converter(to_key(aes())).run("", dry_run=False, told=nothing)


async def test_a_dry_run_counts_and_writes_nothing(conversions: Conversions) -> None:
    await filled(conversions)
    conversions.world.store.calls.clear()
    converter = conversions.converter(to_key(rsa()))
    await converter.run("", dry_run=True, told=nothing)
    converted = converter.totals.by_outcome[Outcome.CONVERTED]
    assert (converted.objects, converted.bytes) == (6, 7)
    assert objects(converter, Outcome.AS_ASKED) == 6
    assert set(conversions.world.store.names()) <= {"head", "list_page", "get_tags"}


async def test_one_that_fails_does_not_keep_the_others(conversions: Conversions) -> None:
    contents = await filled(conversions)
    conversions.masters = [aes()]
    converter = conversions.converter(to_key(aes()))
    await converter.run("", dry_run=False, told=nothing)
    assert (objects(converter, Outcome.CONVERTED), objects(converter, Outcome.FAILED)) == (6, 6)
    conversions.masters = [aes(), rsa()]
    for key, content in contents.items():
        assert await conversions.content(key) == content


async def test_a_listing_that_fails_ends_the_run_with_that_error(
    conversions: Conversions,
) -> None:
    await filled(conversions)
    store = conversions.world.store

    def refuse(name: str) -> None:
        if name == "list_page" and store.names().count("list_page") > 1:
            raise AccessDenied("no")

    store.before = refuse
    with pytest.raises(AccessDenied):
        await conversions.converter(to_key(aes())).run("", dry_run=False, told=nothing)
    assert conversions.keys(internal=True) == []


async def test_each_object_has_the_goal_of_its_path(conversions: Conversions) -> None:
    await filled(conversions)

    def goals(key: ObjectKey) -> Goal:
        return Goal(server=AES256) if key.endswith("1") else Goal(client=Stays.STAYS)

    workspace = conversions.workspace
    store = as_store(conversions.world.store)
    converter = Converter(store, conversions.conversion(goals), workspace, jobs=2)
    await converter.run("", dry_run=False, told=nothing)
    assert objects(converter, Outcome.CONVERTED) == 2
    assert (await conversions.info(ObjectKey("p/d/11"))).encryption == AES256
    assert (await conversions.info(ObjectKey("p/d/02"))).encryption is None


async def test_stopping_leaves_whole_objects_and_the_next_run_finishes(
    conversions: Conversions,
) -> None:
    contents = await filled(conversions)
    converter = conversions.converter(to_key(aes()), jobs=3)
    results: list[Result] = []

    def told(result: Result) -> None:
        results.append(result)
        if len(results) == 4:
            converter.stop()

    await converter.run("", dry_run=False, told=told)
    assert converter.totals.stopped
    assert 4 <= len(results) < len(contents)
    assert conversions.keys(internal=True) == []
    for key, content in contents.items():
        assert await conversions.content(key) == content
    rest = conversions.converter(to_key(aes()))
    await rest.run("", dry_run=False, told=nothing)
    assert objects(rest, Outcome.AS_ASKED) == len(results)


async def test_two_runs_at_once_leave_every_object_whole(conversions: Conversions) -> None:
    contents = await filled(conversions)
    other = Conversions(world=conversions.world)
    async with trio.open_nursery() as nursery:
        for one in (conversions, other):
            converter = one.converter(to_key(aes()), jobs=2)

            async def run(converter: Converter = converter) -> None:
                await converter.run("", dry_run=False, told=nothing)

            nursery.start_soon(run)
    for key, content in contents.items():
        assert await conversions.content(key, aes()) == content
    assert conversions.keys(internal=True) == []


@pytest.mark.parametrize("seed", range(5))
async def test_runs_that_die_at_random_moments_lose_nothing(
    conversions: Conversions, seed: int
) -> None:
    """A dead process: from some request on nothing of it gets through any more."""
    store, source = conversions.world.store, random.Random(seed)
    now = 1_000_000_000.0
    store.inner = MemoryStore(clock=lambda: now)
    contents = await filled(conversions)
    for _ in range(4):
        store.calls.clear()
        end = source.randrange(1, 120)

        def die(_name: str, end: int = end) -> None:
            if len(store.calls) >= end:
                raise Unavailable("the process is gone", status=503)

        store.before = die
        run = Conversions(world=conversions.world)
        with contextlib.suppress(Unavailable):
            await run.converter(to_key(aes()), jobs=3).run("", dry_run=False, told=nothing)
        store.before = lambda _name: None
        for key, content in contents.items():
            assert await conversions.content(key) == content
    now += 2 * DEAD_SECONDS
    last = Conversions(world=conversions.world)
    converter = last.converter(to_key(aes()))
    await converter.run("", dry_run=False, told=nothing)
    assert objects(converter, Outcome.FAILED) == 0
    for key, content in contents.items():
        assert await conversions.content(key, aes()) == content
    assert conversions.keys(internal=True) == []


async def test_what_a_dead_run_left_is_removed_and_what_a_living_one_needs_stays(
    conversions: Conversions, autojump_clock: trio.testing.MockClock
) -> None:
    inner = MemoryStore(clock=trio.current_time)
    await trio.sleep(50_000)  # by the clock that jumps, away from the beginning of time
    dead, living, own = (Workspace(inner, prefix="p") for _ in range(3))
    for workspace in (dead, living):
        await workspace.open()
        await inner.put(workspace.new_key(), b"x", PutOptions())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(living.keep)
        await trio.sleep(DEAD_SECONDS + RENEW_SECONDS)
        assert await own.open() == 2
        assert len(inner._keys) == 3
        nursery.cancel_scope.cancel()
    await own.close()
    assert len(inner._keys) == 2


async def test_a_lease_that_cannot_be_renewed_for_a_while_ends_nothing(
    conversions: Conversions,
    autojump_clock: trio.testing.MockClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = conversions.world.store
    workspace = Workspace(as_store(store), prefix="")
    await workspace.open()
    store.fail_at = len(store.calls) + 1
    with trio.move_on_after(RENEW_SECONDS * 3.5):
        await workspace.keep()
    assert store.names().count("put") == 1 + 3
    assert "the lease of the conversion is not renewed" in caplog.text


async def test_the_end_is_in_sight_once_everything_is_counted(conversions: Conversions) -> None:
    contents = await filled(conversions)
    await conversions.put(b"xx", ObjectKey("p/.ossfs/tags/y"))
    counted: list[tuple[int, int]] = []
    converter = conversions.converter(to_key(aes()))
    await converter.count("p", lambda number, size: counted.append((number, size)))
    assert counted == [(len(contents), sum(map(len, contents.values())))]
