"""Listings with what HEAD says of each object."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from ossfs.errors import AccessDenied, StoreError
from ossfs.store.base import PutOptions
from ossfs.transfer.describing import Found, described
from ossfs.types import ObjectKey
from tests.transfer.watched import WatchedStore, as_store


async def all_of(listing: AsyncGenerator[Found, None]) -> list[Found]:
    async with aclosing(listing):
        return [found async for found in listing]


async def filled(names: list[str]) -> WatchedStore:
    store = WatchedStore()
    for name in names:
        await store.inner.put(ObjectKey(name), b"x", PutOptions(metadata={"m": name[-1]}))
    return store


async def test_many_pages_come_in_the_order_of_their_keys() -> None:
    names = [f"a/{number:04}" for number in range(2100)]
    store = await filled([*names, "b"])
    found = await all_of(described(as_store(store), "a/", recursive=True, parallel=7))
    assert [one.key for one in found] == names
    assert all(one.info and one.info.metadata["m"] == one.key[-1] for one in found)


async def test_prefixes_and_objects_are_one_list() -> None:
    store = await filled(["a-", "a/x", "a/y", "a0"])
    found = await all_of(described(as_store(store), "", recursive=False))
    assert [(one.key, one.info is None) for one in found] == [
        ("a-", False),
        ("a/", True),
        ("a0", False),
    ]


async def test_no_page_is_asked_for_before_the_one_before_it_is_used_up() -> None:
    store = await filled([f"{number:04}" for number in range(1500)])
    async with aclosing(described(as_store(store), "", recursive=True)) as listing:
        async for _ in listing:
            break
    assert store.names().count("list_page") == 1
    assert store.names().count("head") == 1000


async def test_what_vanishes_is_left_out_and_what_is_refused_is_there_without_facts() -> None:
    store = await filled(["a", "b", "c"])

    def vanish(name: str) -> None:
        if name == "head":
            store.inner._versions.pop("b", None)

    store.before = vanish
    store.fail_at = 2
    refused: StoreError = AccessDenied("no")
    store.error = lambda: refused
    found = await all_of(described(as_store(store), "", recursive=True, parallel=1))
    assert [(one.key, one.error) for one in found] == [("a", refused), ("c", None)]
