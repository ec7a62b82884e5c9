"""One HTTP/1.1 answer being received, without any I/O: head and body out of the bytes that arrive.

Rules of this file: the body goes into one buffer of its announced length, which the caller may also
fill directly (`rest` and `filled`); a server never makes us take more memory than `limit` allows,
nor read what is neither head nor body for long.
"""

import re
from typing import NoReturn

import httptools

from ossfs.types import Buffer

_HEAD_LIMIT = 64 * 1024
# What decides where an answer ends, and whether another may follow.
_FRAMING = frozenset({b"connection", b"content-length", b"transfer-encoding"})
# Room for the length of a chunk, an extension that nobody needs, and line ends.
_CHUNK_FRAME_BYTES = 64


class MalformedError(Exception):
    """The server does not speak HTTP, or announces more than it may."""


class Incoming:
    """The answer to one request; informational answers (1xx) before it are dropped.

    status, headers (names and values as they came) and body are valid once `complete`. limit: of
    the body, in bytes; bodiless: the answer to a HEAD, which has no body whatever it announces.
    """

    def __init__(self, *, limit: int, bodiless: bool) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.has_head = False
        self.complete = False
        self._framing: dict[bytes, bytes] = {}
        self._limit = limit
        self._bodiless = bodiless
        self._length: int | None = None
        self._received = 0
        self._room = memoryview(b"")
        self._gathered = bytearray()
        self._other_bytes = 0
        self._other_limit = _HEAD_LIMIT
        self._surplus = False
        self._refusal = ""
        self._until_end = False
        self._parser = httptools.HttpResponseParser(self)

    @property
    def body(self) -> Buffer:
        """The body, once it is complete."""
        return self._gathered if self._length is None else self._room

    @property
    def reusable(self) -> bool:
        """Whether another request may follow on the same connection."""
        if not self.complete or self._surplus or self._until_end:
            return False
        tokens = self._framing.get(b"connection", b"").lower()
        return b"close" not in tokens and self._parser.get_http_version() == "1.1"

    def detach(self) -> None:
        """Ends parsing; what was received stays.

        Parser and answer refer to each other, so without this the body would take memory until the
        next garbage collection.
        """
        del self._parser

    def feed(self, data: memoryview) -> None:
        """Takes what arrived. Raises MalformedError."""
        self._other_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            # Bytes behind a whole answer do not spoil it.
            self._surplus = True
            if not self.complete:
                raise MalformedError(self._refusal or "the answer is not HTTP") from exc
        if not self.complete and self._other_bytes > self._other_limit:
            raise MalformedError("the head, the chunk lengths or the trailers are too long")

    def end(self) -> None:
        """The stream ended. Raises MalformedError unless that ends the body."""
        if not self._until_end:
            raise MalformedError("the connection was closed in the middle of the answer")
        self.complete = True

    def rest(self) -> memoryview | None:
        """Where the rest of the body belongs, if its length is known and something is missing."""
        if self.complete or not self.has_head or self._length is None:
            return None
        return self._room[self._received :]

    def filled(self, count: int) -> None:
        """The caller put *count* bytes into the beginning of `rest`."""
        self._received += count
        self.complete = self._received == self._length

    def on_message_begin(self) -> None:
        """Callback of the parser."""
        if self.complete:
            self._surplus = True
        else:
            self.headers = []
            self._framing = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Callback of the parser."""
        if self.has_head:
            return
        self.headers.append((name, value))
        lowered = name.lower()
        if lowered in _FRAMING:
            before = self._framing.get(lowered)
            self._framing[lowered] = value if before is None else b"%s,%s" % (before, value)

    def on_headers_complete(self) -> None:
        """Callback of the parser."""
        status = self._parser.get_status_code()
        if self.complete or status < 200:
            return
        self.status = status
        self.has_head = True
        if self._bodiless or status in {204, 304}:
            self.complete = True
        elif b"chunked" not in self._framing.get(b"transfer-encoding", b"").lower():
            self._expect(self._framing.get(b"content-length", b"").strip())

    def _expect(self, length: bytes) -> None:
        if not length:
            self._until_end = True
            return
        if not re.fullmatch(rb"[0-9]{1,18}", length) or int(length) > self._limit:
            self._refuse("the answer is longer than it may be")
        self._length = int(length)
        self._room = memoryview(bytearray(self._length))
        self.complete = self._length == 0

    def on_chunk_header(self) -> None:
        """Callback of the parser."""
        self._other_limit += _CHUNK_FRAME_BYTES

    def on_body(self, data: bytes) -> None:
        """Callback of the parser."""
        self._other_bytes -= len(data)
        if self.complete:
            self._surplus = True
        elif self._length is None:
            if len(self._gathered) + len(data) > self._limit:
                self._refuse("the answer is longer than it may be")
            self._gathered += data
        else:
            self._room[self._received : self._received + len(data)] = data
            self.filled(len(data))

    def on_message_complete(self) -> None:
        """Callback of the parser."""
        if self.has_head and not self._until_end:
            self.complete = True

    def _refuse(self, reason: str) -> NoReturn:
        # The parser swallows what a callback raises and raises an error of its own.
        self._refusal = reason
        raise MalformedError(reason)
