"""Everything below a prefix, several objects at a time, until it is done or told to stop."""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import final

import trio

from ossfs.errors import NotFound, OssfsError, StoreError
from ossfs.format.names import RESERVED
from ossfs.store.base import ObjectStore
from ossfs.transfer.convert.conversion import Conversion, Outcome, Result
from ossfs.transfer.convert.workspace import Workspace
from ossfs.transfer.describing import pages
from ossfs.types import ObjectKey


@dataclass(slots=True)
class Sum:
    """Objects and their bytes."""

    objects: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        """Count one more."""
        self.objects += 1
        self.bytes += size


@dataclass(slots=True)
class Totals:
    """What came out so far. stopped: before everything was looked at."""

    by_outcome: dict[Outcome, Sum] = field(default_factory=lambda: {o: Sum() for o in Outcome})
    leftovers: int = 0
    stopped: bool = False

    def add(self, result: Result) -> None:
        """Count one object."""
        self.by_outcome[result.outcome].add(result.size)


Told = Callable[[Result], None]
"""Called with each result, in the order in which they come out."""


@final
class Converter:
    """One run. jobs: objects at a time."""

    def __init__(
        self, store: ObjectStore, conversion: Conversion, workspace: Workspace, *, jobs: int
    ) -> None:
        self._store = store
        self._conversion = conversion
        self._workspace = workspace
        self._jobs = jobs
        self._scope = trio.CancelScope()
        self.totals = Totals()

    def stop(self) -> None:
        """Begin nothing more, and give up what is not yet being put in its place."""
        self.totals.stopped = True
        self._scope.cancel()

    async def run(self, key: str, *, dry_run: bool, told: Told) -> None:
        """Convert the object *key* and everything below it; "" for the whole bucket.

        Raises StoreError: the objects cannot be listed, or nothing can be written beside them.
        NotFound: there are none.
        """
        if dry_run:
            await self._convert_all(key, dry_run, told)
            return
        try:
            self.totals.leftovers = await self._workspace.open()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._workspace.keep)
                failure = await self._caught(key, told)
                nursery.cancel_scope.cancel()
        finally:
            await self._workspace.close()
        if failure is not None:
            raise failure

    async def count(self, key: str, told: Callable[[int, int], None]) -> None:
        """Count the objects that there are and their bytes, for a sight of the end."""
        objects = size = 0
        async with aclosing(pages(self._store, _below(key))) as listing:
            async for page in listing:
                own = [entry for entry in page.entries if not _is_internal(entry.key)]
                objects += len(own)
                size += sum(entry.size for entry in own)
        told(objects, size)

    async def _caught(self, key: str, told: Told) -> StoreError | None:
        """A nursery would wrap the error in a group."""
        try:
            await self._convert_all(key, False, told)
        except StoreError as error:
            return error
        return None

    async def _convert_all(self, key: str, dry_run: bool, told: Told) -> None:
        failures: list[OssfsError] = []

        async def work(keys: "trio.MemoryReceiveChannel[ObjectKey]") -> None:
            async with keys:
                async for one in keys:
                    result = await self._conversion.convert(one, dry_run=dry_run)
                    self.totals.add(result)
                    told(result)

        async def feed(keys: "trio.MemorySendChannel[ObjectKey]") -> None:
            async with keys:
                try:
                    await self._feed(key, keys)
                except StoreError as error:
                    failures.append(error)

        sending, receiving = trio.open_memory_channel[ObjectKey](0)
        with self._scope:
            async with trio.open_nursery() as nursery:
                for _ in range(self._jobs):
                    nursery.start_soon(work, receiving.clone())
                receiving.close()
                nursery.start_soon(feed, sending)
        if failures:
            raise failures[0]

    async def _feed(self, key: str, keys: "trio.MemorySendChannel[ObjectKey]") -> None:
        """The keys in order; nobody waits for a page that is not needed yet."""
        found = False
        if key and not key.endswith("/") and await self._exists(ObjectKey(key)):
            found = True
            await keys.send(ObjectKey(key))
        async with aclosing(pages(self._store, _below(key))) as listing:
            async for page in listing:
                for entry in page.entries:
                    if not _is_internal(entry.key):
                        found = True
                        await keys.send(entry.key)
        if key and not found:
            raise NotFound("there is no such object, and nothing below it")

    async def _exists(self, key: ObjectKey) -> bool:
        try:
            await self._store.head(key)
        except NotFound:
            return False
        return True


def _below(key: str) -> str:
    return key if not key or key.endswith("/") else f"{key}/"


def _is_internal(key: str) -> bool:
    return RESERVED in key.split("/")
