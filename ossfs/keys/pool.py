"""Data keys made ahead, so that closing a file does not wait for a remote master key.

    pool = EnvelopePool(keyring.new_envelope)
    spawn(pool.run)                             # keeps it full, in the long-lived nursery
    key, iv, envelope = await pool.new_envelope()

Each entry is handed out once. The keys are in memory alone.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol, final

import trio

from ossfs.crypto.datakey import DataKey
from ossfs.errors import OssfsError
from ossfs.format.envelope import Envelope

log = logging.getLogger(__name__)

NewEnvelope = tuple[DataKey, bytes, Envelope]
"""A fresh data key, its IV and its envelope."""

SIZE = 32
SECONDS = 240.0
AT_A_TIME = 4


class EnvelopeSource(Protocol):
    """A keyring, or a pool before it."""

    async def new_envelope(self) -> NewEnvelope:
        """One that nobody else gets. Raises KeyUnavailable."""


@final
class EnvelopeMaker:
    """A source that makes each one when it is asked for."""

    def __init__(self, make: Callable[[], Awaitable[NewEnvelope]]) -> None:
        self._make = make

    async def new_envelope(self) -> NewEnvelope:
        """Raises what *make* raises."""
        return await self._make()


@final
class EnvelopePool:
    """At most *size* fresh envelopes, none older than *seconds*.

    What is too old is dropped, and made anew only when someone asks again: an idle mount neither
    keeps keys nor asks for any. Where the pool is empty, its caller makes one and waits for it, so
    the pool never stands between a file and a key, and a refusal comes out where it matters. After
    a failure nothing is made ahead until a caller has got one that way: attempts in vain would take
    the turns of those who wait.

    seconds: below the time for which the keyring remembers a key, so that a file just written is
    read back without a request.
    """

    def __init__(
        self,
        make: Callable[[], Awaitable[NewEnvelope]],
        *,
        size: int = SIZE,
        seconds: float = SECONDS,
        at_a_time: int = AT_A_TIME,
    ) -> None:
        self._make = make
        self._size = size
        self._seconds = seconds
        self._at_a_time = at_a_time
        self._ready: deque[tuple[float, NewEnvelope]] = deque()
        self._under_way = 0
        self._failing = False
        self._asked = trio.Event()

    def __len__(self) -> int:
        return len(self._ready)

    def __repr__(self) -> str:
        return f"<EnvelopePool of {len(self)}>"

    async def new_envelope(self) -> NewEnvelope:
        """The oldest one, else one made now. Raises what *make* raises."""
        self._drop_old()
        self._asked.set()
        if self._ready:
            await trio.lowlevel.checkpoint()
        # Another task may have emptied it meanwhile; what is taken is never taken twice.
        if self._ready:
            return self._ready.popleft()[1]
        made = await self._attempt()
        # A failure may have ended the filling that was asked for above.
        self._asked.set()
        return made

    async def run(self) -> None:
        """Fills the pool, and fills it again whenever something was taken; ends by cancellation."""
        try:
            while True:
                self._asked = trio.Event()
                await self._fill()
                while not self._asked.is_set():
                    await self._wait()
        finally:
            self._ready.clear()

    async def _wait(self) -> None:
        """Until someone asks, or the oldest entry is too old; that one is dropped then."""
        ends = self._ready[0][0] if self._ready else float("inf")
        with trio.move_on_at(ends):
            await self._asked.wait()
        self._drop_old()

    async def _fill(self) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(min(self._at_a_time, self._size - len(self._ready))):
                nursery.start_soon(self._make_some)

    async def _make_some(self) -> None:
        """Stops at the first failure, of whomever."""
        while not self._failing and len(self._ready) + self._under_way < self._size:
            self._under_way += 1
            try:
                made = await self._attempt()
            except OssfsError as error:
                log.debug("no data key was made ahead: %s", error)
                return
            finally:
                self._under_way -= 1
            self._ready.append((trio.current_time() + self._seconds, made))

    async def _attempt(self) -> NewEnvelope:
        try:
            made = await self._make()
        except OssfsError:
            self._failing = True
            raise
        self._failing = False
        return made

    def _drop_old(self) -> None:
        while self._ready and self._ready[0][0] <= trio.current_time():
            self._ready.popleft()
