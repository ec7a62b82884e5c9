"""Blocks of one staged file, in memory or in the scratch file, which its snapshots share."""

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import final

import trio

from ossfs.errors import OssfsError, StagingFull
from ossfs.staging.scratch import ScratchFile
from ossfs.types import Buffer

BLOCK = 256 * 1024
"""Bytes of a block: what is copied on write, spilled and encrypted as one."""

FULL_SPILL = 8
"""Blocks that go to the scratch file together: long enough for the disk, short for a thread."""

_NO_SLOT = -1
_WRITERS = 2
"""Threads that write to scratch files at a time."""

Spawn = Callable[..., object]
"""Starts an async function with its arguments in a nursery that outlives the staged files."""

log = logging.getLogger(__name__)


@final
class Block:
    """Content of one block, at most BLOCK bytes; what lies behind its length reads as zeros.

    owners: the staged file, each snapshot that refers to it, and whoever is writing it to the
    scratch file; only a block with one owner is ever written, which the staged file does. content:
    None while the block is in the scratch file.
    """

    __slots__ = ("content", "length", "owners", "serial", "slot")

    def __init__(self) -> None:
        self.content: bytearray | None = None
        self.length = 0
        self.owners = 1
        self.slot = _NO_SLOT
        self.serial = 0


@dataclass(frozen=True, slots=True)
class _Spill:
    """Blocks on their way to the scratch file."""

    blocks: list[Block]
    contents: list[bytearray]
    serials: list[int]
    slots: list[int]


@final
class Budget:
    """Bytes that the staged files of one area hold in memory and on disk, and who gives way.

    per_file: how much of one file stays in memory; total: of all files together; spawn: None if
    files are to be spilled only while somebody writes to them.
    """

    __slots__ = (
        "_holders",
        "memory_bytes",
        "per_file",
        "scratch_bytes",
        "spawn",
        "threads",
        "total",
    )

    def __init__(self, *, per_file: int, total: int, spawn: Spawn | None = None) -> None:
        self.per_file = min(per_file, total)
        self.total = total
        self.spawn = spawn
        self.threads = trio.CapacityLimiter(_WRITERS)
        self.memory_bytes = 0
        self.scratch_bytes = 0
        self._holders: OrderedDict[BlockPool, None] = OrderedDict()

    def make_room(self, pool: "BlockPool", incoming: int) -> None:
        """Spill until *incoming* more bytes of *pool* fit, as far as there is something to spill.

        Its own oldest blocks go first, then those of the file that was not written for the longest
        time. Raises StagingFull, before anything has changed but the place of some blocks.
        """
        self._holders[pool] = None
        self._holders.move_to_end(pool)
        while (excess := pool.memory_bytes + incoming - self.per_file) > 0:
            if not pool.spill_oldest(excess):
                break
        while (excess := self.memory_bytes + incoming - self.total) > 0:
            holder = next(iter(self._holders))
            if not holder.spill_oldest(excess):
                if holder is pool:
                    return
                del self._holders[holder]

    def forget(self, pool: "BlockPool") -> None:
        """The pool holds nothing any more."""
        self._holders.pop(pool, None)


@final
class BlockPool:
    """All blocks of one staged file and its snapshots.

    Belongs to the thread of the event loop, except `read`, which any thread may call for a block
    that is frozen, i.e. that a snapshot owns. Such a block is never written; it may be spilled
    while it is read, which takes two steps in this order: the slot is set, then the content is let
    go. A reader takes the content first and looks for the slot only if there was none, so it finds
    one of them. The slot stays until the last owner is gone, and a snapshot is not closed while it
    is read.
    """

    __slots__ = (
        "_budget",
        "_progress",
        "_resident",
        "_scratch",
        "_serial",
        "_users",
        "_writing",
        "memory_bytes",
    )

    def __init__(self, scratch: ScratchFile, budget: Budget) -> None:
        self._scratch = scratch
        self._budget = budget
        self._resident: OrderedDict[Block, None] = OrderedDict()
        self._serial = 0
        self._users = 0
        self._writing = False
        self._progress = trio.Event()
        self.memory_bytes = 0

    def enter(self) -> None:
        """One more file or snapshot uses this pool."""
        self._users += 1

    def leave(self) -> None:
        """One less; the last one, having released its blocks, closes the scratch file."""
        self._users -= 1
        if not self._users:
            self._scratch.close()
            self._budget.forget(self)

    def make_room(self, incoming: int) -> None:
        """See Budget.make_room."""
        self._budget.make_room(self, incoming)

    async def settle(self, incoming: int) -> None:
        """Wait as long as blocks that are on their way to the scratch file would make room for
        *incoming* bytes.
        """
        budget = self._budget
        while self._writing and (
            self.memory_bytes + incoming > budget.per_file
            or budget.memory_bytes + incoming > budget.total
        ):
            await self._progress.wait()

    def write_behind(self) -> None:
        """Begin to spill in a thread, if half of what may be kept in memory is taken."""
        if self._budget.spawn is not None and not self._writing and self._takes_much():
            self._writing = True
            self.enter()
            self._budget.spawn(self._write_behind)

    def new(self, content: bytearray) -> Block:
        """A block in memory with one owner."""
        block = Block()
        self.put(block, content)
        return block

    def put(self, block: Block, content: bytearray) -> None:
        """Give a block that has one owner a new content, or tell that its content was changed."""
        if block.content is None:
            before = 0
            self._free_slot(block)
        else:
            before = block.length
        block.content = content
        block.length = len(content)
        self._account(block.length - before)
        self._resident[block] = None
        self._resident.move_to_end(block)

    def load(self, block: Block) -> bytearray:
        """Bring a block with one owner into memory and return its content, which may be changed.

        `put` must be told of the change. Raises IntegrityError.
        """
        content = block.content
        if content is None:
            content = self._scratch.read(block.slot, block.serial, block.length)
            self.put(block, content)
        return content

    def read(self, block: Block) -> Buffer:
        """Content of *block*, not to be kept over the next write. Raises IntegrityError."""
        content = block.content
        if content is not None:
            return content
        return self._scratch.read(block.slot, block.serial, block.length)

    def read_into(self, blocks: list[Block], out: memoryview) -> int:
        """Fill *out* with the content of full *blocks*, of the first and of those behind it that
        follow one another in the scratch file as well; returns how many. Raises IntegrityError.
        """
        first = blocks[0]
        content = first.content
        if content is not None:
            out[:BLOCK] = content
            return 1
        serials = [first.serial]
        for number, block in enumerate(blocks[1:], 1):
            if block.content is not None or block.slot != first.slot + number:
                break
            serials.append(block.serial)
        self._scratch.read_into(first.slot, serials, out[: len(serials) * BLOCK])
        return len(serials)

    def release(self, block: Block) -> None:
        """One owner less; the last one frees memory or slot."""
        block.owners -= 1
        if block.owners:
            return
        if block.content is None:
            self._free_slot(block)
        else:
            del self._resident[block]
            self._account(-block.length)

    def spill_oldest(self, wanted: int) -> bool:
        """Move the least recently written blocks to the scratch file, about *wanted* bytes or a
        full spill; False if none is in memory.

        Raises StagingFull if there is no room for a single one; they then stay in memory.
        """
        count = min(-(-wanted // BLOCK), FULL_SPILL)
        try:
            return self._spill(count)
        except StagingFull:
            if count == 1:
                raise
            return self._spill(1)

    def _spill(self, count: int) -> bool:
        spill = self._begin(count)
        if spill is None:
            return False
        written = False
        try:
            self._scratch.write(spill.slots, spill.serials, spill.contents)
            written = True
        finally:
            self._finish(spill, written=written)
        return True

    def _takes_much(self) -> bool:
        budget = self._budget
        if self.memory_bytes > budget.per_file // 2:
            return True
        return budget.memory_bytes > budget.total // 2 and len(self._resident) >= FULL_SPILL

    async def _write_behind(self) -> None:
        try:
            while self._takes_much() and (spill := self._begin(FULL_SPILL)) is not None:
                written = False
                try:
                    await trio.to_thread.run_sync(
                        self._scratch.write,
                        spill.slots,
                        spill.serials,
                        spill.contents,
                        limiter=self._budget.threads,
                    )
                    written = True
                finally:
                    self._finish(spill, written=written)
                    self._progress.set()
                    self._progress = trio.Event()
        except OssfsError as error:
            # Nothing is lost, and whoever writes next meets the same error.
            log.debug("staged content stays in memory: %s", error)
        finally:
            self._writing = False
            self._progress.set()
            self._progress = trio.Event()
            self.leave()

    def _begin(self, count: int) -> _Spill | None:
        """The oldest *count* blocks, which nobody changes any more until `_finish`."""
        blocks = list(islice(self._resident, count))
        if not blocks:
            return None
        slots = self._scratch.reserve(len(blocks))
        contents: list[bytearray] = []
        for block in blocks:
            assert block.content is not None
            contents.append(block.content)
            block.owners += 1
            del self._resident[block]
        serials = list(range(self._serial + 1, self._serial + 1 + len(blocks)))
        self._serial += len(blocks)
        return _Spill(blocks, contents, serials, slots)

    def _finish(self, spill: _Spill, *, written: bool) -> None:
        """Let the content go if it was *written*, else have the blocks where they were."""
        for block, serial, slot in reversed(
            list(zip(spill.blocks, spill.serials, spill.slots, strict=True))
        ):
            if written:
                block.serial = serial
                block.slot = slot
                block.content = None
                self._account(-block.length)
                self._budget.scratch_bytes += self._scratch.slot_bytes
            else:
                self._scratch.free(slot)
                self._resident[block] = None
                self._resident.move_to_end(block, last=False)
            self.release(block)

    def _free_slot(self, block: Block) -> None:
        if block.slot != _NO_SLOT:
            self._scratch.free(block.slot)
            self._budget.scratch_bytes -= self._scratch.slot_bytes
            block.slot = _NO_SLOT

    def _account(self, delta: int) -> None:
        self.memory_bytes += delta
        self._budget.memory_bytes += delta
