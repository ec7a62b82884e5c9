"""The stored form of content that cannot change any more, made in two passes over it.

    stored = StoredForm(content, limits, cipher, tagger)
    await stored.scan(keep=True)                    # pass 1: tags, CRC64, and the bytes if small
    stored.tags, stored.crc64
    async with stored.piece(offset, length) as body:    # pass 2: any part of it

Both passes read and encrypt in slices, in threads unless the content is small.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol, final

import fastcrc
import trio

from ossfs.crypto.body import BodyCipher
from ossfs.crypto.tags import TAG_BYTES, ChunkTagger, chunk_size
from ossfs.store.crc64 import combine
from ossfs.transfer.limits import TransferLimits
from ossfs.transfer.parallel import for_each
from ossfs.types import Buffer

_SLICE = 1 << 18
"""A multiple of every chunk size; short enough that the interpreter lock is not held for long."""

_SPAN = 8 << 20
"""Bytes of pass 1 in one thread call; between two of them an upload can be cancelled."""

SCANNED_AT_ONCE = 2
"""Spans that one upload works on side by side; more would keep other files from the processors."""

SCAN_BYTES = 2 * SCANNED_AT_ONCE * _SLICE
"""Memory that pass 1 takes if it does not keep what it makes."""


class Content(Protocol):
    """Bytes that nothing can change: a frozen file or an immutable string of bytes."""

    @property
    def size(self) -> int:
        """Bytes in all."""

    def pread_into(self, offset: int, out: memoryview) -> None:
        """Fill *out* with the bytes from *offset* on, all within the size; from any thread."""


@final
class Text:
    """Content that stands in memory: the target of a symbolic link."""

    __slots__ = ("_text",)

    def __init__(self, text: bytes) -> None:
        self._text = text

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self._text)

    def pread_into(self, offset: int, out: memoryview) -> None:
        """Fill *out* with the bytes from *offset* on."""
        out[:] = self._text[offset : offset + len(out)]


@final
class StoredForm:
    """A source for `sending`: *content* encrypted by *cipher*, or as it is where there is none.

    A data key encrypts one byte string, so there is one of these per data key, and its content is
    frozen.
    """

    def __init__(
        self,
        content: Content,
        limits: TransferLimits,
        *,
        cipher: BodyCipher | None,
        tagger: ChunkTagger | None,
    ) -> None:
        self._content = content
        self._limits = limits
        self._cipher = cipher
        self._tagger = tagger
        self._chunk = chunk_size(content.size)
        self._kept: bytearray | None = None
        self._tags = bytearray()
        self._crc64 = 0

    @property
    def size(self) -> int:
        """Bytes of content, and of what is stored."""
        return self._content.size

    @property
    def crc64(self) -> int:
        """CRC64 of all stored bytes, once `scan` is done."""
        return self._crc64

    @property
    def tags(self) -> bytes:
        """Tags of all chunks, once `scan` is done."""
        return bytes(self._tags)

    async def scan(self, *, keep: bool) -> None:
        """Pass 1. keep: hold the stored bytes in memory until the object goes away."""
        if keep:
            self._kept = bytearray(self.size)
        if self._tagger is not None:
            self._tags = bytearray(-(-self.size // self._chunk) * TAG_BYTES)
        spans = [(start, min(start + _SPAN, self.size)) for start in range(0, self.size, _SPAN)]
        sums: dict[int, tuple[int, int]] = {}

        async def scan_span(span: tuple[int, int]) -> None:
            start, end = span
            crc64 = await self._limits.compute(end - start, partial(self._scan, start, end))
            sums[start] = crc64, end - start
            await trio.lowlevel.checkpoint()

        if len(spans) > 1:
            await for_each(spans, scan_span, limit=SCANNED_AT_ONCE)
        elif spans:
            await scan_span(spans[0])
        for _, (crc64, length) in sorted(sums.items()):
            self._crc64 = combine(self._crc64, crc64, length)

    @asynccontextmanager
    async def piece(self, offset: int, length: int) -> AsyncIterator[Buffer]:
        """Stored bytes [offset, offset + length); the same ones at every call."""
        if self._kept is not None:
            yield memoryview(self._kept)[offset : offset + length].toreadonly()
            return
        # A new buffer each time: one kept for the next part would be memory that nobody holds.
        buffer = bytearray(length)
        await self._limits.compute(length, partial(self._encrypt_all, offset, buffer))
        yield memoryview(buffer).toreadonly()

    def _scan(self, start: int, end: int) -> int:
        """Tag the bytes [start, end) as they will be stored, and return their CRC64."""
        plain = self._plain_buffer(end - start)
        scratch = memoryview(bytearray(0 if self._kept is not None else min(_SLICE, end - start)))
        crc64 = 0
        for offset in range(start, end, _SLICE):
            length = min(_SLICE, end - offset)
            if self._kept is not None:
                out = memoryview(self._kept)[offset : offset + length]
            else:
                out = scratch[:length]
            self._encrypt(offset, plain, out)
            crc64 = fastcrc.crc64.xz(out, crc64)
            self._tag(offset, out)
        return crc64

    def _tag(self, offset: int, stored: memoryview) -> None:
        if self._tagger is None:
            return
        first = offset // self._chunk
        tags = [
            self._tagger.tag(index, stored[begin : begin + self._chunk])
            for index, begin in enumerate(range(0, len(stored), self._chunk), first)
        ]
        self._tags[first * TAG_BYTES : (first + len(tags)) * TAG_BYTES] = b"".join(tags)

    def _encrypt_all(self, start: int, buffer: bytearray) -> None:
        view = memoryview(buffer)
        plain = self._plain_buffer(len(view))
        for begin in range(0, len(view), _SLICE):
            self._encrypt(start + begin, plain, view[begin : begin + _SLICE])

    def _plain_buffer(self, length: int) -> memoryview:
        """Where plaintext stands, so that a buffer that a request may still send never holds any;
        gone when the thread is done with its *length* bytes.
        """
        return memoryview(bytearray(min(_SLICE, length) if self._cipher else 0))

    def _encrypt(self, offset: int, plain: memoryview, out: memoryview) -> None:
        if self._cipher is None:
            self._content.pread_into(offset, out)
            return
        plain = plain[: len(out)]
        self._content.pread_into(offset, plain)
        self._cipher.apply_into(offset, plain, out)
