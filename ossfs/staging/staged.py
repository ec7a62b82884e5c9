"""One file that is being written, and its snapshots."""

from collections.abc import Iterator
from typing import final

from ossfs.staging.blocks import BLOCK, Block, BlockPool
from ossfs.types import Buffer

_Table = dict[int, Block]

_ZEROS = bytes(BLOCK)


@final
class FrozenFile:
    """Content of a staged file at one moment: `StagedFile.freeze` makes it, nothing writes to it.

    `pread` and `size` may be used from any thread, also while the staged file is written. `close`
    belongs to the thread of the event loop and comes after the last `pread` has returned.
    """

    __slots__ = ("_closed", "_pool", "_size", "_table")

    def __init__(self, pool: BlockPool, table: _Table, size: int) -> None:
        self._pool = pool
        self._table = dict(table)
        for block in table.values():
            block.owners += 1
        self._size = size
        self._closed = False
        pool.enter()

    @property
    def size(self) -> int:
        """Bytes of content."""
        return self._size

    def pread(self, offset: int, length: int) -> bytes:
        """Bytes [offset, offset + length), clipped at the end; holes read as zeros.

        Raises IntegrityError if the scratch file was damaged.
        """
        if self._closed:
            raise ValueError("the snapshot is closed")
        return _read(self._pool, self._table, offset, min(offset + length, self._size))

    def pread_into(self, offset: int, out: memoryview) -> None:
        """Fill *out* with the content from *offset* on; it must not reach behind the end.

        As `pread`, without the allocations: what reads a whole file does it with one buffer.
        """
        if self._closed or offset + len(out) > self._size:
            raise ValueError("the snapshot is closed or shorter")
        position = 0
        while position < len(out):
            run = self._full_blocks(offset + position, len(out) - position)
            if run:
                position += BLOCK * self._pool.read_into(run, out[position:])
                continue
            number = (offset + position) // BLOCK
            end = min(offset + len(out), (number + 1) * BLOCK)
            for piece in _pieces(self._pool, self._table, offset + position, end):
                out[position : position + len(piece)] = piece
                position += len(piece)

    def _full_blocks(self, offset: int, length: int) -> list[Block]:
        """The blocks without holes that [offset, offset + length) begins with, wholly in it."""
        number, start = divmod(offset, BLOCK)
        found: list[Block] = []
        while not start and (len(found) + 1) * BLOCK <= length:
            block = self._table.get(number + len(found))
            if block is None or block.length != BLOCK:
                break
            found.append(block)
        return found

    def close(self) -> None:
        """Give up what only this snapshot refers to; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        for block in self._table.values():
            self._pool.release(block)
        self._table = {}
        self._pool.leave()


@final
class StagedFile:
    """Content of one file that is being written: random access, any size, holes cost nothing.

    Made by `StagingArea.create`. Every method belongs to the thread of the event loop and returns
    within the time that copying (and, beyond the memory, encrypting) the bytes takes.
    """

    __slots__ = ("_closed", "_pool", "_size", "_table")

    def __init__(self, pool: BlockPool) -> None:
        self._pool = pool
        self._table: _Table = {}
        self._size = 0
        self._closed = False
        pool.enter()

    @property
    def size(self) -> int:
        """Bytes of content."""
        return self._size

    def pread(self, offset: int, length: int) -> bytes:
        """Bytes [offset, offset + length), clipped at the end; holes read as zeros.

        Raises IntegrityError if the scratch file was damaged.
        """
        self._check_open()
        return _read(self._pool, self._table, offset, min(offset + length, self._size))

    async def settle(self, incoming: int) -> None:
        """Wait until a write of *incoming* bytes need not wait for the scratch file itself, if a
        thread is at it. The file may be another one afterwards.
        """
        await self._pool.settle(incoming)

    def pwrite(self, offset: int, data: Buffer) -> None:
        """Put *data* at *offset*; a gap behind the end becomes a hole.

        Raises StagingFull or IntegrityError (the scratch file was damaged); the content is then
        what it was.
        """
        self._check_open()
        view = memoryview(data)
        if not view:
            return
        end = offset + len(view)
        self._pool.make_room(len(view))
        # Whatever can fail comes before the first byte is changed: the blocks that keep a part of
        # their content, which can only be the first and the last, are brought into memory.
        first, last = offset // BLOCK, (end - 1) // BLOCK
        for number in {first, last}:
            begin = number * BLOCK
            if not self._is_covered(number, offset - begin, end - begin):
                self._private(number)
        for number in range(first, last + 1):
            begin = number * BLOCK
            start = max(offset - begin, 0)
            self._write_block(number, start, view[begin + start - offset : begin + BLOCK - offset])
        self._size = max(self._size, end)
        self._pool.write_behind()

    def truncate(self, size: int) -> None:
        """Cut the content off at *size*, or let it grow by a hole. Raises IntegrityError."""
        self._check_open()
        if size < self._size:
            keep = size % BLOCK
            if keep and size // BLOCK in self._table:
                content = self._private(size // BLOCK)
                del content[keep:]
                self._pool.put(self._table[size // BLOCK], content)
            for number in self._numbers_from(-(-size // BLOCK)):
                self._pool.release(self._table.pop(number))
        self._size = size

    def freeze(self) -> FrozenFile:
        """A snapshot of the content; takes time by the number of blocks, copies none."""
        self._check_open()
        return FrozenFile(self._pool, self._table, self._size)

    def close(self) -> None:
        """Drop the content, except what snapshots refer to; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        for block in self._table.values():
            self._pool.release(block)
        self._table = {}
        self._pool.leave()

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("the staged file is closed")

    def _is_covered(self, number: int, start: int, stop: int) -> bool:
        """Whether writing [start, stop) of the block leaves nothing of what it holds."""
        block = self._table.get(number)
        return block is None or (start <= 0 and stop >= block.length)

    def _write_block(self, number: int, start: int, piece: memoryview) -> None:
        block = self._table.get(number)
        if self._is_covered(number, start, start + len(piece)):
            content = bytearray(piece)
            if start:
                content[:0] = bytes(start)
            if block is not None and block.owners == 1:
                self._pool.put(block, content)
                return
            self._table[number] = self._pool.new(content)
            if block is not None:
                self._pool.release(block)
            return
        content = self._private(number)
        if start > len(content):
            content.extend(bytes(start - len(content)))
        content[start : start + len(piece)] = piece
        self._pool.put(self._table[number], content)

    def _private(self, number: int) -> bytearray:
        """Content of an existing block, in memory and open to changes.

        It is a copy, in a new block, if a snapshot refers to the old one.
        """
        block = self._table[number]
        if block.owners == 1:
            return self._pool.load(block)
        content = bytearray(self._pool.read(block))
        self._table[number] = self._pool.new(content)
        self._pool.release(block)
        return content

    def _numbers_from(self, first: int) -> list[int]:
        """Numbers of the existing blocks from *first* on."""
        end = -(-self._size // BLOCK)
        if end - first < len(self._table):
            return [number for number in range(first, end) if number in self._table]
        return [number for number in self._table if number >= first]


def _read(pool: BlockPool, table: _Table, offset: int, end: int) -> bytes:
    """Bytes [offset, end) of what *table* holds, zeros where it holds nothing."""
    return b"".join(_pieces(pool, table, offset, end))


def _pieces(pool: BlockPool, table: _Table, offset: int, end: int) -> Iterator[Buffer]:
    """The same in pieces, each of which lies in one block."""
    # No memoryviews here: one that outlives the call, as in a traceback, would forbid the block
    # to grow.
    position = offset
    while position < end:
        number, start = divmod(position, BLOCK)
        stop = min(start + end - position, BLOCK)
        block = table.get(number)
        content = b"" if block is None else pool.read(block)
        piece = content if start == 0 and len(content) <= stop else content[start:stop]
        if piece:
            yield piece
        missing = stop - start - len(piece)
        if missing:
            yield _ZEROS if missing == BLOCK else bytes(missing)
        position += stop - start
