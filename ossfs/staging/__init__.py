"""Content of files that are being written, before it is stored in the bucket.

    area = StagingArea(directory, memory=128 * MIB)
    staged = area.create()
    staged.pwrite(0, b"hello")          # and pread, truncate, size
    frozen = staged.freeze()            # a snapshot; later writes do not reach it
    frozen.pread(0, 5)                  # from any thread
    frozen.close(), staged.close()      # give back memory and disk

Rules of this package
- Everything but `FrozenFile.pread` and `FrozenFile.size` belongs to the thread of the event loop.
- The bytes of a frozen file never change: a block that a snapshot refers to is never written again.
- What reaches the disk is encrypted with a key that exists in memory only, in a file without a
name.
"""

from ossfs.staging.area import StagingArea
from ossfs.staging.staged import FrozenFile, StagedFile

__all__ = ["FrozenFile", "StagedFile", "StagingArea"]
