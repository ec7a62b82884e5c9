"""Putting stored bytes under a key: one PutObject, or a multipart upload with parts side by side.

Knows nothing of encryption. Nothing becomes visible before all of it is there, what OSS says of
the whole is compared with the CRC64 of the source (of each part, the store does that), and an
upload that fails or is cancelled is aborted.
"""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import fastcrc
import trio

from ossfs.crypto.tags import chunk_size
from ossfs.errors import (
    AlreadyExists,
    FileTooLarge,
    NoSuchUpload,
    OssfsError,
    StoreError,
    TimedOut,
    Unavailable,
)
from ossfs.store.base import ObjectInfo, ObjectStore, Part, PutOptions, Stored
from ossfs.transfer.limits import Check, TransferLimits
from ossfs.transfer.parallel import for_each
from ossfs.transfer.protection import is_as_asked
from ossfs.types import Buffer, ObjectKey

log = logging.getLogger(__name__)

MAX_PARTS = 10_000
MIN_PART = 100 * 1024
MAX_PART = 5 << 30
_ABORT_SECONDS = 10

_MAYBE_STORED = (NoSuchUpload, AlreadyExists, Unavailable, TimedOut)
"""What the last request of an upload raises if it got through and only its answer was lost."""


class Source(Protocol):
    """Bytes to be stored; the same bytes at every call, from any offset, in any order."""

    @property
    def size(self) -> int:
        """Bytes in all."""

    @property
    def crc64(self) -> int | None:
        """CRC64 of all of them, None if it is not known."""

    def piece(self, offset: int, length: int) -> AbstractAsyncContextManager[Buffer]:
        """Bytes [offset, offset + length), which lie within the size, until the block ends."""


@dataclass(frozen=True, slots=True)
class _Result:
    """What a write is to make; replaced: as in `Sender.store_source`."""

    source: Source
    options: PutOptions
    replaced: ObjectInfo | None

    def is_proved_by(self, info: ObjectInfo) -> bool:
        """Whether only this write can have made *info*.

        Metadata are the proof, since the envelope of an upload is its own; but not where the same
        bytes go once more under the envelope that they had.
        """
        if self.replaced is not None and self._looks_like(self.replaced):
            return False
        return self._looks_like(info)

    def _looks_like(self, info: ObjectInfo) -> bool:
        options, crc64 = self.options, self.source.crc64
        return (
            info.size == self.source.size
            and (crc64 is None or info.crc64 == crc64)
            and dict(info.metadata) == {name.lower(): v for name, v in options.metadata.items()}
            and info.tagging_count == len(options.tags)
            and is_as_asked(options.encryption, info.encryption)
            and options.storage_class in {None, info.storage_class}
        )


async def nothing() -> None:
    """No condition to check."""


class Sender:
    """Stores sources in one bucket within the limits of the mount."""

    def __init__(
        self,
        store: ObjectStore,
        limits: TransferLimits,
        *,
        part_size: int = 8 << 20,
        clock: Callable[[], float] = time.time,
        bucket_storage_class: str = "Standard",
    ) -> None:
        """limits: of writing alone, since reading has its own.

        part_size: bytes of a part where nothing else decides it. clock, bucket_storage_class: for
        what the answer to a write does not say.
        """
        self.store = store
        self.limits = limits
        self._part_size = part_size
        self._clock = clock
        self._bucket_storage_class = bucket_storage_class

    def part_size_for(self, size: int) -> int | None:
        """Bytes of each part of an upload of *size* bytes; None: by one request.

        A multiple of the chunk size, and such that OSS takes the number of parts. Raises
        FileTooLarge.
        """
        if size <= 2 * self._part_size:
            return None
        if size > MAX_PARTS * MAX_PART:
            raise FileTooLarge("OSS stores no object of this size")
        chunk = chunk_size(size)
        least = max(self._part_size, MIN_PART, -(-size // MAX_PARTS))
        return -(-least // chunk) * chunk

    async def store_source(
        self,
        key: ObjectKey,
        source: Source,
        options: PutOptions,
        *,
        part_size: int | None,
        check: Check = nothing,
        replaced: ObjectInfo | None = None,
    ) -> ObjectInfo:
        """Store *source* in parts, or by one request where *part_size* is None.

        The caller holds memory for all of it in the latter case. check: awaited right before
        anything becomes visible. replaced: the version that stands under *key* until then, if the
        same bytes may go there again. Raises what the store raises, and Unavailable if other bytes
        than these were stored.
        """
        result = _Result(source, options, replaced)
        if part_size is None:
            return await self._put(key, result, check)
        return await self._multipart(key, result, part_size, check)

    async def _put(self, key: ObjectKey, result: _Result, check: Check) -> ObjectInfo:
        source, options = result.source, result.options
        async with self.limits.request(), source.piece(0, source.size) as body:
            await check()
            try:
                stored = await self.store.put(key, body, options)
            except _MAYBE_STORED as error:
                stored = await self._own_earlier_try(key, result, error)
            sent = source.crc64
            if sent is None:
                sent = await self.limits.compute(len(body), partial(fastcrc.crc64.xz, body))
        _compare(stored.crc64, sent)
        return self._described(key, source.size, stored, options, sent, "Normal")

    async def _multipart(
        self, key: ObjectKey, result: _Result, part_size: int, check: Check
    ) -> ObjectInfo:
        source, options = result.source, result.options
        upload_id = await self.store.initiate_multipart(key, options)
        joined = False
        try:
            parts = await self._put_parts(key, upload_id, source, part_size)
            await check()
            stored = await self._complete(key, upload_id, result, parts)
            joined = True
        finally:
            if not joined:
                await self._abort(key, upload_id)
        _compare(stored.crc64, source.crc64)
        return self._described(key, source.size, stored, options, source.crc64, "Multipart")

    def _described(
        self,
        key: ObjectKey,
        size: int,
        stored: Stored,
        options: PutOptions,
        crc64: int | None,
        object_type: str,
    ) -> ObjectInfo:
        """What HEAD would say of the new version; its time is ours, to the second."""
        return ObjectInfo(
            key=key,
            size=size,
            etag=stored.etag,
            modified_ns=int(self._clock()) * 1_000_000_000,
            metadata={name.lower(): value for name, value in options.metadata.items()},
            crc64=crc64 if stored.crc64 is None else stored.crc64,
            object_type=object_type,
            storage_class=options.storage_class or self._bucket_storage_class,
            version_id=stored.version_id,
            tagging_count=len(options.tags),
            encryption=stored.encryption or options.encryption,
            content_type=options.content_type,
            web_headers=options.web_headers,
        )

    async def _put_parts(
        self, key: ObjectKey, upload_id: str, source: Source, part_size: int
    ) -> list[Part]:
        parts: dict[int, Part] = {}

        async def put_part(number: int) -> None:
            offset = (number - 1) * part_size
            length = min(part_size, source.size - offset)
            async with (
                self.limits.memory.hold(length),
                self.limits.request(),
                source.piece(offset, length) as body,
            ):
                parts[number] = await self.store.put_part(key, upload_id, number, body)

        count = -(-source.size // part_size)
        await for_each(range(1, count + 1), put_part, limit=min(self.limits.width, count))
        return [parts[number] for number in sorted(parts)]

    async def _complete(
        self, key: ObjectKey, upload_id: str, result: _Result, parts: list[Part]
    ) -> Stored:
        try:
            return await self.store.complete_multipart(
                key, upload_id, parts, forbid_overwrite=result.options.forbid_overwrite
            )
        except _MAYBE_STORED as error:
            return await self._own_earlier_try(key, result, error)

    async def _own_earlier_try(
        self, key: ObjectKey, result: _Result, refusal: StoreError
    ) -> Stored:
        """The answer to a write that got through although its answer was lost.

        A repeated request then meets its own result, and a later upload would take it for another
        client's. Raises *refusal* unless the object proves to be ours.
        """
        try:
            info = await self.store.head(key)
        except StoreError:
            raise refusal from None
        if not result.is_proved_by(info):
            raise refusal
        return Stored(
            etag=info.etag,
            crc64=info.crc64,
            version_id=info.version_id,
            encryption=info.encryption,
        )

    async def _abort(self, key: ObjectKey, upload_id: str) -> None:
        """Drop the parts, also while being cancelled; whatever is left expires by a bucket rule."""
        with trio.move_on_after(_ABORT_SECONDS) as scope:
            scope.shield = True
            try:
                await self.store.abort_multipart(key, upload_id)
            except OssfsError as error:
                log.warning("a multipart upload could not be aborted: %s", error)


def _compare(answered: int | None, sent: int | None) -> None:
    """Raises Unavailable if the bucket holds other bytes than were sent; both may be unknown."""
    if answered is not None and sent is not None and answered != sent:
        raise Unavailable("the bytes were damaged on their way to the bucket", code="CRC64")
