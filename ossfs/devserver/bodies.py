"""Stored bytes: immutable files with names of their own, which rows of the database refer to.

Rules of this file: a file is complete before a row refers to it, and no row refers to it any more
when it is removed. What a kill leaves in between is a file without a row; `sweep` removes those.
With a data key the file is encrypted (module `chunks`); whose key that is, others know.
"""

import contextlib
import hashlib
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from fastcrc.crc64 import xz

from ossfs.devserver import chunks
from ossfs.types import Buffer

READ_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of a body and the length of what it holds; an object is a row of these."""

    name: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenBody:
    """What is known of a body once it is on disk. An empty one has no segment."""

    segments: tuple[Segment, ...]
    size: int
    md5: bytes
    crc64: int


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


class Bodies:
    """All body files below one directory; used from one thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._prefix = secrets.token_hex(6)
        self._numbers = count()
        self._readers: Counter[str] = Counter()
        self._doomed: set[str] = set()
        for number in range(256):
            (directory / f"{number:02x}").mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> str:
        """Where the file called *name* stands."""
        return f"{self._directory}/{name[:2]}/{name}"

    def _new_name(self) -> str:
        number = next(self._numbers)
        return f"{number & 255:02x}-{self._prefix}-{number:x}"

    def writer(self, data_key: bytes | None = None) -> "BodyWriter":
        """A new body, encrypted with *data_key*; the caller must `finish` or `discard` it."""
        return BodyWriter(self, self._new_name(), data_key)

    def link(self, segments: Iterable[Segment]) -> tuple[Segment, ...]:
        """A second owner of the same bytes, without copying them where the file system can."""
        copies = []
        for segment in segments:
            copy = Segment(self._new_name(), segment.size)
            try:
                os.link(self.path(segment.name), self.path(copy.name))
            except OSError:
                # A file has a limited number of links, and some file systems have none.
                shutil.copyfile(self.path(segment.name), self.path(copy.name))
            copies.append(copy)
        return tuple(copies)

    def remove(self, segments: Iterable[Segment]) -> None:
        """Removes files that no row refers to, those being read once their readers are done."""
        for segment in segments:
            if self._readers[segment.name]:
                self._doomed.add(segment.name)
            else:
                _unlink(self.path(segment.name))

    def read(
        self,
        segments: tuple[Segment, ...],
        start: int,
        length: int,
        data_key: bytes | None = None,
    ) -> "BodySlice":
        """Bytes [start, start + length) of a body; they stay readable until the slice is closed.

        data_key: the one it was written with.
        """
        for segment in segments:
            self._readers[segment.name] += 1
        return BodySlice(self, segments, start, length, data_key)

    def release(self, segments: tuple[Segment, ...]) -> None:
        """Ends one reader."""
        for segment in segments:
            self._readers[segment.name] -= 1
            if not self._readers[segment.name]:
                del self._readers[segment.name]
                if segment.name in self._doomed:
                    self._doomed.discard(segment.name)
                    _unlink(self.path(segment.name))

    def sweep(self, alive: set[str]) -> None:
        """Removes every file whose name is not in *alive*."""
        for folder in self._directory.iterdir():
            for entry in os.scandir(folder):
                if entry.name not in alive:
                    os.unlink(entry.path)


class BodyWriter:
    """A body on its way to the disk; its digests are computed as the bytes pass."""

    def __init__(self, bodies: Bodies, name: str, data_key: bytes | None) -> None:
        self._bodies = bodies
        self._name = name
        self._file = -1
        self._sealer = None if data_key is None else chunks.Sealer(data_key)
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc64 = 0
        self.size = 0

    def write(self, data: Buffer) -> None:
        """Appends; raises OSError when the disk is full."""
        if self._file < 0:
            path = self._bodies.path(self._name)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._md5.update(data)
        self._crc64 = xz(data, self._crc64)
        self._store(data if self._sealer is None else self._sealer.add(data))
        self.size += len(data)

    def _store(self, data: Buffer) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def finish(self) -> WrittenBody:
        """Ends the body; from here on its file belongs to whoever holds the result.

        Raises OSError when the disk is full.
        """
        if self._sealer is not None:
            self._store(self._sealer.end())
        self._close()
        segments = (Segment(self._name, self.size),) if self.size else ()
        return WrittenBody(
            segments=segments, size=self.size, md5=self._md5.digest(), crc64=self._crc64
        )

    def discard(self) -> None:
        """Leaves nothing behind."""
        self._close()
        _unlink(self._bodies.path(self._name))


class BodySlice:
    """Part of a stored body, read in pieces; `close` must follow."""

    def __init__(
        self,
        bodies: Bodies,
        segments: tuple[Segment, ...],
        start: int,
        length: int,
        data_key: bytes | None,
    ) -> None:
        self._bodies = bodies
        self._segments = segments
        self._data_key = data_key
        self._closed = False
        self._flipped: set[int] = set()
        self.start = start
        self.length = length

    def flip_bit(self, offset: int) -> None:
        """Damages the byte at *offset* of the object on its way out; what is stored stays whole."""
        self._flipped.add(offset)

    def pieces(self) -> Iterator[bytes]:
        """The bytes in order, at most READ_BYTES at a time."""
        offset = self.start
        for piece in self._intact_pieces():
            damaged = [at - offset for at in self._flipped if 0 <= at - offset < len(piece)]
            offset += len(piece)
            if damaged:
                changed = bytearray(piece)
                for at in damaged:
                    changed[at] ^= 1
                yield bytes(changed)
            else:
                yield piece

    def _intact_pieces(self) -> Iterator[bytes]:
        skip, left = self.start, self.length
        for segment in self._segments:
            if skip >= segment.size:
                skip -= segment.size
                continue
            if not left:
                return
            take = min(segment.size - skip, left)
            yield from self._pieces_of(segment, skip, take)
            left -= take
            skip = 0

    def _pieces_of(self, segment: Segment, offset: int, length: int) -> Iterator[bytes]:
        with open(self._bodies.path(segment.name), "rb", buffering=0) as file:
            if self._data_key is not None:
                number, size = file.fileno(), segment.size
                yield from chunks.read(number, self._data_key, size, offset, length)
                return
            end = offset + length
            while offset < end:
                piece = os.pread(file.fileno(), min(READ_BYTES, end - offset), offset)
                if not piece:
                    raise OSError("a stored body is shorter than its row says")
                offset += len(piece)
                yield piece

    def close(self) -> None:
        """Lets go of the files; closing twice does no harm."""
        if not self._closed:
            self._closed = True
            self._bodies.release(self._segments)
