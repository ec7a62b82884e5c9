"""Requests ahead for the names of a directory."""

import logging
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from ossfs.errors import Unavailable
from ossfs.vfs.flights import Flights


async def test_a_name_may_fly_again_while_others_of_its_first_flight_are_still_out(
    nursery: trio.Nursery,
) -> None:
    flights, gates = Flights(), {"slow": trio.Event(), "again": trio.Event()}

    def waiting_for(gate: str | None) -> Callable[[str], Awaitable[None]]:
        async def ask(name: str) -> None:
            if name == "slow" or gate:
                await gates[gate or name].wait()

        return ask

    flights.launch(nursery.start_soon, ["quick", "slow"], waiting_for(None), limit=2)
    await flights.arrival("quick")
    assert "slow" in flights
    flights.launch(nursery.start_soon, ["quick"], waiting_for("again"), limit=2)
    gates["slow"].set()
    await flights.arrival("slow")
    await trio.testing.wait_all_tasks_blocked()
    assert "quick" in flights
    gates["again"].set()
    await flights.arrival("quick")
    assert "quick" not in flights


async def test_what_fails_or_is_cancelled_holds_nobody_up(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    flights = Flights()

    async def fail(name: str) -> None:
        await trio.sleep(1)
        raise Unavailable("made to fail") if name == "known" else ZeroDivisionError

    flights.launch(nursery.start_soon, ["known", "unknown"], fail, limit=1)
    with trio.fail_after(5):
        await flights.arrival("known")
        await flights.arrival("unknown")
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    caplog.clear()
    async with trio.open_nursery() as short:
        flights.launch(short.start_soon, ["a", "b"], fail, limit=1)
        await trio.testing.wait_all_tasks_blocked()
        short.cancel_scope.cancel()
    with trio.fail_after(5):
        await flights.arrival("a")
        await flights.arrival("b")
    assert "a" not in flights


async def test_no_names_cost_no_task(nursery: trio.Nursery) -> None:
    async def never(name: str) -> None:
        raise AssertionError(name)

    Flights().launch(nursery.start_soon, [], never, limit=1)
    assert not nursery.child_tasks
