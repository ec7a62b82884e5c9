"""All objects below a prefix and what HEAD says of each, in the order of their keys.

    async for found in described(store, "team/a/", recursive=True):
        found.key, found.info, found.error

Memory: one page of the listing.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from ossfs.errors import NotFound, StoreError
from ossfs.store.base import ListEntry, ListPage, ObjectInfo, ObjectStore
from ossfs.transfer.parallel import for_each
from ossfs.types import ObjectKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One object, or a common prefix, which has neither entry nor info.

    info: None too where OSS would not tell; error: why.
    """

    key: str
    entry: ListEntry | None = None
    info: ObjectInfo | None = None
    error: StoreError | None = None


async def pages(
    store: ObjectStore, prefix: str, *, delimiter: str = ""
) -> AsyncGenerator[ListPage, None]:
    """The pages of a listing. Raises StoreError."""
    token = None
    while True:
        page = await store.list_page(prefix, delimiter=delimiter, token=token)
        yield page
        token = page.next_token
        if token is None:
            return


async def described(
    store: ObjectStore, prefix: str, *, recursive: bool, parallel: int = 64
) -> AsyncGenerator[Found, None]:
    """Everything below *prefix*, or only down to the next slash; what vanishes is left out.

    Raises StoreError where it cannot be listed.
    """
    async with aclosing(pages(store, prefix, delimiter="" if recursive else "/")) as listing:
        async for page in listing:
            infos = await _asked(store, page, parallel)
            found = [Found(key=name) for name in page.prefixes]
            found += [infos[entry.key] for entry in page.entries if entry.key in infos]
            for one in sorted(found, key=lambda one: one.key):
                yield one


async def _asked(store: ObjectStore, page: ListPage, parallel: int) -> dict[ObjectKey, Found]:
    found: dict[ObjectKey, Found] = {}

    async def ask(entry: ListEntry) -> None:
        try:
            info = await store.head(entry.key)
        except NotFound:
            return
        except StoreError as error:
            found[entry.key] = Found(key=entry.key, entry=entry, error=error)
            return
        found[entry.key] = Found(key=entry.key, entry=entry, info=info)

    await for_each(page.entries, ask, limit=parallel)
    return found
