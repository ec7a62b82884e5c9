"""How much of the machine transfers may take at once."""

import os
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar, final

import trio

T = TypeVar("T")

INLINE_BYTES = 256 * 1024
"""Up to this, content is worked on in the event loop: a thread hop would cost as much."""


@final
class ByteLimiter:
    """So many bytes in flight together; who waits is served in the order of arrival.

    A demand above the total is cut to it, so that it runs alone instead of never. Never ask for
    more inside a hold: tasks that all hold a little and wait for more would wait for ever.
    """

    __slots__ = ("_free", "_total", "_waiting")

    def __init__(self, total: int) -> None:
        self._total = total
        self._free = total
        self._waiting: deque[tuple[int, trio.Event]] = deque()

    @property
    def free(self) -> int:
        """Bytes that nobody holds."""
        return self._free

    def hold(self, count: int) -> AbstractAsyncContextManager[None]:
        """Hold *count* bytes, once they are free, until the end of the block.

        Costs no turn of the event loop if they are free at once.
        """
        return _Hold(self, min(count, self._total))

    async def acquire(self, count: int) -> None:
        """Take *count* bytes, at most the total, once they are free."""
        if not self._waiting and count <= self._free:
            self._free -= count
            return
        entry = (count, trio.Event())
        self._waiting.append(entry)
        try:
            await entry[1].wait()
        except trio.Cancelled:
            if entry in self._waiting:
                self._waiting.remove(entry)
                self.release(0)
            else:
                self.release(count)
            raise

    def release(self, count: int) -> None:
        """Give back what `acquire` took."""
        self._free += count
        while self._waiting and self._waiting[0][0] <= self._free:
            wanted, granted = self._waiting.popleft()
            self._free -= wanted
            granted.set()


@final
class _Hold:
    """Bytes of a ByteLimiter for the time of a block."""

    __slots__ = ("_count", "_limiter")

    def __init__(self, limiter: ByteLimiter, count: int) -> None:
        self._limiter = limiter
        self._count = count

    async def __aenter__(self) -> None:
        await self._limiter.acquire(self._count)

    async def __aexit__(self, *_error: object) -> None:
        self._limiter.release(self._count)


@final
class _Place:
    """One of the places of a CapacityLimiter for the time of a block."""

    __slots__ = ("_limiter",)

    def __init__(self, limiter: trio.CapacityLimiter) -> None:
        self._limiter = limiter

    async def __aenter__(self) -> None:
        try:
            self._limiter.acquire_nowait()
        except trio.WouldBlock:
            await self._limiter.acquire()

    async def __aexit__(self, *_error: object) -> None:
        self._limiter.release()


@final
class TransferLimits:
    """Shared by everything that moves content of one mount.

    requests: requests that carry content at a time. memory_bytes: stored bytes in memory on their
    way to or from the bucket, beside the chunk cache. threads: for encryption, as many as there
    are processors. Whoever needs several takes memory first, then a request, then a thread, so
    nobody waits in a circle.
    """

    __slots__ = ("memory", "requests", "threads", "width")

    def __init__(
        self, *, requests: int = 16, memory_bytes: int = 256 << 20, threads: int | None = None
    ) -> None:
        self.width = requests
        self.requests = trio.CapacityLimiter(requests)
        self.memory = ByteLimiter(memory_bytes)
        self.threads = trio.CapacityLimiter(threads or os.cpu_count() or 1)

    def request(self) -> AbstractAsyncContextManager[None]:
        """A place among the requests; costs no turn of the event loop if one is free."""
        return _Place(self.requests)

    async def compute(self, size: int, work: Callable[[], T]) -> T:
        """Result of *work* on *size* bytes: inline if that is short, else in a thread.

        A thread is waited for even if the caller is cancelled, so what *work* uses stays valid.
        """
        if size <= INLINE_BYTES:
            return work()
        return await trio.to_thread.run_sync(work, limiter=self.threads)


Check = Callable[[], Awaitable[None]]
"""Asked right before something becomes visible; raises to prevent it."""
