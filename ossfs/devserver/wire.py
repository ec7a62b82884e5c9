"""HTTP/1.1 on one connection: heads and bodies in, responses out."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import httptools
import trio

from ossfs.devserver.bodies import BodySlice
from ossfs.devserver.errors import OssError
from ossfs.devserver.throttle import Throttle

_HEAD_READ_BYTES = 16 * 1024
_BODY_READ_BYTES = 512 * 1024
_MAX_HEAD_BYTES = 256 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class ClientGoneError(Exception):
    """The client went away or does not speak HTTP; there is nobody to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Request line and headers: names in lower case, undecodable bytes as surrogates."""

    method: str
    target: bytes
    headers: Mapping[str, str]
    keep_alive: bool

    @property
    def content_length(self) -> int | None:
        """Announced length of the body, None if it is chunked or absent."""
        value = self.headers.get("content-length")
        return int(value) if value is not None and value.isdecimal() else None

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return "chunked" in self.headers.get("transfer-encoding", "").lower()


@dataclass(slots=True, kw_only=True)
class Response:
    """An answer; a BodySlice in it is closed once it is sent or given up."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | BodySlice = b""

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return self.body.length if isinstance(self.body, BodySlice) else len(self.body)

    def close(self) -> None:
        """Lets go of what the body holds."""
        if isinstance(self.body, BodySlice):
            self.body.close()


class _Collector:
    """Callbacks of the parser, gathered into a queue: a Head, pieces of its body, then None."""

    def __init__(self) -> None:
        self.events: deque[Head | bytes | None] = deque()
        self.parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: dict[str, str] = {}

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers = {}

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.decode("latin-1").lower()
        text = value.decode("utf-8", "surrogateescape").strip()
        earlier = self._headers.get(lower)
        self._headers[lower] = text if earlier is None else f"{earlier},{text}"

    def on_headers_complete(self) -> None:
        self.events.append(
            Head(
                method=self.parser.get_method().decode("ascii"),
                target=self._target,
                headers=self._headers,
                keep_alive=self.parser.should_keep_alive(),
            )
        )

    def on_body(self, body: bytes) -> None:
        self.events.append(body)

    def on_message_complete(self) -> None:
        self.events.append(None)


class Connection:
    """One client; requests are answered in their order."""

    def __init__(self, stream: trio.abc.Stream, inbound: Throttle, outbound: Throttle) -> None:
        self._stream = stream
        self._inbound = inbound
        self._outbound = outbound
        self._collector = _Collector()
        self._head: Head | None = None
        self._body_done = True
        self._continue_due = False
        self.received = 0

    async def _feed(self, limit: int) -> bool:
        """Reads once; False at the end of the stream. Raises ClientGoneError."""
        try:
            data = await self._stream.receive_some(limit)
            if not data:
                return False
            self._collector.parser.feed_data(data)
        except (trio.BrokenResourceError, httptools.HttpParserError) as exc:
            raise ClientGoneError from exc
        except httptools.HttpParserUpgrade as exc:
            raise ClientGoneError from exc
        return True

    async def next_head(self) -> Head | None:
        """The next request, None when the client has no more. Raises ClientGoneError."""
        fed = 0
        while not self._collector.events:
            fed += _HEAD_READ_BYTES
            if fed > _MAX_HEAD_BYTES or not await self._feed(_HEAD_READ_BYTES):
                return None
        head = self._collector.events.popleft()
        if not isinstance(head, Head):
            raise ClientGoneError
        self._head = head
        self._body_done = False
        self._continue_due = head.headers.get("expect", "").lower() == "100-continue"
        self.received = 0
        return head

    async def next_piece(self) -> bytes | None:
        """The next piece of the body of the current request, None at its end.

        Raises ClientGoneError if the body is cut short.
        """
        if self._body_done:
            return None
        events = self._collector.events
        while not events:
            await self._ask_for_body()
            if not await self._feed(_BODY_READ_BYTES):
                raise ClientGoneError
        piece = events.popleft()
        if not isinstance(piece, bytes):
            self._body_done = True
            return None
        self.received += len(piece)
        await self._inbound.spend(len(piece))
        return piece

    async def _ask_for_body(self) -> None:
        if self._continue_due:
            self._continue_due = False
            await self._send(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def read_body(self, limit: int) -> bytes:
        """The whole body; raises OssError EntityTooLarge above *limit* bytes."""
        pieces = bytearray()
        while (piece := await self.next_piece()) is not None:
            pieces += piece
            if len(pieces) > limit:
                raise OssError("EntityTooLarge")
        return bytes(pieces)

    async def skip_body(self, limit: int) -> bool:
        """Reads what the handler left; False above *limit*: then the connection must close.

        A client that is still sending would otherwise lose the answer to a reset.
        """
        if self._body_done:
            return True
        if self._continue_due:
            return False
        skipped = 0
        while (piece := await self.next_piece()) is not None:
            skipped += len(piece)
            if skipped > limit:
                return False
        return True

    async def _send(self, data: bytes) -> None:
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            raise ClientGoneError from exc

    async def send(
        self, response: Response, *, keep_alive: bool, cut_after: int | None = None
    ) -> None:
        """Sends the answer to the current request; with cut_after only that much of its body.

        Raises ClientGoneError.
        """
        lines = [f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        lines.append("Connection: keep-alive" if keep_alive else "Connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")
        if self._head is not None and self._head.method == "HEAD":
            await self._send(head)
        elif isinstance(response.body, bytes):
            body = response.body[:cut_after]
            await self._outbound.spend(len(body))
            await self._send(head + body)
        else:
            await self._send_slice(head, response.body, cut_after)

    async def _send_slice(self, head: bytes, body: BodySlice, cut_after: int | None) -> None:
        left = body.length if cut_after is None else min(cut_after, body.length)
        for piece in body.pieces():
            data = piece[:left]
            left -= len(data)
            await self._outbound.spend(len(data))
            await self._send(head + data if head else data)
            head = b""
            if not left:
                break
        if head:
            await self._send(head)
