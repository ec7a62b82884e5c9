"""Reads the content of one stored version at any offset.

    data = await reader.read(offset, length)
    reader.close()

A read takes chunks from the cache, joins fetches that are under way, and fetches what is missing
in as few ranged requests as possible, each with If-Match. Sequential streams are read ahead in
parallel.
"""

import logging
from typing import final

import trio

from ossfs.cache import Extent
from ossfs.crypto.datakey import FAILED
from ossfs.errors import BadHandle, IntegrityError, OssfsError
from ossfs.store.base import ObjectInfo
from ossfs.transfer.pool import ReadPool
from ossfs.transfer.streams import ReadAhead
from ossfs.transfer.version import Version
from ossfs.types import Buffer

log = logging.getLogger(__name__)

_LARGEST_FETCH = 4 << 20
_FIRST_BYTES = -1
"""Index under which the cache holds the stored bytes that opening brought along, unchecked."""


@final
class _Fetch:
    """Chunks first..end-1 on their way: who waits, and what came out of it."""

    __slots__ = ("done", "end", "error", "extent", "first", "scope", "waiting")

    def __init__(self, first: int, end: int) -> None:
        self.first = first
        self.end = end
        self.waiting = 0
        self.scope = trio.CancelScope()
        self.done = trio.Event()
        self.extent: Extent | None = None
        self.error: OssfsError | None = None


@final
class ObjectReader:
    """Content of one stored version; many tasks may read at once.

    Made by `opening`. Nothing that a cancelled read began is lost: fetches run in the pool's
    nursery and serve whoever else waits. A fetch that fails is told to those who wait for it and
    then forgotten.
    """

    def __init__(self, pool: ReadPool, version: Version, first_bytes: Buffer = b"") -> None:
        """first_bytes: stored bytes from offset 0 on that are at hand already, unchecked."""
        self._pool = pool
        self._version = version
        self._identity = version.identity
        self._chunk = version.chunk
        self._size = version.info.size
        self._under_way: dict[int, _Fetch] = {}
        self._streams = ReadAhead(size=self._size, chunk=self._chunk, limit=pool.read_ahead)
        self._closed = False
        self.prime(first_bytes)

    @property
    def info(self) -> ObjectInfo:
        """What OSS said of this version."""
        return self._version.info

    @property
    def is_closed(self) -> bool:
        """Whether reads are refused."""
        return self._closed

    @property
    def is_authenticated(self) -> bool:
        """Whether the content is checked against tags."""
        return self._version.authenticity is not None

    def prime(self, first_bytes: Buffer) -> None:
        """Use these stored bytes from offset 0 on, which another open brought along."""
        whole = len(first_bytes)
        if whole < self._size:
            whole -= whole % self._chunk
        if whole and (self._identity, 0) not in self._pool.chunks:
            # A copy, since the buffer may be that of the whole object.
            stored = memoryview(bytes(first_bytes[:whole]))
            self._pool.chunks.put(self._identity, Extent(_FIRST_BYTES, whole, stored))

    async def read(self, offset: int, length: int) -> Buffer:
        """Bytes [offset, offset + length), clipped at the end of the content.

        Raises Stale (another client replaced the version), IntegrityError, StoreError, BadHandle
        (closed).
        """
        if self._closed:
            raise BadHandle("the file is closed")
        await trio.lowlevel.checkpoint_if_cancelled()
        end = min(offset + length, self._size)
        if offset >= end:
            return b""
        first, behind = offset // self._chunk, -(-end // self._chunk)
        extent = await self._from_first_bytes(first, behind)
        if extent is not None:
            chunks = dict.fromkeys(extent.numbers(), extent)
            self._look_ahead(offset, end)
        else:
            chunks, fetches = self._begin(first, behind)
            self._look_ahead(offset, end)
            await self._collect(fetches, chunks)
        return self._join(chunks, offset, end)

    def close(self) -> None:
        """Stop reading ahead. Reads that have begun end as usual, later ones are refused."""
        self._closed = True
        for fetch in self._under_way.values():
            if not fetch.waiting:
                fetch.scope.cancel()

    async def _from_first_bytes(self, first: int, end: int) -> Extent | None:
        """The chunks that opening brought along, if first..end-1 are among them and all of them
        are authentic.
        """
        cache = self._pool.chunks
        stored = cache.get(self._identity, _FIRST_BYTES) if first == 0 else None
        if stored is None or end > -(-len(stored.view) // self._chunk):
            return None
        extent = await self._version.content(self._pool.limits, 0, stored.view)
        cache.put(self._identity, extent)
        # Bytes that were damaged on their way must not be tried again: the bucket may have better.
        cache.discard(self._identity, _FIRST_BYTES)
        return None if extent.lacking else extent

    def _begin(self, first: int, end: int) -> tuple[dict[int, Extent], list[_Fetch]]:
        """The chunks that the cache holds; the fetches of the others, begun and counted in."""
        found: dict[int, Extent] = {}
        fetches: dict[_Fetch, None] = {}
        missing: list[int] = []
        for index in range(first, end):
            extent = self._pool.chunks.get(self._identity, index)
            if extent is not None:
                found[index] = extent
            elif (fetch := self._under_way.get(index)) and not fetch.scope.cancel_called:
                fetches[fetch] = None
            else:
                missing.append(index)
        for low, high in _runs(missing, _LARGEST_FETCH // self._chunk):
            fetches[self._start(low, high)] = None
        for fetch in fetches:
            fetch.waiting += 1
        return found, list(fetches)

    async def _collect(self, fetches: list[_Fetch], chunks: dict[int, Extent]) -> None:
        try:
            for fetch in fetches:
                await fetch.done.wait()
                if fetch.error is not None:
                    raise fetch.error
                assert fetch.extent is not None
                chunks.update(dict.fromkeys(fetch.extent.numbers(), fetch.extent))
        finally:
            for fetch in fetches:
                fetch.waiting -= 1

    def _join(self, chunks: dict[int, Extent], offset: int, end: int) -> Buffer:
        """Bytes [offset, end), copied only if they lie in several extents.

        Raises IntegrityError where one of *chunks* is lacking.
        """
        pieces: list[memoryview] = []
        while offset < end:
            extent = chunks.get(offset // self._chunk)
            if extent is None:
                raise IntegrityError(FAILED)
            pieces.append(extent.piece(offset, end))
            offset += len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _look_ahead(self, offset: int, end: int) -> None:
        for low, high in self._streams.advance(offset, end, self._pool.limits.memory.free):
            wanted = [
                index
                for index in range(low // self._chunk, -(-high // self._chunk))
                if index not in self._under_way and (self._identity, index) not in self._pool.chunks
            ]
            for first, behind in _runs(wanted, _LARGEST_FETCH // self._chunk):
                self._start(first, behind, background=True)

    def _start(self, first: int, end: int, *, background: bool = False) -> _Fetch:
        fetch = _Fetch(first, end)
        for index in range(first, end):
            self._under_way[index] = fetch
        self._pool.spawn(self._run, fetch, background)
        return fetch

    async def _run(self, fetch: _Fetch, background: bool) -> None:
        try:
            with fetch.scope:
                if background:
                    async with self._pool.background:
                        await self._load(fetch)
                else:
                    await self._load(fetch)
        except OssfsError as error:
            fetch.error = error
        except Exception as error:
            # It would end the nursery of the whole mount; it belongs to the read that waits for it.
            log.exception("reading failed for a reason that is a mistake in ossfs")
            fetch.error = OssfsError(f"internal error: {type(error).__name__}")
        finally:
            if fetch.extent is None and fetch.error is None:
                fetch.error = BadHandle("the read was cancelled")
            for index in range(fetch.first, fetch.end):
                if self._under_way.get(index) is fetch:
                    del self._under_way[index]
            fetch.done.set()

    async def _load(self, fetch: _Fetch) -> None:
        pool, version = self._pool, self._version
        async with pool.limits.memory.hold(version.span(fetch.first, fetch.end)[1]):
            async with pool.limits.request():
                stored = await version.fetch(pool.store, fetch.first, fetch.end)
            fetch.extent = await version.content(pool.limits, fetch.first, stored)
        pool.chunks.put(self._identity, fetch.extent)


def _runs(indices: list[int], longest: int) -> list[tuple[int, int]]:
    """Ascending *indices* as ranges [first, end) without gaps, of at most *longest*."""
    runs: list[tuple[int, int]] = []
    for index in indices:
        if runs and runs[-1][1] == index and index - runs[-1][0] < longest:
            runs[-1] = (runs[-1][0], index + 1)
        else:
            runs.append((index, index + 1))
    return runs
