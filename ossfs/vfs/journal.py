"""Renames of directories that are under way, as objects in the bucket: `.ossfs/journal/<id>`.

An intent is stored before the first copy is made, marked as copied once all copies are there, and
deleted with the last source. Whoever finds one whose owner is gone undoes it in the first case and
finishes it in the second (see `recovery`). An owner that is alive stores it again and again, so one
that stays the same for a whole lease has lost its owner.
"""

import json
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar, final

import trio

from ossfs.errors import NotFound, OssfsError, Unavailable
from ossfs.format.names import KEY_MAX, RESERVED
from ossfs.store.base import ObjectStore, PutOptions, ServerEncryption
from ossfs.types import ObjectKey
from ossfs.vfs.kernel import Spawn
from ossfs.vfs.owner import Owner

T = TypeVar("T")

log = logging.getLogger(__name__)

VERSION = 1
LEASE = 60.0
"""Seconds that an intent counts without being stored again."""

RENEWAL = LEASE / 4
LONGEST = 16_384
"""Bytes of an intent; two keys and the name of an owner are far less."""

LONGEST_PAUSE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One rename of a directory: from all keys that begin with *source* to *goal*.

    Both end in a slash. replaces: an empty directory stood at *goal*. copied: all copies are there,
    and sources are being deleted. beat: changes whenever the owner says that it is alive.
    """

    key: ObjectKey
    source: str
    goal: str
    replaces: bool
    owner: str
    copied: bool = False
    beat: int = 0

    def to_json(self) -> bytes:
        """The body of the object."""
        fields = {
            "version": VERSION,
            "source": self.source,
            "goal": self.goal,
            "replaces": self.replaces,
            "owner": self.owner,
            "copied": self.copied,
            "beat": self.beat,
        }
        return json.dumps(fields, sort_keys=True).encode()

    def touches(self, prefix: str) -> bool:
        """Whether something below *prefix* is moved, or all that is there."""
        ours = (self.source, self.goal)
        return any(prefix.startswith(own) or own.startswith(prefix) for own in ours)


def parse(key: ObjectKey, body: bytes, base: str) -> Intent:
    """The intent stored under *key* in a mount whose keys begin with *base*.

    What comes from the bucket is hostile: raises ValueError for anything that this mount could not
    have stored.
    """
    try:
        fields = json.loads(body)
        if fields["version"] != VERSION:
            raise ValueError("of another version")
        intent = Intent(
            key=key,
            source=_directory(fields["source"], base),
            goal=_directory(fields["goal"], base),
            replaces=_typed(fields["replaces"], bool),
            owner=_typed(fields["owner"], str),
            copied=_typed(fields["copied"], bool),
            beat=_typed(fields["beat"], int),
        )
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("not an intent") from error
    if intent.goal.startswith(intent.source) or intent.source.startswith(intent.goal):
        raise ValueError("one directory lies in the other")
    return intent


def _directory(value: object, base: str) -> str:
    text: str = _typed(value, str)
    below = text.removeprefix(base)
    parts = below.removesuffix("/").split("/")
    if not text.startswith(base) or not below.endswith("/") or RESERVED in parts or "" in parts:
        raise ValueError("not a directory of this mount")
    if len(text.encode()) > KEY_MAX:
        raise ValueError("too long a key")
    return text


def _typed(value: object, kind: type[T]) -> T:
    if type(value) is not kind:
        raise ValueError("a field of another type")
    return value


@final
class Journal:
    """The intents of one mount whose keys begin with *base*. clock: seconds, monotonic.

    encryption: asked of OSS for them; a bucket may refuse what asks for none.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        encryption: ServerEncryption | None,
        base: str,
        owner: Owner,
        clock: Callable[[], float],
        spawn: Spawn,
    ) -> None:
        self._store = store
        self._options = PutOptions(encryption=encryption)
        self._base = base
        self._owner = owner
        self._clock = clock
        self._spawn = spawn
        self._left: list[Lease] = []

    @property
    def prefix(self) -> str:
        """What the keys of intents begin with."""
        return f"{self._base}{RESERVED}/journal/"

    async def intents(self) -> list[Intent]:
        """All that stand in the bucket; what is no intent is logged and left."""
        keys: list[ObjectKey] = []
        token: str | None = None
        while True:
            page = await self._store.list_page(self.prefix, token=token)
            keys += [entry.key for entry in page.entries if 0 < entry.size <= LONGEST]
            token = page.next_token
            if token is None:
                break
        found = [await self.read(key) for key in keys]
        return [intent for intent in found if intent is not None]

    async def read(self, key: ObjectKey) -> Intent | None:
        """The intent under *key*; None if there is none any more."""
        try:
            _, body = await self._store.get(key, start=0, length=LONGEST)
        except NotFound:
            return None
        try:
            return parse(key, bytes(body), self._base)
        except ValueError as error:
            log.warning("what stands in %s is left alone: %s", key, error)
            return None

    async def forget(self, intent: Intent) -> None:
        """Its rename is done, or undone."""
        await self._store.delete(intent.key)

    async def begin(self, source: str, goal: str, *, replaces: bool) -> "Lease":
        """Store the intent of a rename that has not begun yet."""
        # One that could not be deleted must not be taken for the intent of this rename.
        for lease in [one for one in self._left if one.has_ended]:
            await lease.end()
        intent = Intent(
            key=ObjectKey(f"{self.prefix}{uuid.uuid4().hex}"),
            source=source,
            goal=goal,
            replaces=replaces,
            owner=self._owner.name,
        )
        lease = Lease(self._store, self._options, intent, self._clock, self._left)
        try:
            await lease.store(intent)
        except BaseException:
            self._spawn(lease.end_patiently)  # it may stand there all the same
            raise
        self._spawn(lease.keep)
        return lease


@final
class Lease:
    """One's own intent while its rename is under way."""

    def __init__(
        self,
        store: ObjectStore,
        options: PutOptions,
        intent: Intent,
        clock: Callable[[], float],
        left: "list[Lease]",
    ) -> None:
        self._store = store
        self._options = options
        self._intent = intent
        self._clock = clock
        self._left = left
        self._stored = clock()
        self._ended = trio.Event()
        self._lock = trio.Lock()
        left.append(self)

    @property
    def intent(self) -> Intent:
        """As it was stored last."""
        return self._intent

    @property
    def has_ended(self) -> bool:
        """Whether only the deletion of the intent is left to do."""
        return self._ended.is_set()

    def check(self) -> None:
        """Raises Unavailable if others may take the owner for gone soon."""
        if self._clock() - self._stored > LEASE / 2:
            raise Unavailable("the intent of the rename could not be stored again for too long")

    async def store(self, intent: Intent) -> None:
        """Replace the intent. Raises StoreError."""
        async with self._lock:
            if self._ended.is_set():
                return
            begun = self._clock()
            await self._store.put(intent.key, intent.to_json(), self._options)
            self._intent, self._stored = intent, begun

    async def copied(self) -> None:
        """All copies are there: from now on the rename is finished, not undone."""
        self.check()
        await self.store(replace(self._intent, copied=True))

    async def keep(self) -> None:
        """Say that the owner is alive, until the end."""
        while not self._ended.is_set():
            with trio.move_on_after(RENEWAL):
                await self._ended.wait()
            try:
                await self.store(replace(self._intent, beat=self._intent.beat + 1))
            except OssfsError as error:
                log.warning("the intent of a rename could not be stored again: %s", error)

    async def end(self) -> None:
        """The rename is done or taken back. Raises StoreError; the intent stands there then."""
        self._ended.set()
        async with self._lock:
            if self in self._left:
                await self._store.delete(self._intent.key)
                self._left.remove(self)

    async def end_patiently(self) -> None:
        """The same, again and again until it succeeds."""
        pause = 1.0
        while self in self._left:
            try:
                await self.end()
            except OssfsError as error:
                log.warning("the intent of a rename could not be deleted: %s", error)
                await trio.sleep(pause)  # back-off
                pause = min(2 * pause, LONGEST_PAUSE)
