"""What moves a whole directory in the bucket: all copies, then all deletes, under one intent."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import final

import trio

from ossfs.errors import Busy, NotFound, OssfsError
from ossfs.format.names import RESERVED
from ossfs.store.base import ObjectInfo, ObjectStore
from ossfs.transfer.copier import Copier
from ossfs.transfer.parallel import for_each
from ossfs.types import ObjectKey
from ossfs.vfs.journal import Journal, Lease
from ossfs.vfs.kernel import Spawn
from ossfs.vfs.recovery import Recovery
from ossfs.vfs.removal import CLEAN_UP_SECONDS

log = logging.getLogger(__name__)

DELETED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What was copied, and the copy."""

    before: ObjectInfo
    now: ObjectInfo


@dataclass(slots=True, kw_only=True)
class Move:
    """One directory on its way. begun: copies that may exist; done: nothing is taken back."""

    source: str
    goal: str
    keys: list[ObjectKey]
    replaces: bool
    lease: Lease | None
    begun: list[ObjectKey] = field(default_factory=list)
    done: bool = False


@final
class Mover:
    """Moves directories of one mount, *parallel* objects at a time."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        copier: Copier,
        journal: Journal,
        recovery: Recovery,
        spawn: Spawn,
        parallel: int,
    ) -> None:
        self._store = store
        self._copier = copier
        self._journal = journal
        self._recovery = recovery
        self._spawn = spawn
        self._parallel = parallel

    async def keys_below(self, source: str) -> list[ObjectKey]:
        """All keys of the directory, its marker among them; what ossfs keeps for itself stays
        behind.
        """
        keys: list[ObjectKey] = []
        token: str | None = None
        while True:
            page = await self._store.list_page(source, token=token)
            listed = (entry.key for entry in page.entries)
            keys += [key for key in listed if RESERVED not in key[len(source) :].split("/")]
            token = page.next_token
            if token is None:
                return keys

    @asynccontextmanager
    async def moving(
        self, source: str, goal: str, keys: list[ObjectKey], *, replaces: bool
    ) -> AsyncIterator[Move]:
        """The move of *keys*; unless it is `done` at the end, its copies are taken back.

        replaces: there is a directory at *goal*, whose marker stays in that case. Raises Busy if
        another host is about to rename the same.
        """
        move = Move(source=source, goal=goal, keys=keys, replaces=replaces, lease=None)
        # A single object, as that of an empty directory, is there under one name or under both.
        if len(keys) > 1:
            move.lease = await self._journal.begin(source, goal, replaces=replaces)
        try:
            # Asked for behind one's own intent, so that of two hosts one at least sees the other.
            if move.lease is not None and await self._recovery.conflicts(source, goal):
                raise Busy("the rename of another host is under way there")
            yield move
        finally:
            if not move.done:
                await self._take_back(move.begun)
            if move.lease is not None:
                await self._end(move.lease)

    async def _end(self, lease: Lease) -> None:
        with trio.move_on_after(CLEAN_UP_SECONDS, shield=True):
            try:
                await lease.end()
            except OssfsError as error:
                log.warning("the intent of a rename could not be deleted yet: %s", error)
                self._spawn(lease.end_patiently)

    async def copy(self, move: Move) -> dict[str, Moved]:
        """Copy every key; returns what now stands under each path below the goal.

        The first that cannot be copied ends it.
        """
        moved: dict[str, Moved] = {}

        async def copy(key: ObjectKey) -> None:
            below = key[len(move.source) :]
            if move.lease is not None:
                move.lease.check()
            try:
                info = await self._store.head(key)
                if below or not move.replaces:
                    move.begun.append(ObjectKey(move.goal + below))
                stored = await self._copier.copy(info, ObjectKey(move.goal + below))
            except NotFound:
                return  # another client deleted it meanwhile
            moved[below] = Moved(before=info, now=stored)

        # The marker is the last one, so that a directory in its place stays what it is until
        # nothing else can fail.
        inner = [key for key in move.keys if key != move.source]
        if inner:
            await for_each(inner, copy, limit=min(self._parallel, len(inner)))
        if len(inner) < len(move.keys):
            await copy(ObjectKey(move.source))
        if move.lease is not None:
            await move.lease.copied()
        return moved

    async def delete(self, move: Move) -> None:
        """Delete the sources; the move is done, whatever comes of it."""
        move.done = True
        for start in range(0, len(move.keys), DELETED_AT_ONCE):
            if move.lease is not None:
                move.lease.check()
            await self._store.delete_many(move.keys[start : start + DELETED_AT_ONCE])

    async def _take_back(self, copies: list[ObjectKey]) -> None:
        if not copies:
            return
        with trio.move_on_after(CLEAN_UP_SECONDS, shield=True):
            try:
                await self._store.delete_many(copies)
            except OssfsError as error:
                log.warning(
                    "%d copies of a failed rename stay in the bucket: %s", len(copies), error
                )
