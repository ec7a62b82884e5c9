"""An httpx transport on trio streams: a pool of connections per origin, bodies in one piece.

Call it with an `httpx.Request` directly; the rest of httpx costs more than the request itself.
It understands these extensions of a request:

    timeout     httpx's own: "connect" in seconds; "read": without a byte moving in either direction
    target      httpx's own: what stands in the request line in place of path and query
    max_body    bytes that the body of the answer may have (default 64 MiB)
    repeatable  False: never repeat the request on another connection when a reused one turns out to
                be dead (default True; such a request got no answer at all)

A `Body` as request.stream is sent without a copy; every response has one as its stream.
"""

import os
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import httpx
import trio

from ossfs.store.connection import Connection
from ossfs.store.incoming import Incoming
from ossfs.store.tls import certificate_advice, client_context, ending_advice, version_advice
from ossfs.store.wire import PlainWire, TlsWire
from ossfs.types import Buffer

_MAX_BODY = 64 << 20
_CONNECT_SECONDS = 10.0
_PATIENCE_SECONDS = 60.0
_PIECE_BYTES = 1 << 20

_Origin = tuple[str, str, int]


class Body(httpx.AsyncByteStream):
    """A whole body; other transports see it as a stream of pieces."""

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Pieces of at most 1 MiB."""
        view = memoryview(self.buffer)
        for start in range(0, len(view), _PIECE_BYTES):
            yield bytes(view[start : start + _PIECE_BYTES])


class Transport(httpx.AsyncBaseTransport):
    """Sends requests over at most max_connections connections; more of them wait their turn.

    idle_seconds: age at which an unused connection is not used again. A request that is cancelled
    or fails closes its connection.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        max_connections: int = 64,
        idle_seconds: float = 30.0,
    ) -> None:
        self._tls = tls
        self._slots = trio.CapacityLimiter(max_connections)
        self._idle_seconds = idle_seconds
        self._idle: dict[_Origin, deque[tuple[float, Connection]]] = {}
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises httpx.TransportError of the kind that fits."""
        head = _head_of(request)
        body = await _body_of(request)
        try:
            self._slots.acquire_nowait()  # a free slot costs no turn of the event loop
        except trio.WouldBlock:
            await self._slots.acquire()
        try:
            incoming = await self._answer(request, head, body)
        finally:
            self._slots.release()
        return httpx.Response(
            incoming.status, headers=incoming.headers, stream=Body(incoming.body), request=request
        )

    async def aclose(self) -> None:
        """Closes idle connections now, those in use when they are done."""
        self._closed = True
        for connections in self._idle.values():
            for _, connection in connections:
                connection.close()
        self._idle.clear()
        await trio.lowlevel.checkpoint()

    async def _answer(self, request: httpx.Request, head: bytes, body: Buffer) -> Incoming:
        origin = _origin_of(request.url)
        connection = self._take_idle(origin)
        if connection is not None:
            try:
                return await self._exchange(request, origin, connection, head, body)
            except (httpx.NetworkError, httpx.RemoteProtocolError):
                if connection.answered or not request.extensions.get("repeatable", True):
                    raise
        connection = await self._connect(origin, _timeout(request, "connect", _CONNECT_SECONDS))
        return await self._exchange(request, origin, connection, head, body)

    async def _exchange(
        self,
        request: httpx.Request,
        origin: _Origin,
        connection: Connection,
        head: bytes,
        body: Buffer,
    ) -> Incoming:
        incoming = Incoming(
            limit=request.extensions.get("max_body", _MAX_BODY), bodiless=request.method == "HEAD"
        )
        patience = _timeout(request, "read", _PATIENCE_SECONDS)
        reusable = False
        try:
            reusable = await connection.exchange(head, body, incoming, patience=patience)
        finally:
            incoming.detach()
            if reusable and not self._closed:
                idle = self._idle.setdefault(origin, deque())
                idle.append((trio.current_time(), connection))
            else:
                connection.close()
        return incoming

    def _take_idle(self, origin: _Origin) -> Connection | None:
        """The connection used last, since it is the likeliest to be alive."""
        idle = self._idle.get(origin)
        if idle is None:
            return None
        oldest = trio.current_time() - self._idle_seconds
        while idle and idle[0][0] < oldest:
            idle.popleft()[1].close()
        while idle:
            _, connection = idle.pop()
            if not connection.is_stale():
                return connection
            connection.close()
        return None

    async def _connect(self, origin: _Origin, seconds: float) -> Connection:
        scheme, host, port = origin
        with trio.move_on_after(seconds):
            try:
                stream = await trio.open_tcp_stream(host, port)
            except OSError as exc:
                raise httpx.ConnectError(f"{host}:{port}: {_reason(exc)}") from exc
            wire = PlainWire(socket.socket(fileno=stream.socket.detach()))
            return Connection(wire if scheme == "http" else await self._secure(wire, host))
        raise httpx.ConnectTimeout(f"{host}:{port}: no connection within {seconds:g} s")

    async def _secure(self, wire: PlainWire, host: str) -> TlsWire:
        if self._tls is None:
            self._tls = client_context()
        secured = TlsWire(wire, self._tls, host)
        agreed = False
        try:
            await secured.handshake()
            agreed = True
        except ssl.SSLCertVerificationError as exc:
            raise httpx.ConnectError(
                f"the certificate of {host} is not accepted: {certificate_advice(exc)}"
            ) from exc
        except OSError as exc:
            advice = version_advice(exc, self._tls)
            if advice:
                raise httpx.UnsupportedProtocol(f"{host}: no TLS connection: {advice}") from exc
            reason = _reason(exc)
            if isinstance(exc, ConnectionResetError):
                reason += ending_advice(self._tls)
            raise httpx.ConnectError(f"{host}: no TLS connection: {reason}") from exc
        finally:
            if not agreed:
                wire.close()
        return secured


def _reason(exc: OSError) -> str:
    """The first real cause; trio gathers those of several addresses under one text."""
    cause = exc.__cause__
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    found = cause if isinstance(cause, OSError) else exc
    # The numbers of TLS and of name resolution are not those of the system.
    if isinstance(found, (ssl.SSLError, socket.gaierror)) or not found.errno:
        return found.strerror or str(found)
    return os.strerror(found.errno)


def _timeout(request: httpx.Request, name: str, default: float) -> float:
    timeouts: dict[str, Any] = request.extensions.get("timeout", {})
    seconds: float | None = timeouts.get(name, default)
    return float("inf") if seconds is None else seconds


def _origin_of(url: httpx.URL) -> _Origin:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


def _head_of(request: httpx.Request) -> bytes:
    target = request.extensions.get("target", request.url.raw_path)
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), target)]
    lines += [b"%s: %s" % field for field in request.headers.raw]
    head = b"\r\n".join(lines)
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
        raise httpx.LocalProtocolError("a header of the request holds a line break")
    return head + b"\r\n\r\n"


async def _body_of(request: httpx.Request) -> Buffer:
    if isinstance(request.stream, Body):
        return request.stream.buffer
    return await request.aread()


async def body_of(response: httpx.Response) -> Buffer:
    """The body of a response of this transport, without a copy, or of any other."""
    if isinstance(response.stream, Body):
        return response.stream.buffer
    return await response.aread()
