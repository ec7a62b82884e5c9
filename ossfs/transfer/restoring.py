"""Storing the same bytes once more: a source that reads a stored version, and its cut into parts.

The envelope goes along to the letter, since other clients may compare its text; only the sizes that
belong to a multipart upload are set anew where its parts must be others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import trio

from ossfs.crypto.datakey import FAILED
from ossfs.crypto.tags import chunk_size
from ossfs.errors import IntegrityError
from ossfs.format import envelope
from ossfs.store.base import ObjectInfo, ObjectStore, PutOptions
from ossfs.transfer.limits import Check, TransferLimits
from ossfs.transfer.sending import MAX_PARTS, Sender, part_size_for
from ossfs.transfer.version import Version
from ossfs.types import Buffer, ObjectKey

_DATA_SIZE = envelope.PREFIX + "data-size"
_PART_SIZE = envelope.PREFIX + "part-size"
_LEAST_PART = 100 * 1024
_LARGEST_KEPT_PART = 64 << 20


@final
class StoredVersion:
    """A source for `sending`: the stored bytes of *info*, fetched with If-Match.

    version: where it is given, every chunk is checked before it is handed out.
    """

    def __init__(
        self,
        store: ObjectStore,
        limits: TransferLimits,
        info: ObjectInfo,
        version: Version | None = None,
    ) -> None:
        self._store = store
        self._limits = limits
        self._info = info
        self._version = version

    @property
    def size(self) -> int:
        """Bytes stored."""
        return self._info.size

    @property
    def crc64(self) -> int | None:
        """As OSS says."""
        return self._info.crc64

    async def piece(self, offset: int, length: int) -> Buffer:
        """Stored bytes; with a version to check, *offset* is where a chunk begins.

        Raises Stale, IntegrityError, StoreError.
        """
        if not length:
            await trio.lowlevel.checkpoint()
            return b""
        _, stored = await self._store.get(
            self._info.key, start=offset, length=length, if_match=self._info.etag
        )
        if len(stored) != length:
            raise IntegrityError(FAILED)
        if self._version is not None:
            await self._version.check(self._limits, offset // self._version.chunk, stored)
        return stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How a version is stored again.

    part_size: None for one request; metadata: the sizes that go along with it.
    """

    part_size: int | None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def apply(self, metadata: Mapping[str, str]) -> dict[str, str]:
        """*metadata* with the sizes of this cut."""
        kept = {n: value for n, value in metadata.items() if n not in {_DATA_SIZE, _PART_SIZE}}
        return kept | dict(self.metadata)


def cut(info: ObjectInfo, preferred: int) -> Cut:
    """The cut of the version *info*: its own part size if usable, else about *preferred*."""
    own = _own_part_size(info)
    if own is None and info.size <= 2 * preferred:
        return Cut(part_size=None)
    part_size = own or part_size_for(info.size, preferred, chunk_size(info.size))
    if not any(name.startswith(envelope.PREFIX) for name in info.metadata):
        return Cut(part_size=part_size)
    sizes = {_DATA_SIZE: str(info.size), _PART_SIZE: str(part_size)}
    return Cut(part_size=part_size, metadata=sizes)


def _own_part_size(info: ObjectInfo) -> int | None:
    text = info.metadata.get(_PART_SIZE, "")
    if not (text.isascii() and text.isdigit() and len(text) < 12) or not info.size:
        return None
    size = int(text)
    usable = (
        _LEAST_PART <= size <= _LARGEST_KEPT_PART
        and size % chunk_size(info.size) == 0
        and -(-info.size // size) <= MAX_PARTS
    )
    return size if usable else None


async def store_again(
    sender: Sender,
    limits: TransferLimits,
    key: ObjectKey,
    source: StoredVersion,
    options: PutOptions,
    part_size: int | None,
    check: Check,
) -> ObjectInfo:
    """Store *source* under *key* in parts, or by one request where *part_size* is None."""
    if part_size is None:
        async with limits.memory.hold(source.size):
            return await sender.put(key, source, options, check=check)
    return await sender.multipart(key, source, options, part_size=part_size, check=check)
