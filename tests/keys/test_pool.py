"""Data keys made ahead are handed out once, kept for a while, and never stand in the way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from ossfs.errors import KeyUnavailable
from ossfs.keys.keyring import Keyring
from ossfs.keys.pool import EnvelopePool, NewEnvelope
from tests.keys.fakes import FakeKey


class Source:
    """Makes envelopes, slowly or not at all."""

    def __init__(self, *, seconds: float = 0.0) -> None:
        self._ring = Keyring([FakeKey()])
        self.seconds = seconds
        self.failing = False
        self.made = 0
        self.at_once = 0
        self.most = 0

    async def __call__(self) -> NewEnvelope:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await trio.sleep(self.seconds)
        finally:
            self.at_once -= 1
        self.made += 1
        if self.failing:
            raise KeyUnavailable("the KMS is down")
        return await self._ring.new_envelope()


@asynccontextmanager
async def running(pool: EnvelopePool) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.run)
        await wait_all_tasks_blocked()
        yield
        nursery.cancel_scope.cancel()


async def test_it_fills_itself_and_no_further(autojump_clock: MockClock) -> None:
    source = Source(seconds=1)
    pool = EnvelopePool(source, size=10, at_a_time=4)
    async with running(pool):
        await trio.sleep(100)
        assert (len(pool), source.made) == (10, 10)
        assert source.most == 4


async def test_a_warm_pool_answers_without_waiting(autojump_clock: MockClock) -> None:
    source = Source(seconds=1)
    pool = EnvelopePool(source, size=8)
    async with running(pool):
        await trio.sleep(100)
        began = trio.current_time()
        for _ in range(8):
            await pool.new_envelope()
        assert trio.current_time() == began
        await trio.sleep(100)
        assert len(pool) == 8


async def test_no_key_is_handed_out_twice(autojump_clock: MockClock) -> None:
    source = Source(seconds=0.01)
    pool = EnvelopePool(source, size=8)
    found: list[bytes] = []

    async def take(count: int) -> None:
        for _ in range(count):
            key, _, _ = await pool.new_envelope()
            found.append(key.reveal())
            await trio.lowlevel.checkpoint()

    async with running(pool), trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(take, 100)
    assert len(found) == len(set(found)) == 1000


async def test_what_is_too_old_is_dropped_and_not_made_again_unasked(
    autojump_clock: MockClock,
) -> None:
    source = Source()
    pool = EnvelopePool(source, size=8, seconds=60)
    async with running(pool):
        await trio.sleep(59)
        assert len(pool) == 8
        await trio.sleep(2)
        assert len(pool) == 0
        await trio.sleep(10_000)
        assert source.made == 8
        await pool.new_envelope()
        await trio.sleep(1)
        assert len(pool) == 8


async def test_an_old_key_is_not_handed_out_even_if_nobody_dropped_it(
    autojump_clock: MockClock,
) -> None:
    pool = EnvelopePool(Source(), size=1, seconds=60)
    async with running(pool):
        old = pool._ready[0][1]
    pool._ready.append((trio.current_time() + 60, old))
    await trio.sleep(61)
    assert await pool.new_envelope() != old


async def test_an_empty_pool_makes_one_for_who_asks_and_passes_on_why_it_cannot(
    autojump_clock: MockClock,
) -> None:
    source = Source(seconds=1)
    pool = EnvelopePool(source, size=4)
    await pool.new_envelope()
    source.failing = True
    async with running(pool):
        await trio.sleep(50)
        assert len(pool) == 0
        made = source.made
        await trio.sleep(5_000)
        assert source.made == made
        with pytest.raises(KeyUnavailable):
            await pool.new_envelope()
        source.failing = False
        await pool.new_envelope()
        await trio.sleep(50)
        assert len(pool) == 4


async def test_while_the_last_attempt_has_failed_nothing_is_made_ahead(
    autojump_clock: MockClock,
) -> None:
    source = Source(seconds=1)
    pool = EnvelopePool(source, size=8, at_a_time=1)
    async with running(pool):
        await trio.sleep(3.5)
        assert len(pool) == 3
        source.failing = True
        await trio.sleep(10)
        made = source.made
        for _ in range(3):
            await pool.new_envelope()
            await trio.sleep(10)
        assert source.made == made
        for number in range(1, 4):
            with pytest.raises(KeyUnavailable):
                await pool.new_envelope()
            await trio.sleep(10)
            assert source.made == made + number
        source.failing = False
        await pool.new_envelope()
        await trio.sleep(50)
        assert len(pool) == 8


async def test_its_end_forgets_all_keys() -> None:
    pool = EnvelopePool(Source(), size=4)
    async with running(pool):
        assert len(pool) == 4
    assert len(pool) == 0


async def test_no_key_stands_in_its_repr() -> None:
    pool = EnvelopePool(Source(), size=1)
    async with running(pool):
        secret = pool._ready[0][1][0].reveal()
        assert repr(secret) not in repr(pool) + repr(vars(pool))
