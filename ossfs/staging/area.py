"""Where the content of files that are being written lives."""

from pathlib import Path
from typing import final

from ossfs.staging.blocks import BLOCK, BlockPool, Budget, Spawn
from ossfs.staging.scratch import ScratchFile
from ossfs.staging.staged import StagedFile

_PER_FILE = 16 * 1024 * 1024


@final
class StagingArea:
    """Makes staged files and limits the memory that all of them take.

    directory: where scratch files (without names, encrypted) take what does not fit; it must exist.
    memory: bytes of content that all files together keep in memory; one file keeps 16 MiB at most.
    A single write may exceed either by its own length. spawn: starts a task; with it, files are
    spilled by threads while they are written, ahead of need. Belongs to the thread of the event
    loop.
    """

    def __init__(self, directory: Path, memory: int, *, spawn: Spawn | None = None) -> None:
        self._directory = directory
        self._budget = Budget(per_file=_PER_FILE, total=memory, spawn=spawn)

    @property
    def memory_bytes(self) -> int:
        """Content in memory now."""
        return self._budget.memory_bytes

    @property
    def scratch_bytes(self) -> int:
        """Disk space in use now by blocks in scratch files."""
        return self._budget.scratch_bytes

    def create(self) -> StagedFile:
        """A new, empty file. The caller closes it."""
        return StagedFile(BlockPool(ScratchFile(self._directory, BLOCK), self._budget))
