"""One stored version whose headers were accepted: turns its stored bytes into content."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from ossfs.cache import Extent
from ossfs.crypto.body import BodyCipher
from ossfs.crypto.datakey import FAILED
from ossfs.crypto.tags import TAG_BYTES, ChunkTagger, chunk_size
from ossfs.errors import IntegrityError
from ossfs.store.base import ObjectInfo, ObjectStore
from ossfs.transfer.limits import TransferLimits
from ossfs.transfer.tagsource import TagSource
from ossfs.types import Buffer, ETag, ObjectKey

_SLICE = 1 << 20
"""A multiple of every chunk size; short enough that what was checked is decrypted from the
processor's cache, and that the interpreter lock is not held for long.
"""

Identity = tuple[ObjectKey, ETag, int, bytes, bytes]
"""Key, ETag, size, lock and head.

The ETag alone would not do, since it stays where only headers are replaced: ciphertext of an object
that lost its envelope must not pass for content when the envelope is back, nor bytes that were read
unchecked for those of a sealed version.
"""


class Integrity(Enum):
    """How much of what is read must be authenticated."""

    PREFER = "prefer"
    REQUIRE = "require"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Authenticity:
    """What checks the chunks of a sealed version; head: the seal that was accepted."""

    head: bytes
    tagger: ChunkTagger
    source: TagSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """How to read one stored version.

    file_type: st_mode >> 12 as its headers tell; cipher: None for an object that is not encrypted;
    lock: digest of the wrapped key and IV, b"" where there is no cipher; authenticity: None where
    there are no tags (written by another client, or not encrypted) or nothing is to be checked.
    """

    info: ObjectInfo
    file_type: int
    cipher: BodyCipher | None
    lock: bytes
    authenticity: Authenticity | None

    @property
    def chunk(self) -> int:
        """Bytes of a chunk: what is fetched, checked and kept as one."""
        return chunk_size(self.info.size)

    @property
    def identity(self) -> Identity:
        """Same for two versions only if content read from one may be shown as the other's."""
        head = self.authenticity.head if self.authenticity else b""
        return self.info.key, self.info.etag, self.info.size, self.lock, head

    def span(self, first: int, end: int) -> tuple[int, int]:
        """Offset and length of the chunks first..end-1."""
        offset = first * self.chunk
        return offset, min(end * self.chunk, self.info.size) - offset

    async def fetch(self, store: ObjectStore, first: int, end: int) -> Buffer:
        """Stored bytes of the chunks first..end-1, unchecked.

        Raises Stale, IntegrityError, StoreError.
        """
        offset, length = self.span(first, end)
        info, stored = await store.get(
            self.info.key, start=offset, length=length, if_match=self.info.etag
        )
        if len(stored) != length or info.size != self.info.size:
            raise IntegrityError(FAILED)
        return stored

    async def check(self, limits: TransferLimits, first: int, stored: Buffer) -> None:
        """Raises IntegrityError unless *stored*, whole chunks from *first* on, is authentic.

        Does nothing where there are no tags.
        """
        if self.authenticity is None:
            return
        tags = await self._tags(first, stored)

        def work() -> bool:
            return all(good for _, _, good in self._checked(first, stored, tags))

        if not await limits.compute(len(stored), work):
            raise IntegrityError(FAILED)

    async def content(self, limits: TransferLimits, first: int, stored: Buffer) -> Extent:
        """Content of the whole chunks *stored*, which begin with *first*.

        It takes the place of *stored* where that may be changed. A chunk that is not authentic is
        lacking, which does not spoil its neighbours. Raises IntegrityError if the tags themselves
        cannot be had.
        """
        tags = await self._tags(first, stored)
        return await limits.compute(len(stored), lambda: self._opened(first, stored, tags))

    async def _tags(self, first: int, stored: Buffer) -> Buffer:
        if self.authenticity is None:
            return b""
        return await self.authenticity.source.tags(first, first + -(-len(stored) // self.chunk))

    def _checked(
        self, first: int, stored: Buffer, tags: Buffer
    ) -> Iterator[tuple[int, memoryview, bool]]:
        """Number and stored bytes of each chunk, and whether its tag is right."""
        view = memoryview(stored)
        for number, start in enumerate(range(0, len(view), self.chunk)):
            piece = view[start : start + self.chunk]
            tag = tags[number * TAG_BYTES : (number + 1) * TAG_BYTES]
            yield first + number, piece, self._is_authentic(first + number, piece, tag)

    def _is_authentic(self, index: int, piece: memoryview, tag: Buffer) -> bool:
        if self.authenticity is not None:
            try:
                self.authenticity.tagger.check(index, piece, tag)
            except IntegrityError:
                return False
        return True

    def _opened(self, first: int, stored: Buffer, tags: Buffer) -> Extent:
        view = memoryview(stored)
        if self.cipher is None:
            return Extent(first, self.chunk, view if _is_whole(view) else memoryview(bytes(view)))
        changeable = _is_whole(view) and not view.readonly
        out = view if changeable else memoryview(bytearray(len(view)))
        lacking: set[int] = set()
        for start in range(0, len(view), _SLICE):
            number = start // self.chunk
            piece = view[start : start + _SLICE]
            checked = list(self._checked(first + number, piece, tags[number * TAG_BYTES :]))
            damaged = {index for index, _, good in checked if not good}
            if not damaged:
                self._decrypt(first + number, piece, out[start:])
            else:
                for index, chunk, good in checked:
                    if good:
                        self._decrypt(index, chunk, out[(index - first) * self.chunk :])
            lacking |= damaged
        return Extent(first, self.chunk, out, frozenset(lacking))

    def _decrypt(self, index: int, stored: memoryview, out: memoryview) -> None:
        assert self.cipher is not None
        self.cipher.apply_into(index * self.chunk, stored, out[: len(stored)])


def _is_whole(view: memoryview) -> bool:
    """Whether nothing else lies in the memory of *view*, which lives as long as the view."""
    return memoryview(view.obj).nbytes == view.nbytes
