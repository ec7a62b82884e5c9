"""The event loop of a command."""

import pytest
import trio

from ossfs.compose.process import run_loop


async def in_a_nursery(error: BaseException) -> None:
    async def fail() -> None:
        raise error

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail)
        nursery.start_soon(trio.sleep_forever)


def test_an_interrupt_comes_alone_and_everything_else_as_it_is() -> None:
    with pytest.raises(KeyboardInterrupt):
        run_loop(in_a_nursery, KeyboardInterrupt())
    with pytest.raises(ExceptionGroup):
        run_loop(in_a_nursery, ValueError())
