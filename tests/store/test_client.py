"""What a real server seldom does, played by an httpx transport of the tests."""

import base64
import logging
import threading
from collections.abc import Callable

import fastcrc
import httpx
import pytest
import trio
from trio.testing import MockClock

from ossfs.errors import (
    AccessDenied,
    AlreadyExists,
    NotFound,
    RangeNotSatisfiable,
    RefusedByServer,
    StoreError,
    Unavailable,
)
from ossfs.store import call as calls
from ossfs.store.address import address_of
from ossfs.store.base import PutOptions
from ossfs.store.client import Client
from ossfs.store.credentials import EnvironmentCredentials
from ossfs.store.oss import OssStore
from ossfs.store.retry import Retry
from ossfs.types import ObjectKey

KEY = ObjectKey("key")
PLAIN = PutOptions()
CREDENTIALS = EnvironmentCredentials({"OSS_ACCESS_KEY_ID": "id", "OSS_ACCESS_KEY_SECRET": "secret"})
FACTS = {"ETag": '"E"', "Last-Modified": "Fri, 02 Jan 2026 03:04:05 GMT"}

Answers = Callable[[httpx.Request], httpx.Response]


def store_over(answers: Answers, *, retries: int = 2) -> OssStore:
    return OssStore(
        "bucket",
        region="cn-hangzhou",
        credentials=CREDENTIALS,
        retries=retries,
        transport=httpx.MockTransport(answers),
    )


def always(status: int, *, content: bytes = b"", headers: dict[str, str] | None = None) -> Answers:
    return lambda request: httpx.Response(status, content=content, headers=headers)


def target_of(request: httpx.Request) -> str:
    target: bytes = request.extensions["target"]
    return target.decode()


async def test_the_bucket_stands_in_the_host_name() -> None:
    seen: list[httpx.Request] = []

    def answers(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, headers=FACTS | {"content-length": "0"})

    await store_over(answers).head(ObjectKey("a b/../c"))
    (request,) = seen
    assert str(request.url) == "https://bucket.oss-cn-hangzhou.aliyuncs.com"
    assert target_of(request) == "/a%20b/../c"
    assert request.headers["host"] == "bucket.oss-cn-hangzhou.aliyuncs.com"
    assert request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("endpoint", "path_style", "origin", "path"),
    [
        ("https://oss-x.example.com", None, "https://b.oss-x.example.com", "/k"),
        ("http://127.0.0.1:8080", None, "http://127.0.0.1:8080", "/b/k"),
        ("http://[::1]:8080", None, "http://[::1]:8080", "/b/k"),
        ("http://localhost:1", None, "http://localhost:1", "/b/k"),
        ("http://localhost:1", False, "http://b.localhost:1", "/k"),
        ("https://oss.example.com", True, "https://oss.example.com", "/b/k"),
    ],
)
def test_the_bucket_has_its_place(
    endpoint: str, path_style: bool | None, origin: str, path: str
) -> None:
    address = address_of("b", region="r", endpoint=endpoint, path_style=path_style)
    assert str(address.origin) == origin
    assert address.path("k") == path
    assert address.canonical_path("k") == "/b/k"
    assert f"{address.origin.scheme}://{address.host}" == origin


async def test_the_document_of_a_refused_head_is_read_from_its_header() -> None:
    document = b"<Error><Code>NoSuchKey</Code><Message>gone</Message><EC>0026-1</EC></Error>"
    headers = {"x-oss-err": base64.b64encode(document).decode(), "x-oss-request-id": "R"}
    with pytest.raises(NotFound) as refused:
        await store_over(always(404, headers=headers)).head(KEY)
    assert str(refused.value) == "gone (NoSuchKey, status 404, 0026-1, request id R)"


@pytest.mark.parametrize("err", ["!!!", "PA==", ""])
async def test_a_head_whose_document_is_unreadable_goes_by_its_status(err: str) -> None:
    with pytest.raises(NotFound):
        await store_over(always(404, headers={"x-oss-err": err})).head(KEY)


async def test_a_hint_at_the_right_endpoint_is_passed_on() -> None:
    document = (
        b"<Error><Code>AccessDenied</Code><Message>wrong endpoint.</Message>"
        b"<Endpoint>oss-cn-beijing.aliyuncs.com</Endpoint></Error>"
    )
    with pytest.raises(AccessDenied, match=r"Endpoint of the bucket: oss-cn-beijing\.aliyuncs"):
        await store_over(always(403, content=document)).list_page("")


async def test_what_a_server_writes_is_shown_in_one_short_line() -> None:
    document = b"<Error><Code>X</Code><Message>a\nb\x1b" + b"c" * 9000 + b"</Message></Error>"
    for content in (document, document.replace(b"\x1b", b"")):
        with pytest.raises(RefusedByServer) as refused:
            await store_over(always(400, content=content)).list_page("")
        assert len(str(refused.value)) < 400
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"x-oss-qos-delay-time": "7000"}, 7), ({"retry-after": "3"}, 3), ({"retry-after": "x"}, 0)],
)
async def test_a_server_that_asks_for_patience_gets_it(
    headers: dict[str, str], seconds: float, autojump_clock: MockClock
) -> None:
    began = trio.current_time()
    with pytest.raises(Unavailable):
        await store_over(always(503, headers=headers), retries=1).head(KEY)
    assert seconds <= trio.current_time() - began <= seconds + 0.2


@pytest.mark.parametrize(
    ("call", "size", "in_thread"),
    [
        (calls.bucket_info(), 1000, False),
        (calls.bucket_info(), 1_000_000, True),
        (calls.get(KEY, 0, None, None), 1_000_000, False),
    ],
)
async def test_long_documents_are_read_beside_the_event_loop(
    call: calls.Call, size: int, in_thread: bool
) -> None:
    client = Client(
        address_of("bucket", region="cn-hangzhou"),
        region="cn-hangzhou",
        credentials=CREDENTIALS,
        transport=httpx.MockTransport(always(200, content=bytes(size))),
        retry=Retry(),
        timeout=1.0,
    )
    reader = await client.call(call, lambda answer: threading.get_ident())
    assert (reader != threading.get_ident()) == in_thread


def test_documents_are_limited_to_what_they_may_need() -> None:
    listing = calls.list_page("", delimiter="", token=None, start_after="", max_keys=1000)
    assert listing.max_body == 8 << 20
    assert calls.get_tags(KEY).max_body == calls.bucket_info().max_body == 1 << 20


async def test_an_endless_explanation_of_a_refusal_is_not_read() -> None:
    document = b"<Error><Code>NoSuchKey</Code>" + b"<a/>" * 20_000 + b"</Error>"
    with pytest.raises(RefusedByServer) as refused:
        await store_over(always(400, content=document)).get(KEY)
    assert refused.value.code == ""


async def test_retries_are_logged_without_names(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(Unavailable):
        await store_over(always(503, headers={"x-oss-request-id": "R"})).delete(KEY)
    assert "DeleteObject repeated" in caplog.text
    assert "request id R" in caplog.text
    assert KEY not in caplog.text


async def test_a_copy_that_is_to_be_asked_for_once_is_not_repeated() -> None:
    asked = 0

    def answers(_request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return httpx.Response(503)

    with pytest.raises(Unavailable):
        await store_over(answers).copy(ObjectKey("a"), ObjectKey("b"), once=True)
    assert asked == 1


async def test_a_write_that_arrived_damaged_is_repeated(autojump_clock: MockClock) -> None:
    crcs = [str(fastcrc.crc64.xz(b"other")), str(fastcrc.crc64.xz(b"body"))]

    def answers(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"etag": "E", "x-oss-hash-crc64ecma": crcs.pop(0)})

    assert (await store_over(answers).put(KEY, b"body", PLAIN)).crc64 == fastcrc.crc64.xz(b"body")
    assert crcs == []
    with pytest.raises(Unavailable, match="not what was sent"):
        await store_over(always(200, headers={"etag": "E", "x-oss-hash-crc64ecma": "1"})).put_part(
            KEY, "U", 1, b"body"
        )


async def test_a_careful_write_that_arrived_damaged_replaces_itself() -> None:
    seen: list[str | None] = []

    def answers(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("x-oss-forbid-overwrite"))
        crc64 = "1" if len(seen) == 1 else str(fastcrc.crc64.xz(b"body"))
        return httpx.Response(200, headers={"etag": "E", "x-oss-hash-crc64ecma": crc64})

    await store_over(answers).put(KEY, b"body", PutOptions(forbid_overwrite=True))
    assert seen == ["true", None]


async def test_an_upload_that_was_joined_wrongly_is_not_taken_for_stored() -> None:
    def answers(request: httpx.Request) -> httpx.Response:
        if "uploads" in target_of(request):
            name, value = "InitiateMultipartUploadResult", "<UploadId>U</UploadId>"
        else:
            name, value = "CompleteMultipartUploadResult", "<ETag>E-1</ETag>"
        is_part = request.method == "PUT"
        crc64 = fastcrc.crc64.xz(b"body") if is_part else 1
        return httpx.Response(
            200,
            content=b"" if is_part else f"<{name}>{value}</{name}>".encode(),
            headers={"etag": "E", "x-oss-hash-crc64ecma": str(crc64)},
        )

    store = store_over(answers)
    upload_id = await store.initiate_multipart(KEY, PLAIN)
    part = await store.put_part(KEY, upload_id, 1, b"body")
    with pytest.raises(Unavailable, match="joined"):
        await store.complete_multipart(KEY, upload_id, [part])


async def test_a_foreign_object_behind_an_unclear_attempt_is_not_ours(
    autojump_clock: MockClock,
) -> None:
    puts = 0

    def answers(request: httpx.Request) -> httpx.Response:
        nonlocal puts
        if request.method == "HEAD":
            return httpx.Response(200, headers=FACTS | {"content-length": "4"})
        puts += 1
        code = "InternalError" if puts == 1 else "FileAlreadyExists"
        content = f"<Error><Code>{code}</Code></Error>".encode()
        return httpx.Response(500 if puts == 1 else 409, content=content)

    with pytest.raises(AlreadyExists):
        await store_over(answers).put(KEY, b"body", PutOptions(forbid_overwrite=True))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"etag": "E"},
        FACTS | {"etag": '""'},
        FACTS | {"last-modified": "yesterday"},
        FACTS | {"last-modified": "Fri, 99 Jan 2026 03:04:05 GMT"},
        FACTS | {"x-oss-hash-crc64ecma": "-1"},
        FACTS | {"x-oss-tagging-count": "many"},
        FACTS | {"content-length": "9"},
    ],
)
async def test_facts_that_are_none_are_unavailable(
    headers: dict[str, str], autojump_clock: MockClock
) -> None:
    store = store_over(always(200, content=b"body", headers=headers))
    with pytest.raises(Unavailable):
        await store.get(KEY)


@pytest.mark.parametrize(
    "content_range",
    ["", "bytes 0-3/10", "bytes 2-5/4", "bytes 2-9/10", "bytes */10", "items 2-5/9"],
)
async def test_another_range_than_asked_for_is_never_handed_out(
    content_range: str, autojump_clock: MockClock
) -> None:
    headers = FACTS | {"content-range": content_range}
    with pytest.raises(Unavailable):
        await store_over(always(206, content=b"body", headers=headers)).get(KEY, start=2, length=4)


async def test_a_server_without_ranges_is_understood() -> None:
    store = store_over(always(200, content=b"0123456789", headers=FACTS))
    info, read = await store.get(KEY, start=2, length=3)
    assert (bytes(read), info.size) == (b"234", 10)
    assert bytes((await store.get(KEY, start=8, length=9))[1]) == b"89"
    assert bytes((await store.get(KEY, start=8))[1]) == b"89"
    with pytest.raises(RangeNotSatisfiable):
        await store.get(KEY, start=10, length=1)


async def test_metadata_that_is_no_utf8_is_still_text() -> None:
    headers = [(name.encode(), value.encode()) for name, value in FACTS.items()]
    headers += [
        (b"content-length", b"0"),
        (b"X-Oss-Meta-A", b"\xe4"),
        (b"x-oss-meta-b", b"\xc3\xa4"),
    ]

    def answers(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=headers)

    assert (await store_over(answers).head(KEY)).metadata == {"a": "\u00e4", "b": "\u00e4"}


async def test_one_key_that_cannot_be_deleted_is_an_error() -> None:
    document = (
        b"<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code>"
        b"<Message>no</Message></Error></DeleteResult>"
    )
    with pytest.raises(AccessDenied):
        await store_over(always(200, content=document)).delete_many([KEY])


def test_deletions_are_split_by_number_size_and_form() -> None:
    numbers = [ObjectKey(str(number)) for number in range(2500)]
    assert len(list(calls.delete_many(numbers))) == 3
    long = [ObjectKey("&" * 1019 + f"{number:04}") for number in range(1000)]
    batches = list(calls.delete_many(long))
    assert len(batches) > 1
    assert all(len(batch.body) <= 2_000_000 for batch in batches)
    mixed = list(calls.delete_many([ObjectKey("a"), ObjectKey("\x01"), ObjectKey("b")]))
    assert [call.operation for call in mixed] == ["DeleteObject", "DeleteMultipleObjects"]
    assert mixed[0].key == "\x01"


async def test_a_success_without_sense_is_unavailable(autojump_clock: MockClock) -> None:
    store = store_over(always(200, content=b"<html/>"))
    for run in (
        store.bucket_info,
        lambda: store.list_page(""),
        lambda: store.get_tags(KEY),
        lambda: store.initiate_multipart(KEY, PLAIN),
        lambda: store.copy(KEY, ObjectKey("b")),
        lambda: store.head(KEY),
    ):
        with pytest.raises(StoreError) as failed:
            await run()
        assert failed.value.retryable


async def test_a_clock_that_cannot_be_corrected_is_an_error() -> None:
    document = b"<Error><Code>RequestTimeTooSkewed</Code></Error>"
    headers = {"date": "Fri, 02 Jan 2026 03:04:05 GMT"}
    with pytest.raises(AccessDenied, match="RequestTimeTooSkewed"):
        await store_over(always(403, content=document, headers=headers)).list_page("")
