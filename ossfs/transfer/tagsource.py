"""Where the authentic tags of a stored version come from: its headers, or its sidecar object."""

from typing import Protocol, final

import trio

from ossfs.cache import ByteLru
from ossfs.crypto.datakey import FAILED
from ossfs.crypto.tags import (
    HASH_BYTES,
    PAGE_BYTES,
    PAGE_TAGS,
    TAG_BYTES,
    SidecarLayout,
    check_page,
    check_pages,
)
from ossfs.errors import IntegrityError, NotFound, RangeNotSatisfiable
from ossfs.store.base import ObjectStore
from ossfs.types import Buffer, ObjectKey

_PAGES_KEPT = 16


class TagSource(Protocol):
    """Tags that were checked against the authenticated head."""

    async def tags(self, first: int, end: int) -> Buffer:
        """The tags of chunks first..end-1, concatenated. Raises IntegrityError, StoreError."""


@final
class HeaderTags:
    """All tags of a version of up to 32 MiB, whose seal was accepted."""

    def __init__(self, tags: bytes) -> None:
        self._tags = tags

    async def tags(self, first: int, end: int) -> Buffer:
        """See TagSource."""
        return self._tags[first * TAG_BYTES : end * TAG_BYTES]


@final
class SidecarTags:
    """Tags in a sidecar, fetched by pages as they are needed.

    The page hashes come first and together with the first page, and count only if they sum up to
    the authenticated tagsum; a page counts only if it has its hash. Pages are fetched one after
    the other: one covers 256 MiB of content.
    """

    def __init__(
        self, store: ObjectStore, key: ObjectKey | None, *, size: int, tagsum: bytes
    ) -> None:
        self._store = store
        self._key = key
        self._layout = SidecarLayout(size=size)
        self._tagsum = tagsum
        self._hashes = b""
        self._pages: ByteLru[int, bytes] = ByteLru(_PAGES_KEPT * PAGE_BYTES)
        self._fetching = trio.Lock()

    async def tags(self, first: int, end: int) -> Buffer:
        """See TagSource."""
        found = []
        for number in range(first // PAGE_TAGS, -(-end // PAGE_TAGS)):
            page = self._pages.get(number)
            if page is None:
                page = await self._fetch(number)
            begin = number * PAGE_TAGS
            low, high = max(first - begin, 0), min(end - begin, PAGE_TAGS)
            found.append(page[low * TAG_BYTES : high * TAG_BYTES])
        return b"".join(found)

    async def _fetch(self, number: int) -> bytes:
        async with self._fetching:
            if not self._hashes:
                await self._fetch_hashes()
            page = self._pages.get(number)
            if page is None:
                page = await self._get(*self._layout.page(number))
                self._keep(number, page)
        return page

    async def _fetch_hashes(self) -> None:
        length = self._layout.hashes_length
        both = await self._get(0, length + self._layout.page(0)[1])
        check_pages(both[:length], self._tagsum)
        self._hashes = both[:length]
        self._keep(0, both[length:])

    def _keep(self, number: int, page: bytes) -> None:
        check_page(page, self._hashes[number * HASH_BYTES : (number + 1) * HASH_BYTES])
        self._pages.put(number, page)

    async def _get(self, start: int, length: int) -> bytes:
        if self._key is None:
            raise IntegrityError(FAILED)
        try:
            info, body = await self._store.get(self._key, start=start, length=length)
        except (NotFound, RangeNotSatisfiable):
            raise IntegrityError(FAILED) from None
        if len(body) != length or info.size != self._layout.total_length:
            raise IntegrityError(FAILED)
        return bytes(body)
