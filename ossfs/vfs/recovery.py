"""Renames of directories that a crash cut short: undone before all was copied, else finished.

Nothing is deleted but what stands under the other name as well, so that what other clients did
meanwhile is never lost; such objects may stay under both names.
"""

import logging
from typing import final

import trio

from ossfs import log as names_in_log
from ossfs.errors import NotFound, OssfsError
from ossfs.format.names import RESERVED
from ossfs.store.base import ListEntry, ObjectInfo, ObjectStore
from ossfs.transfer.parallel import for_each
from ossfs.types import ObjectKey
from ossfs.vfs.journal import LEASE, LONGEST_PAUSE, Intent, Journal
from ossfs.vfs.kernel import Spawn
from ossfs.vfs.owner import Owner

log = logging.getLogger(__name__)

DELETED_AT_ONCE = 1000


@final
class Recovery:
    """Acts on the intents of a journal whose owners are gone."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        journal: Journal,
        owner: Owner,
        spawn: Spawn,
        parallel: int,
    ) -> None:
        self._store = store
        self._journal = journal
        self._owner = owner
        self._spawn = spawn
        self._parallel = parallel
        self._watched: set[ObjectKey] = set()

    async def run(self) -> None:
        """At the beginning of a mount: deal with what is known to be abandoned, watch the rest.

        Never raises an OssfsError: what fails now is tried again beside the mount.
        """
        try:
            intents = await self._journal.intents()
        except OssfsError as error:
            log.warning("the journal of renames cannot be read: %s", error)
            return
        for intent in intents:
            if not self._owner.is_gone(intent.owner):
                self.watch(intent)
                continue
            try:
                await self._settle(intent)
            except OssfsError as error:
                log.warning("a rename that was cut short could not be settled yet: %s", error)
                self.watch(intent)

    async def conflicts(self, *prefixes: str) -> bool:
        """Whether the rename of another owner touches one of *prefixes*; such are then watched."""
        intents = await self._journal.intents()
        foreign = [intent for intent in intents if intent.owner != self._owner.name]
        others = [one for one in foreign if any(one.touches(prefix) for prefix in prefixes)]
        for intent in others:
            self.watch(intent)
        return bool(others)

    def watch(self, intent: Intent) -> None:
        """Settle the rename once its owner has been silent for a whole lease."""
        if intent.key not in self._watched:
            self._watched.add(intent.key)
            self._spawn(self._watch, intent)

    async def _watch(self, intent: Intent) -> None:
        pause = LEASE
        try:
            while True:
                gone = self._owner.is_gone(intent.owner)
                if not gone:
                    await trio.sleep(pause)  # a living owner renews its intent by then
                try:
                    now = await self._journal.read(intent.key)
                    if now is None:
                        return
                    if now == intent:
                        await self._settle(intent)
                        return
                    intent, pause = now, LEASE
                except OssfsError as error:
                    log.warning("a rename that was cut short could not be settled yet: %s", error)
                    pause = min(2 * pause, 10 * LONGEST_PAUSE)
                    await trio.sleep(LONGEST_PAUSE)  # back-off, for a dead owner too
        finally:
            self._watched.discard(intent.key)

    async def _settle(self, intent: Intent) -> None:
        source, goal = names_in_log.name(intent.source), names_in_log.name(intent.goal)
        if intent.copied:
            log.warning("finishing the rename of %s to %s that was cut short", source, goal)
            await self._delete(intent.source, intent.goal)
        else:
            log.warning("undoing the rename of %s to %s that was cut short", source, goal)
            await self._delete(intent.goal, intent.source, keep_marker=intent.replaces)
        await self._journal.forget(intent)

    async def _delete(self, doomed: str, kept: str, *, keep_marker: bool = False) -> None:
        """Delete all below *doomed* that stands below *kept* as well."""
        there = {entry.key[len(kept) :]: entry for entry in await self._listed(kept)}
        pairs = [
            (entry, there[below])
            for entry in await self._listed(doomed)
            if (below := entry.key[len(doomed) :]) in there and (below or not keep_marker)
        ]
        # Files first, so that a directory has its marker as long as something is in it.
        pairs.sort(key=lambda pair: pair[0].key.endswith("/"))
        for start in range(0, len(pairs), DELETED_AT_ONCE):
            twins: list[ObjectKey] = []

            async def compare(
                pair: tuple[ListEntry, ListEntry], twins: list[ObjectKey] = twins
            ) -> None:
                if await self._are_twins(*pair):
                    twins.append(pair[0].key)
                else:
                    log.warning("%s differs and stays", names_in_log.name(pair[0].key))

            batch = pairs[start : start + DELETED_AT_ONCE]
            await for_each(batch, compare, limit=min(self._parallel, len(batch)))
            if twins:
                await self._store.delete_many(twins)

    async def _are_twins(self, one: ListEntry, other: ListEntry) -> bool:
        """Whether one is a copy of the other; of markers, which hold nothing, any two are."""
        if one.key.endswith("/"):
            return True
        if one.size != other.size:
            return False
        if one.size and one.etag == other.etag:
            return True
        # Empty, or joined of other parts: the headers decide, in which each upload has its own key.
        try:
            return _is_copy(await self._store.head(one.key), await self._store.head(other.key))
        except NotFound:
            return False

    async def _listed(self, prefix: str) -> list[ListEntry]:
        found: list[ListEntry] = []
        token: str | None = None
        while True:
            page = await self._store.list_page(prefix, token=token)
            found += [
                entry
                for entry in page.entries
                if RESERVED not in entry.key[len(prefix) :].split("/")
            ]
            token = page.next_token
            if token is None:
                return found


def _is_copy(one: ObjectInfo, other: ObjectInfo) -> bool:
    same_bytes = one.etag == other.etag or (one.crc64 is not None and one.crc64 == other.crc64)
    return one.size == other.size and same_bytes and dict(one.metadata) == dict(other.metadata)
