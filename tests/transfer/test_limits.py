"""The limiter of bytes in flight, and running things side by side."""

import pytest
import trio
import trio.testing

from ossfs.errors import OssfsError, StagingFull
from ossfs.transfer.limits import ByteLimiter, TransferLimits
from ossfs.transfer.parallel import for_each


async def test_bytes_in_flight_stay_within_the_total_and_are_granted_in_order() -> None:
    limiter = ByteLimiter(10)
    granted: list[int] = []
    release = trio.Event()

    async def hold(count: int) -> None:
        async with limiter.hold(count):
            granted.append(count)
            await release.wait()

    async with trio.open_nursery() as nursery:
        for count in (6, 10, 1):
            nursery.start_soon(hold, count)
            await trio.testing.wait_all_tasks_blocked()
        assert granted == [6]
        release.set()
    assert granted == [6, 10, 1]
    assert limiter.free == 10


async def test_a_demand_above_the_total_runs_alone() -> None:
    limiter = ByteLimiter(10)
    async with limiter.hold(1000):
        assert limiter.free == 0
    assert limiter.free == 10


async def test_a_cancelled_waiter_gives_way_to_those_behind_it() -> None:
    limiter = ByteLimiter(10)
    got = trio.Event()

    async def wait(count: int, scope: trio.CancelScope) -> None:
        with scope:
            async with limiter.hold(count):
                got.set()

    async with trio.open_nursery() as nursery, limiter.hold(5):
        first, second = trio.CancelScope(), trio.CancelScope()
        nursery.start_soon(wait, 10, first)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(wait, 5, second)
        await trio.testing.wait_all_tasks_blocked()
        assert not got.is_set()
        first.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert got.is_set()
    assert limiter.free == 10


async def test_what_is_cancelled_in_the_moment_of_the_grant_gives_it_back() -> None:
    limiter = ByteLimiter(10)
    scope = trio.CancelScope()

    async def wait() -> None:
        with scope:
            async with limiter.hold(10):
                pytest.fail("the holder was cancelled before it could run")

    async with trio.open_nursery() as nursery, limiter.hold(10):
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        scope.cancel()
    assert limiter.free == 10


async def test_the_first_error_cancels_the_others_and_leaves_alone() -> None:
    ended: list[int] = []

    async def call(item: int) -> None:
        try:
            if item == 2:
                raise StagingFull("item 2")
            await trio.sleep_forever()
        finally:
            ended.append(item)

    with pytest.raises(OssfsError, match="item 2"):
        await for_each(range(100), call, limit=4)
    assert len(ended) <= 4


async def test_an_error_that_nobody_expected_leaves_alone_too() -> None:
    async def call(item: int) -> None:
        if item == 2:
            raise OSError("item 2")
        await trio.sleep_forever()

    with pytest.raises(OSError, match="item 2"):
        await for_each(range(100), call, limit=4)


async def test_never_more_than_the_limit_run_at_once() -> None:
    running = highest = 0

    async def call(_item: int) -> None:
        nonlocal running, highest
        running += 1
        highest = max(highest, running)
        await trio.lowlevel.checkpoint()
        running -= 1

    await for_each(range(50), call, limit=3)
    assert highest == 3


async def test_small_work_stays_in_the_event_loop_and_large_work_leaves_it() -> None:
    limits = TransferLimits(requests=1)
    here = trio.lowlevel.current_task()

    def in_event_loop() -> bool:
        try:
            return trio.lowlevel.current_task() is here
        except RuntimeError:
            return False

    assert await limits.compute(1, in_event_loop)
    assert not await limits.compute(1 << 30, in_event_loop)
