"""Where new versions stand before they are put in their place: `<prefix>/.ossfs/convert/<run>/`.

A run that lives writes its lease there again and again. What belongs to a run whose newest object
is too old is what a dead one left; both ages are told by the clock of the bucket.
"""

import itertools
import logging
import secrets
from typing import final

import trio

from ossfs.errors import OssfsError
from ossfs.format.names import RESERVED, object_key
from ossfs.store.base import ListEntry, ObjectInfo, ObjectStore, PutOptions, ServerEncryption
from ossfs.transfer.describing import pages
from ossfs.types import ObjectKey

log = logging.getLogger(__name__)

RENEW_SECONDS = 60.0
DEAD_SECONDS = 900.0
_LAST_SECONDS = 30.0
_LEASE = "lease"


@final
class Workspace:
    """The part of it that one run has for itself; prefix: without slashes at its ends.

    encryption: asked of OSS for the lease; a bucket may refuse what asks for none.
    """

    def __init__(
        self, store: ObjectStore, *, prefix: str, encryption: ServerEncryption | None = None
    ) -> None:
        self._store = store
        self._options = PutOptions(encryption=encryption)
        self._path = (RESERVED, "convert")
        self._prefix = prefix
        self._run = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._lease = object_key(prefix, (*self._path, self._run, _LEASE))

    def new_key(self) -> ObjectKey:
        """A key that nobody else uses."""
        return object_key(self._prefix, (*self._path, self._run, f"{next(self._numbers):06}"))

    async def open(self) -> int:
        """Take a lease, and remove what dead runs left; returns how many objects that were.

        Raises StoreError.
        """
        now = (await self._renewed()).modified_ns
        return await self._remove_dead(now - int(DEAD_SECONDS * 1e9))

    async def keep(self) -> None:
        """Renews the lease until cancelled."""
        while True:
            await trio.sleep(RENEW_SECONDS)
            try:
                await self._renewed()
            except OssfsError as error:
                log.warning("the lease of the conversion is not renewed: %s", error)

    async def drop(self, key: ObjectKey) -> None:
        """Remove a version that stands here, also while being cancelled."""
        with trio.move_on_after(_LAST_SECONDS, shield=True):
            try:
                await self._store.delete(key)
            except OssfsError as error:
                log.warning("an object under .ossfs/convert/ is left for the next run: %s", error)

    async def close(self) -> None:
        """Give up the lease."""
        await self.drop(self._lease)

    async def _renewed(self) -> ObjectInfo:
        await self._store.put(self._lease, b"", self._options)
        return await self._store.head(self._lease)

    async def _remove_dead(self, alive_since_ns: int) -> int:
        """Keys come in order, so those of one run come together."""
        base = f"{object_key(self._prefix, self._path)}/"
        run, of_run, removed = "", list[ListEntry](), 0
        async for page in pages(self._store, base):
            for entry in page.entries:
                name = entry.key.removeprefix(base).partition("/")[0]
                if name != run:
                    removed += await self._remove(of_run, alive_since_ns)
                    run, of_run = name, []
                of_run.append(entry)
        return removed + await self._remove(of_run, alive_since_ns)

    async def _remove(self, of_run: list[ListEntry], alive_since_ns: int) -> int:
        if any(entry.modified_ns >= alive_since_ns for entry in of_run):
            return 0
        await self._store.delete_many([entry.key for entry in of_run])
        return len(of_run)
