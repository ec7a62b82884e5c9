"""What the in-memory store offers beyond the contract."""

import pytest
import trio

from ossfs.errors import EntityTooLarge, RefusedByServer
from ossfs.store.base import PutOptions, ServerEncryption
from ossfs.store.memory import MemoryStore
from ossfs.types import ObjectKey

A, B = ObjectKey("a"), ObjectKey("b")
PLAIN = PutOptions()


async def test_time_is_that_of_the_given_clock_in_whole_seconds() -> None:
    now = 1_700_000_000.9
    store = MemoryStore(clock=lambda: now)
    await store.put(A, b"", PLAIN)
    assert (await store.head(A)).modified_ns == 1_700_000_000 * 10**9
    now += 10
    await store.copy(A, B)
    assert (await store.head(B)).modified_ns == 1_700_000_010 * 10**9


async def test_limits_may_be_lowered() -> None:
    store = MemoryStore(put_limit=10, copy_limit=5)
    with pytest.raises(EntityTooLarge):
        await store.put(A, bytes(11), PLAIN)
    upload_id = await store.initiate_multipart(A, PLAIN)
    with pytest.raises(EntityTooLarge):
        await store.put_part(A, upload_id, 1, bytes(11))
    await store.put(A, bytes(6), PLAIN)
    with pytest.raises(EntityTooLarge):
        await store.copy(A, B)
    await store.put(A, bytes(5), PLAIN)
    await store.copy(A, B)


async def test_the_bucket_may_have_its_own_encryption() -> None:
    encryption = ServerEncryption(algorithm="AES256")
    store = MemoryStore(encryption=encryption)
    await store.put(A, b"", PLAIN)
    assert (await store.head(A)).encryption == encryption
    assert (await store.bucket_info()).encryption == encryption


async def test_an_archived_object_cannot_be_read() -> None:
    store = MemoryStore()
    await store.put(A, b"body", PutOptions(storage_class="Archive"))
    assert (await store.head(A)).size == 4
    with pytest.raises(RefusedByServer):
        await store.get(A)


@pytest.mark.parametrize("token", ["\u00e4", "a", "/w=="])
async def test_a_token_that_was_never_given_out_is_refused(token: str) -> None:
    with pytest.raises(RefusedByServer):
        await MemoryStore().list_page("", token=token)


async def test_each_call_may_be_cancelled_before_it_acts() -> None:
    store = MemoryStore()
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.put(A, b"", PLAIN)
    assert scope.cancelled_caught
    assert (await store.list_page("")).entries == []
