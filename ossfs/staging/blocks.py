"""Blocks of one staged file, in memory or in the scratch file, which its snapshots share."""

from collections import OrderedDict
from typing import final

from ossfs.staging.scratch import ScratchFile
from ossfs.types import Buffer

BLOCK = 64 * 1024
"""Bytes of a block: what is copied on write, spilled and encrypted as one."""

_NO_SLOT = -1


@final
class Block:
    """Content of one block, at most BLOCK bytes; what lies behind its length reads as zeros.

    owners: the staged file and each snapshot that refers to it; only a block with one owner is ever
    written, which the staged file does. content: None while the block is in the scratch file.
    """

    __slots__ = ("content", "length", "owners", "serial", "slot")

    def __init__(self) -> None:
        self.content: bytearray | None = None
        self.length = 0
        self.owners = 1
        self.slot = _NO_SLOT
        self.serial = 0


@final
class Budget:
    """Bytes that the staged files of one area hold in memory and on disk, and who gives way.

    per_file: how much of one file stays in memory; total: of all files together.
    """

    __slots__ = ("_holders", "memory_bytes", "per_file", "scratch_bytes", "total")

    def __init__(self, *, per_file: int, total: int) -> None:
        self.per_file = min(per_file, total)
        self.total = total
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
        while pool.memory_bytes + incoming > self.per_file and pool.spill_oldest():
            pass
        while self.memory_bytes + incoming > self.total:
            holder = next(iter(self._holders))
            if not holder.spill_oldest():
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

    __slots__ = ("_budget", "_resident", "_scratch", "_serial", "_users", "memory_bytes")

    def __init__(self, scratch: ScratchFile, budget: Budget) -> None:
        self._scratch = scratch
        self._budget = budget
        self._resident: OrderedDict[Block, None] = OrderedDict()
        self._serial = 0
        self._users = 0
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
            content = bytearray(self.read(block))
            self.put(block, content)
        return content

    def read(self, block: Block) -> Buffer:
        """Content of *block*, not to be kept over the next write. Raises IntegrityError."""
        content = block.content
        if content is not None:
            return content
        return self._scratch.read(block.slot, block.serial, block.length)

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

    def spill_oldest(self) -> bool:
        """Move the least recently written block to the scratch file; False if none is in memory.

        Raises StagingFull; the block then stays in memory.
        """
        block = next(iter(self._resident), None)
        if block is None:
            return False
        assert block.content is not None
        self._serial += 1
        slot = self._scratch.write(self._serial, block.content)
        block.serial = self._serial
        block.slot = slot
        block.content = None
        del self._resident[block]
        self._account(-block.length)
        self._budget.scratch_bytes += self._scratch.slot_bytes
        return True

    def _free_slot(self, block: Block) -> None:
        if block.slot != _NO_SLOT:
            self._scratch.free(block.slot)
            self._budget.scratch_bytes -= self._scratch.slot_bytes
            block.slot = _NO_SLOT

    def _account(self, delta: int) -> None:
        self.memory_bytes += delta
        self._budget.memory_bytes += delta
