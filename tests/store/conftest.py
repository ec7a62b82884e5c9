"""A nursery that ends with the test, for the servers of this folder."""

from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import MockClock


@pytest.fixture
async def background() -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        yield nursery
        nursery.cancel_scope.cancel()


@pytest.fixture
def patient_clock() -> MockClock:
    """A clock that jumps when nothing has happened for 50 ms.

    pytest-trio's own jumps at once, while bytes are still on their way through the kernel.
    """
    return MockClock(autojump_threshold=0.05)
