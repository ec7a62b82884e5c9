"""One connection to a server, and one request with its answer on it."""

import httpx
import trio

from ossfs.store.incoming import Incoming, MalformedError
from ossfs.store.wire import Wire
from ossfs.types import Buffer

_HEAD_READ_BYTES = 64 * 1024
_SLICE_BYTES = 1 << 20
_ONE_SEGMENT_BYTES = 64 * 1024
# Patience may end so much of it early: a tenth.
_EXTENSIONS = 10


class Connection:
    """A wire on which requests follow one another; used by one task at a time.

    After any exception, cancellation included, it must be closed.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._read_buffer = memoryview(bytearray(_HEAD_READ_BYTES))
        self._scope = trio.CancelScope()
        self._patience = 0.0
        self._extended = 0.0
        self._send_error: OSError | None = None
        self._sent = False
        self.answered = False

    def is_stale(self) -> bool:
        """Whether an idle connection is of no use any more: ended, or something unasked came."""
        return self._wire.is_readable()

    def close(self) -> None:
        """Cuts the connection."""
        self._wire.close()

    async def exchange(
        self, head: bytes, body: Buffer, incoming: Incoming, *, patience: float
    ) -> bool:
        """Sends the request, receives the answer into *incoming*.

        patience: seconds without a byte moving either way. Returns whether the connection may be
        used again. Raises httpx.ReadTimeout, WriteTimeout, ReadError, WriteError,
        RemoteProtocolError; `answered` tells whether any byte of an answer had come.
        """
        self.answered = self._sent = False
        self._send_error = None
        self._patience = patience
        self._extended = trio.current_time()
        with trio.CancelScope(deadline=self._extended + patience) as self._scope:
            if len(body) <= _ONE_SEGMENT_BYTES:
                await self._send(head + body if body else head, b"")
                await self._receive_head(incoming)
            else:
                await self._send_while_receiving(head, body, incoming)
            if not self._sent and incoming.status < 300:
                # Whoever says so cannot have stored what it never received.
                raise httpx.RemoteProtocolError("success was answered to half a request")
            await self._receive_body(incoming)
            return self._sent and incoming.reusable
        what = httpx.ReadTimeout if self._sent else httpx.WriteTimeout
        raise what(f"no byte moved for {patience:g} s")

    async def _send_while_receiving(self, head: bytes, body: Buffer, incoming: Incoming) -> None:
        """A server may refuse before it has read the body, and never read the rest of it."""
        failure: httpx.TransportError | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send, head, body)
            try:
                await self._receive_head(incoming)
            except httpx.TransportError as exc:
                failure = exc
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _send(self, head: bytes, body: Buffer) -> None:
        """Sends as much as the server takes; it may have answered although sending failed."""
        try:
            for data in (head, body):
                rest = memoryview(data)
                while rest:
                    rest = rest[await self._wire.send(rest[:_SLICE_BYTES]) :]
                    self._moved()
        except OSError as exc:
            self._send_error = exc
        else:
            self._sent = True

    async def _receive_head(self, incoming: Incoming) -> None:
        while not incoming.has_head:
            await self._receive(incoming)

    async def _receive_body(self, incoming: Incoming) -> None:
        while not incoming.complete:
            rest = incoming.rest()
            if rest is None:
                await self._receive(incoming)
                continue
            count = await self._receive_into(rest[:_SLICE_BYTES])
            if not count:
                raise httpx.ReadError("the connection was closed in the middle of the body")
            incoming.filled(count)

    async def _receive(self, incoming: Incoming) -> None:
        count = await self._receive_into(self._read_buffer)
        try:
            if count:
                incoming.feed(self._read_buffer[:count])
            else:
                incoming.end()
        except MalformedError as exc:
            if self._send_error is not None:
                raise httpx.WriteError(str(self._send_error)) from self._send_error
            raise httpx.RemoteProtocolError(str(exc)) from exc

    async def _receive_into(self, target: memoryview) -> int:
        try:
            count = await self._wire.receive_into(target)
        except OSError as exc:
            raise httpx.ReadError(str(exc)) from exc
        if count:
            self.answered = True
            self._moved()
        return count

    def _moved(self) -> None:
        # Moving a deadline is dear; most answers come long before it matters.
        now = trio.current_time()
        if now - self._extended > self._patience / _EXTENSIONS:
            self._extended = now
            self._scope.deadline = now + self._patience
