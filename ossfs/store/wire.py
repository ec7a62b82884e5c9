"""Bytes to and from one server, in the clear or through TLS, without needless copies.

Both wires read into the caller's memory. `trio.SSLStream` hands out one TLS record (16 KiB) per
call with a checkpoint each; `TlsWire` decrypts all that has arrived in one go instead.
"""

import select
import socket
import ssl
from typing import Protocol

import trio

from ossfs.types import Buffer

_READ_BYTES = 256 * 1024
_RECORD_BYTES = 256 * 1024
_LONG_BYTES = 128 * 1024


class Wire(Protocol):
    """A connected byte stream. One task may send while another receives."""

    async def send(self, data: Buffer) -> int:
        """Sends some of *data* and returns how much. Raises OSError."""

    async def receive_into(self, target: memoryview) -> int:
        """Fills the beginning of *target*; 0 at the end of the stream. Raises OSError."""

    def is_readable(self) -> bool:
        """Whether something has arrived, be it the end of the stream. Does not wait."""

    def close(self) -> None:
        """Lets go of the socket at once, wherever the conversation stands."""


class PlainWire:
    """A TCP connection.

    What is short and need not wait costs no turn of the event loop.
    """

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._poll = select.poll()
        self._poll.register(connected.fileno(), select.POLLIN)

    async def send(self, data: Buffer) -> int:
        """As `Wire.send`."""
        while True:
            try:
                count = self._socket.send(data)
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._socket)
            else:
                await _take_turns(count)
                return count

    async def receive_into(self, target: memoryview) -> int:
        """As `Wire.receive_into`."""
        while True:
            try:
                count = self._socket.recv_into(target)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._socket)
            else:
                await _take_turns(count)
                return count

    def is_readable(self) -> bool:
        """As `Wire.is_readable`."""
        return bool(self._poll.poll(0))

    def close(self) -> None:
        """As `Wire.close`."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()


async def _take_turns(count: int) -> None:
    """Let others run after much was moved; it was moved, so this is no place to be cancelled."""
    if count >= _LONG_BYTES:
        await trio.lowlevel.cancel_shielded_checkpoint()


class TlsWire:
    """TLS over a TCP connection; `handshake` comes first."""

    def __init__(self, wire: PlainWire, context: ssl.SSLContext, host: str) -> None:
        self._wire = wire
        self._inbound = ssl.MemoryBIO()
        self._outbound = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._inbound, self._outbound, server_hostname=host)
        self._arrived = memoryview(bytearray(_READ_BYTES))
        # Ciphertext must leave in the order in which it was made.
        self._sending = trio.Lock()

    async def handshake(self) -> None:
        """Agrees on keys and verifies the server. Raises OSError, ssl.SSLError being one."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._refill():
                    raise ConnectionResetError("closed during the TLS handshake") from None
            except ssl.SSLError:
                # The alert tells the server why.
                await self._flush()
                raise
            else:
                await self._flush()
                return

    async def send(self, data: Buffer) -> int:
        """As `Wire.send`."""
        written = self._tls.write(memoryview(data)[:_RECORD_BYTES])
        await self._flush()
        return written

    async def receive_into(self, target: memoryview) -> int:
        """As `Wire.receive_into`."""
        while True:
            got = self._decrypt_into(target)
            if got is not None:
                return got
            # Reading may have made an answer to a key update.
            await self._flush()
            await self._refill()

    def _decrypt_into(self, target: memoryview) -> int | None:
        """All that has arrived and fits; 0 at the end; None if it is no whole record."""
        got = 0
        try:
            while got < len(target):
                # With a buffer it returns a count, which its annotation does not say.
                count: int = self._tls.read(len(target) - got, target[got:])  # type: ignore[assignment]
                # The server's word that nothing follows is no exception but a count of none.
                if not count:
                    break
                got += count
        except ssl.SSLWantReadError:
            return got or None
        except ssl.SSLEOFError:
            if not got:
                # Anyone on the way can end a TCP connection; only TLS itself can end the answer.
                raise ConnectionResetError("closed without the end of TLS") from None
        return got

    async def _refill(self) -> bool:
        count = await self._wire.receive_into(self._arrived)
        if count:
            self._inbound.write(self._arrived[:count])
        else:
            self._inbound.write_eof()
        return bool(count)

    async def _flush(self) -> None:
        if not self._outbound.pending:
            return
        async with self._sending:
            rest = memoryview(self._outbound.read())
            while rest:
                rest = rest[await self._wire.send(rest) :]

    def is_readable(self) -> bool:
        """As `Wire.is_readable`."""
        return self._wire.is_readable()

    def close(self) -> None:
        """As `Wire.close`."""
        self._wire.close()
