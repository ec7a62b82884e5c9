"""Content of one stored version from beginning to end, a few MiB in memory at a time."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from ossfs.crypto.datakey import FAILED
from ossfs.errors import IntegrityError
from ossfs.staging import FrozenFile, StagingArea
from ossfs.store.base import ObjectStore
from ossfs.transfer.limits import TransferLimits
from ossfs.transfer.version import Version

WINDOW = 4 << 20


class Plaintext:
    """Reads versions of one store; keeps nothing of what it has read.

    Everything raises Stale (no longer that version), IntegrityError, StoreError.
    """

    def __init__(self, store: ObjectStore, limits: TransferLimits) -> None:
        self._store = store
        self._limits = limits

    async def windows(self, version: Version) -> AsyncGenerator[memoryview, None]:
        """The content in order, checked where there are tags."""
        count = -(-version.info.size // version.chunk)
        step = max(1, WINDOW // version.chunk)
        for first in range(0, count, step):
            yield await self._window(version, first, min(first + step, count))

    async def staged(self, version: Version, area: StagingArea) -> FrozenFile:
        """The content as a frozen file, which the caller closes. Raises StagingFull."""
        file = area.create()
        try:
            async with aclosing(self.windows(version)) as windows:
                async for window in windows:
                    file.pwrite(file.size, window)
            return file.freeze()
        finally:
            file.close()

    async def is_same(self, one: Version, other: Version) -> bool:
        """Whether both hold the same content."""
        if one.info.size != other.info.size:
            return False
        async with aclosing(self.windows(one)) as ones, aclosing(self.windows(other)) as others:
            async for window in ones:
                if window != await anext(others):
                    return False
        return True

    async def _window(self, version: Version, first: int, end: int) -> memoryview:
        length = version.span(first, end)[1]
        async with self._limits.memory.hold(length):
            async with self._limits.requests:
                stored = await version.fetch(self._store, first, end)
            extent = await version.content(self._limits, first, stored)
        if extent.lacking or len(extent.view) != length:
            raise IntegrityError(FAILED)
        return extent.view
