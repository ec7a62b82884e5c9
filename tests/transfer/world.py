"""All parts of transfer over one store in memory, with small parts."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from ossfs.format.attributes import Attributes
from ossfs.keys.keyring import Keyring
from ossfs.keys.rsa import RsaMasterKey
from ossfs.staging import FrozenFile, StagingArea
from ossfs.store.base import ObjectInfo, ServerEncryption
from ossfs.transfer.copier import Copier
from ossfs.transfer.limits import TransferLimits
from ossfs.transfer.opener import Opener
from ossfs.transfer.pool import ReadPool
from ossfs.transfer.protection import Protection
from ossfs.transfer.reader import ObjectReader
from ossfs.transfer.sending import Sender
from ossfs.transfer.uploader import Uploader
from ossfs.transfer.version import Integrity
from ossfs.types import ObjectKey
from tests.keys.fakes import rsa_key
from tests.transfer.watched import WatchedStore, as_store, now

KIB = 1024
MIB = 1024 * KIB
PART = 128 * KIB
KEY = ObjectKey("p/file")
OTHER = ObjectKey("p/other")

FILE = Attributes(mode=0o100644, uid=1, gid=2, atime_ns=3, mtime_ns=4, ctime_ns=5)


def content_of(size: int, seed: int = 0) -> bytes:
    """Bytes without a period, so that nothing can stand at another's place unnoticed."""
    return random.Random(seed).randbytes(size)


def keyring(number: int = 0, **changes: Any) -> Keyring:
    """A keyring with one RSA pair."""
    return Keyring([RsaMasterKey(rsa_key(number), name=f"key{number}", **changes)])


@dataclass(kw_only=True)
class World:
    """One mount's uploader, opener and copier."""

    nursery: trio.Nursery
    directory: Path
    store: WatchedStore = field(default_factory=WatchedStore)
    keyring: Keyring | None = field(default_factory=keyring)
    integrity: Integrity = Integrity.PREFER
    part_size: int = 64 * KIB
    memory_bytes: int = 64 * MIB
    cache_bytes: int = 64 * MIB
    read_ahead: int = 16 * MIB

    def __post_init__(self) -> None:
        store = as_store(self.store)
        self.limits = TransferLimits(requests=8, memory_bytes=self.memory_bytes)
        self.sender = Sender(store, self.limits, part_size=self.part_size, clock=now)
        self.uploader = Uploader(self.sender, self.keyring, prefix="p")
        self.pool = ReadPool(
            store,
            spawn=self.nursery.start_soon,
            limits=TransferLimits(requests=16, memory_bytes=64 * MIB),
            cache_bytes=self.cache_bytes,
            read_ahead=self.read_ahead,
        )
        self.opener = Opener(self.pool, self.keyring, self.integrity)
        self.copier = Copier(self.sender, self.opener)
        self.area = StagingArea(self.directory, 64 * MIB)

    @contextmanager
    def frozen(self, content: bytes) -> Iterator[FrozenFile]:
        """A frozen file with this content."""
        staged = self.area.create()
        for start in range(0, len(content), MIB):
            staged.pwrite(start, content[start : start + MIB])
        frozen = staged.freeze()
        staged.close()
        try:
            yield frozen
        finally:
            frozen.close()

    async def upload(
        self,
        content: bytes,
        key: ObjectKey = KEY,
        *,
        encryption: ServerEncryption | None = None,
        **options: Any,
    ) -> ObjectInfo:
        """Store *content*; encryption: asked of the server."""
        if encryption is not None:
            options["protection"] = Protection(source=self.keyring, server=encryption)
        with self.frozen(content) as frozen:
            return await self.uploader.upload(frozen, key, attributes=FILE, **options)

    async def reader(self, key: ObjectKey = KEY, expect_size: int = 0) -> ObjectReader:
        """A reader of what is stored."""
        _, reader = await self.opener.open(key, expect_size=expect_size)
        return reader

    async def content(self, key: ObjectKey = KEY, step: int = MIB) -> bytes:
        """All that is stored, read from the beginning to the end."""
        reader = await self.reader(key)
        pieces = [
            await reader.read(offset, step) for offset in range(0, reader.info.size + 1, step)
        ]
        reader.close()
        return b"".join(pieces)

    def again(self, **changes: Any) -> "World":
        """Another mount of the same bucket: nothing cached, other settings."""
        settings: dict[str, Any] = {
            "nursery": self.nursery,
            "directory": self.directory,
            "store": self.store,
            "keyring": self.keyring,
            "part_size": self.part_size,
        }
        return World(**(settings | changes))
