"""A nursery that ends with the test, for the servers of this folder."""

from collections.abc import AsyncIterator

import pytest
import trio


@pytest.fixture
async def background() -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        yield nursery
        nursery.cancel_scope.cancel()
