import hashlib
import threading

import fastcrc
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.errors import AlreadyExists
from ossfs.store.base import PutOptions
from ossfs.store.crc64 import combine
from ossfs.types import ObjectKey
from tests.store.test_client import store_over


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_the_crc_of_a_whole_follows_from_those_of_its_halves(first: bytes, second: bytes) -> None:
    xz = fastcrc.crc64.xz
    assert combine(xz(first), xz(second), len(second)) == xz(first + second)


def test_large_lengths_are_no_different() -> None:
    zeros = bytes(10_000_000)
    whole = fastcrc.crc64.xz(b"x" + zeros)
    assert combine(fastcrc.crc64.xz(b"x"), fastcrc.crc64.xz(zeros), len(zeros)) == whole


@pytest.mark.parametrize(("size", "in_thread"), [(1 << 20, False), (3 << 20, True)])
async def test_large_bodies_are_checked_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, size: int, in_thread: bool
) -> None:
    real = fastcrc.crc64.xz
    workers: list[int] = []

    def recording(data: bytes) -> int:
        workers.append(threading.get_ident())
        return real(data)

    def answers(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"etag": "E", "x-oss-hash-crc64ecma": str(crc64)})

    body = bytes(size)
    crc64 = real(body)
    monkeypatch.setattr(fastcrc.crc64, "xz", recording)
    store = store_over(answers)
    await store.put(ObjectKey("a"), body, PutOptions())
    await store.put_part(ObjectKey("a"), "U", 1, body)
    assert [worker != threading.get_ident() for worker in workers] == [in_thread, in_thread]


async def test_a_refusal_without_an_earlier_attempt_costs_no_digest_of_the_body(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    document = b"<Error><Code>FileAlreadyExists</Code></Error>"
    store = store_over(lambda request: httpx.Response(409, content=document))
    monkeypatch.delattr(hashlib, "md5")
    with pytest.raises(AlreadyExists):
        await store.put(ObjectKey("a"), b"body", PutOptions(forbid_overwrite=True))
