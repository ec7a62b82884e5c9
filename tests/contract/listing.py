"""The contract of the bucket as a whole: deleting, listing, info."""

import pytest

from ossfs.errors import NotFound, RefusedByServer
from ossfs.store.base import ObjectStore, PutOptions
from tests.contract.material import PLAIN, key, names_of


class ListingContract:
    """Subclasses give the fixture `store`: an empty bucket."""

    async def test_deleting_works_whether_or_not_something_is_there(
        self, store: ObjectStore
    ) -> None:
        await store.put(key("a"), b"", PLAIN)
        for _ in range(2):
            await store.delete(key("a"))
        with pytest.raises(NotFound):
            await store.head(key("a"))

    async def test_many_are_deleted_at_once(self, store: ObjectStore) -> None:
        names = [key(f"&<>\r{number:04}") for number in range(20)]
        for name in names:
            await store.put(name, b"", PLAIN)
        absent = [key(f"absent{number}") for number in range(1500)]
        await store.delete_many([*absent, *names[1:]])
        await store.delete_many([])
        assert await names_of(store, "") == names[:1]

    async def test_listings_are_in_byte_order_on_pages_of_any_size(
        self, store: ObjectStore
    ) -> None:
        names = ["Z", "a", "a+b c", "a/", "a/1", "ab", "\u00e9", "\uffff", "\U0001f600", "&%25"]
        for name in names:
            await store.put(key(name), name.encode(), PLAIN)
        expected = sorted(names, key=str.encode)
        for max_keys in (1, 2, 3, 1000):
            assert await names_of(store, "", max_keys=max_keys) == expected
        assert await names_of(store, "a") == [name for name in expected if name.startswith("a")]

    async def test_a_delimiter_gathers_common_prefixes(self, store: ObjectStore) -> None:
        for name in ("d/", "d/a", "d/s/1", "d/s/2", "d/t/u/v", "d/z", "e", "d\u00e9/x"):
            await store.put(key(name), b"", PLAIN)
        for max_keys in (1, 2, 5, 1000):
            inside = await names_of(store, "d/", delimiter="/", max_keys=max_keys)
            assert inside == ["d/", "d/a", "d/s/", "d/t/", "d/z"]
            top = await names_of(store, "", delimiter="/", max_keys=max_keys)
            assert top == ["d/", "d\u00e9/", "e"]

    async def test_a_listing_may_start_behind_a_name(self, store: ObjectStore) -> None:
        for name in ("a", "b", "c"):
            await store.put(key(name), b"", PLAIN)
        page = await store.list_page("", start_after="a")
        assert [entry.key for entry in page.entries] == ["b", "c"]
        assert (await store.list_page("x")).next_token is None

    async def test_a_listing_tells_what_head_tells(self, store: ObjectStore) -> None:
        await store.put(key("a b"), b"body", PutOptions(storage_class="IA"))
        info = await store.head(key("a b"))
        (entry,) = (await store.list_page("a")).entries
        assert (entry.key, entry.size, entry.etag) == (info.key, info.size, info.etag)
        assert (entry.modified_ns, entry.storage_class) == (info.modified_ns, info.storage_class)
        assert entry.object_type == info.object_type

    async def test_page_sizes_have_limits(self, store: ObjectStore) -> None:
        for max_keys in (0, 1001):
            with pytest.raises(RefusedByServer):
                await store.list_page("", max_keys=max_keys)

    async def test_the_bucket_tells_its_name(self, store: ObjectStore) -> None:
        info = await store.bucket_info()
        assert info.name
        assert info.location.startswith("oss-")
        assert info.storage_class == "Standard"
