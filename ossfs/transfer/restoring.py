"""Storing the bytes of a version once more: where they come from, and how they are cut into parts.

The envelope goes along to the letter, since other clients may compare its text; only the sizes that
belong to a multipart upload are set anew where its parts must be others.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import final

from ossfs.crypto.datakey import FAILED
from ossfs.crypto.tags import chunk_size
from ossfs.errors import IntegrityError
from ossfs.format import envelope
from ossfs.store.base import ObjectInfo, ObjectStore, PutOptions
from ossfs.transfer.limits import Check, TransferLimits
from ossfs.transfer.sending import MAX_PARTS, MIN_PART, Sender, nothing
from ossfs.transfer.version import Version
from ossfs.types import Buffer, ObjectKey

_DATA_SIZE = envelope.PREFIX + "data-size"
_PART_SIZE = envelope.PREFIX + "part-size"
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

    @asynccontextmanager
    async def piece(self, offset: int, length: int) -> AsyncIterator[Buffer]:
        """Stored bytes; with a version to check, *offset* is where a chunk begins.

        Raises Stale, IntegrityError, StoreError.
        """
        if not length:
            yield b""
            return
        _, stored = await self._store.get(
            self._info.key, start=offset, length=length, if_match=self._info.etag
        )
        if len(stored) != length:
            raise IntegrityError(FAILED)
        if self._version is not None:
            await self._version.check(self._limits, offset // self._version.chunk, stored)
        yield stored


async def store_again(
    sender: Sender,
    key: ObjectKey,
    source: StoredVersion,
    options: PutOptions,
    *,
    check: Check = nothing,
    replaced: ObjectInfo | None = None,
) -> ObjectInfo:
    """Store *source* under *key*, in its own parts if these are usable, else in the sender's.

    replaced: the version that stands under *key* until then, if it is that of *source*. Raises as
    `Sender.store_source`, and what reading the source raises.
    """
    part_size = _part_size(options, source.size) or sender.part_size_for(source.size)
    options = replace(options, metadata=_with_sizes(options, source.size, part_size))
    if part_size is not None:
        return await sender.store_source(
            key, source, options, part_size=part_size, check=check, replaced=replaced
        )
    async with sender.limits.memory.hold(source.size):
        return await sender.store_source(
            key, source, options, part_size=None, check=check, replaced=replaced
        )


def _part_size(options: PutOptions, size: int) -> int | None:
    """The part size that the envelope names, if a version of *size* bytes can be cut by it."""
    text = options.metadata.get(_PART_SIZE, "")
    if not (text.isascii() and text.isdigit() and len(text) < 12 and size):
        return None
    part_size = int(text)
    usable = (
        MIN_PART <= part_size <= _LARGEST_KEPT_PART
        and part_size % chunk_size(size) == 0
        and -(-size // part_size) <= MAX_PARTS
    )
    return part_size if usable else None


def _with_sizes(options: PutOptions, size: int, part_size: int | None) -> dict[str, str]:
    """The headers, with the sizes of a multipart upload if it is one of client-encrypted bytes."""
    headers = {
        name: value
        for name, value in options.metadata.items()
        if name not in {_DATA_SIZE, _PART_SIZE}
    }
    if part_size is not None and any(name.startswith(envelope.PREFIX) for name in headers):
        headers |= {_DATA_SIZE: str(size), _PART_SIZE: str(part_size)}
    return headers
