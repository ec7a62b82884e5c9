"""Several things at once, of which at most one error comes out."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

import trio

T = TypeVar("T")


async def for_each(items: Iterable[T], call: Callable[[T], Awaitable[None]], *, limit: int) -> None:
    """Await *call* for every item, at most *limit* at a time, beginning in order.

    The first error cancels what still runs and is raised alone, never in a group. *items* is
    asked for the next item only when a place is free.
    """
    failures: list[Exception] = []

    async def work(source: Iterator[T]) -> None:
        for item in source:
            try:
                await call(item)
            except Exception as error:  # noqa: BLE001 - raised again below, outside of the group
                failures.append(error)
                nursery.cancel_scope.cancel()
                return

    source = iter(items)
    async with trio.open_nursery() as nursery:
        for _ in range(limit):
            nursery.start_soon(work, source)
    if failures:
        raise failures[0]
