"""A server that does exactly what a test tells it, on a free port of the loopback address."""

import ssl
from collections.abc import Awaitable, Callable
from functools import partial

import trio

Script = Callable[["Client"], Awaitable[None]]


class Client:
    """The server's end of one connection."""

    def __init__(self, stream: trio.abc.Stream, number: int) -> None:
        self.stream = stream
        self.number = number
        self._data = b""

    async def head(self) -> bytes:
        """The head of the next request; empty when the client is gone."""
        while b"\r\n\r\n" not in self._data:
            received = await self.stream.receive_some()
            if not received:
                return b""
            self._data += received
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        return head

    async def request(self) -> tuple[bytes, bytes]:
        """Head and body of the next request."""
        head = await self.head()
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while len(self._data) < length:
            received = await self.stream.receive_some()
            assert received
            self._data += received
        body, self._data = self._data[:length], self._data[length:]
        return head, body

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def answer(self, body: bytes = b"", *, status: str = "200 OK", extra: str = "") -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
        await self.send(head.encode() + body)


class Scripted:
    """Runs *script* for each connection; `connections` counts them."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.connections = 0
        self.port = 0

    async def _serve(self, stream: trio.abc.Stream) -> None:
        self.connections += 1
        async with stream:
            try:
                await self._script(Client(stream, self.connections))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                # The client went away, which some tests want.
                return

    async def start(self, nursery: trio.Nursery, tls: ssl.SSLContext | None = None) -> "Scripted":
        if tls is None:
            plain = await nursery.start(partial(trio.serve_tcp, self._serve, 0, host="127.0.0.1"))
            self.port = plain[0].socket.getsockname()[1]
        else:
            serve = partial(trio.serve_ssl_over_tcp, self._serve, 0, tls, host="127.0.0.1")
            secured = await nursery.start(serve)
            self.port = secured[0].transport_listener.socket.getsockname()[1]
        return self
