"""The client when server, network, clock or credentials fail it; time is that of the mock clock.

Each test names `patient_clock` itself, since pytest-trio looks for a clock nowhere else.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from ossfs.devserver import Credential, Server, ServerConfig, serve
from ossfs.errors import (
    AccessDenied,
    AlreadyExists,
    BadCredentials,
    BucketError,
    NoSuchBucket,
    NoSuchUpload,
    NotFound,
    StoreError,
    TimedOut,
    Unavailable,
)
from ossfs.store.base import Part, PutOptions
from ossfs.store.credentials import Credentials, EnvironmentCredentials
from ossfs.store.oss import OssStore
from tests.contract.suite import MIN_PART, key, some_bytes

PLAIN = PutOptions()
CAREFUL = PutOptions(metadata={"m": "1"}, forbid_overwrite=True)
BODY = some_bytes(200_000)
REACHES = pytest.mark.parametrize("drop", ["before", "after"])

Opener = Callable[..., OssStore]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    config = ServerConfig(
        root=tmp_path,
        credentials={
            "lasting": Credential(secret="lasting-secret"),
            "temporary": Credential(secret="temporary-secret", token="the/token+="),
            "expired": Credential(
                secret="expired-secret", token="t", token_expires=time.time() - 1
            ),
        },
    )
    async with trio.open_nursery() as nursery:
        running: Server = await nursery.start(serve, config)
        running.create_bucket("bucket")
        yield running
        nursery.cancel_scope.cancel()


@pytest.fixture
async def opened(server: Server) -> AsyncIterator[Opener]:
    """Opens stores on the bucket and closes them in the end."""
    stores = []

    def open_one(
        *,
        access_key: tuple[str, str, str] = ("lasting", "lasting-secret", ""),
        bucket: str = "bucket",
        endpoint: str = "",
        clock: Callable[[], float] = time.time,
    ) -> OssStore:
        names = ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN")
        store = OssStore(
            bucket,
            region="cn-hangzhou",
            endpoint=endpoint or server.endpoint,
            credentials=EnvironmentCredentials(dict(zip(names, access_key, strict=True))),
            retries=3,
            timeout=10,
            clock=clock,
        )
        stores.append(store)
        return store

    yield open_one
    for store in stores:
        await store.aclose()


@pytest.fixture
def store(opened: Opener) -> OssStore:
    return opened()


@REACHES
async def test_operations_survive_a_lost_connection(
    server: Server, store: OssStore, drop: str, patient_clock: MockClock
) -> None:
    operations: list[tuple[str, Callable[[], Awaitable[object]]]] = [
        ("PutObject", lambda: store.put(key("a"), BODY, PLAIN)),
        ("HeadObject", lambda: store.head(key("a"))),
        ("GetObject", lambda: store.get(key("a"), start=5, length=100_000)),
        ("CopyObject", lambda: store.copy(key("a"), key("b"))),
        ("PutObjectTagging", lambda: store.put_tags(key("a"), {"t": "1"})),
        ("GetObjectTagging", lambda: store.get_tags(key("a"))),
        ("DeleteObjectTagging", lambda: store.put_tags(key("a"), {})),
        ("ListObjectsV2", lambda: store.list_page("")),
        ("DeleteObject", lambda: store.delete(key("b"))),
        ("DeleteMultipleObjects", lambda: store.delete_many([key("b"), key("c")])),
        ("InitiateMultipartUpload", lambda: store.initiate_multipart(key("m"), PLAIN)),
        ("GetBucketInfo", store.bucket_info),
    ]
    for operation, run in operations:
        server.faults.add(f"op={operation},times=2,drop={drop}")
        await run()
    assert server.object_bytes("bucket", "a") == BODY


@REACHES
async def test_a_careful_put_finds_its_own_earlier_attempt(
    server: Server, store: OssStore, drop: str, patient_clock: MockClock
) -> None:
    server.faults.add(f"op=PutObject,times=1,drop={drop}")
    stored = await store.put(key("a"), BODY, CAREFUL)
    info = await store.head(key("a"))
    assert (info.etag, info.crc64) == (stored.etag, stored.crc64)
    assert server.requests.count("PutObject") == 2


@REACHES
async def test_a_careful_put_does_not_take_a_foreign_object_for_its_own(
    server: Server, store: OssStore, drop: str, patient_clock: MockClock
) -> None:
    await store.put(key("a"), BODY, PutOptions(metadata={"m": "2"}))
    server.faults.add(f"op=PutObject,skip=0,times=1,drop={drop}")
    with pytest.raises(AlreadyExists):
        await store.put(key("a"), BODY, CAREFUL)
    assert (await store.head(key("a"))).metadata == {"m": "2"}


async def test_a_refusal_without_an_earlier_attempt_is_not_questioned(
    server: Server, store: OssStore, patient_clock: MockClock
) -> None:
    await store.put(key("a"), BODY, PutOptions(metadata={"m": "1"}))
    with pytest.raises(AlreadyExists):
        await store.put(key("a"), BODY, CAREFUL)
    assert server.requests.count("HeadObject") == 0


async def test_what_cannot_be_settled_stays_an_error_that_may_pass(
    server: Server, store: OssStore, patient_clock: MockClock
) -> None:
    server.faults.add("op=PutObject,times=1,drop=after")
    server.faults.add("op=HeadObject,status=503")
    with pytest.raises(Unavailable):
        await store.put(key("a"), BODY, CAREFUL)


@REACHES
async def test_a_careful_copy_finds_its_own_earlier_attempt(
    server: Server, store: OssStore, drop: str, patient_clock: MockClock
) -> None:
    await store.put(key("a"), BODY, PutOptions(metadata={"m": "1"}))
    server.faults.add(f"op=CopyObject,times=1,drop={drop}")
    copied = await store.copy(key("a"), key("b"), forbid_overwrite=True)
    assert copied.etag == (await store.head(key("b"))).etag
    await store.put(key("c"), b"foreign", PLAIN)
    server.faults.add(f"op=CopyObject,times=1,drop={drop}")
    with pytest.raises(AlreadyExists):
        await store.copy(key("a"), key("c"), forbid_overwrite=True)


async def _parts(store: OssStore, options: PutOptions) -> tuple[str, list[Part]]:
    upload_id = await store.initiate_multipart(key("m"), options)
    bodies = [some_bytes(MIN_PART), b"end"]
    parts = [
        await store.put_part(key("m"), upload_id, number, body)
        for number, body in enumerate(bodies, 1)
    ]
    return upload_id, parts


@REACHES
@pytest.mark.parametrize("forbid_overwrite", [False, True])
async def test_a_completion_finds_its_own_earlier_attempt(
    server: Server, store: OssStore, drop: str, forbid_overwrite: bool, patient_clock: MockClock
) -> None:
    upload_id, parts = await _parts(store, PutOptions(metadata={"Mode": "1"}))
    server.faults.add(f"op=CompleteMultipartUpload,times=1,drop={drop}")
    stored = await store.complete_multipart(
        key("m"), upload_id, parts, forbid_overwrite=forbid_overwrite
    )
    assert stored.etag == (await store.head(key("m"))).etag


async def test_a_completion_does_not_take_a_foreign_object_for_its_own(
    server: Server, opened: Opener, patient_clock: MockClock
) -> None:
    store, foreign = opened(), opened()
    upload_id, parts = await _parts(store, PLAIN)
    await foreign.put(key("m"), b"foreign", PLAIN)
    await foreign.abort_multipart(key("m"), upload_id)
    server.faults.add("op=CompleteMultipartUpload,times=1,drop=before")
    with pytest.raises(NoSuchUpload):
        await store.complete_multipart(key("m"), upload_id, parts)


async def test_an_upload_of_another_process_is_not_vouched_for(
    server: Server, opened: Opener, patient_clock: MockClock
) -> None:
    upload_id, parts = await _parts(opened(), PLAIN)
    server.faults.add("op=CompleteMultipartUpload,times=1,drop=after")
    with pytest.raises(NoSuchUpload):
        await opened().complete_multipart(key("m"), upload_id, parts)


@pytest.mark.parametrize("length", [None, 150_000])
async def test_a_body_cut_short_is_asked_for_again(
    server: Server, store: OssStore, length: int | None, patient_clock: MockClock
) -> None:
    await store.put(key("a"), BODY, PLAIN)
    server.faults.add("op=GetObject,times=2,truncate=1000")
    _, read = await store.get(key("a"), length=length)
    assert bytes(read) == BODY[:length]
    server.faults.add("op=GetObject,truncate=0")
    with pytest.raises(Unavailable):
        await store.get(key("a"), length=length)


@pytest.mark.parametrize(
    "fault",
    ["status=503", "status=500", "code=RequestTimeout,status=400", "status=429,code=Throttled"],
)
async def test_passing_troubles_pass(
    server: Server, store: OssStore, fault: str, patient_clock: MockClock
) -> None:
    server.faults.add(f"op=PutObject,times=3,{fault}")
    await store.put(key("a"), BODY, PLAIN)
    assert server.requests.count("PutObject") == 4


async def test_lasting_troubles_end_with_the_words_of_the_server(
    server: Server, store: OssStore, patient_clock: MockClock
) -> None:
    server.faults.add("op=PutObject,status=503,code=TotalQpsLimitExceeded")
    with pytest.raises(Unavailable) as failed:
        await store.put(key("a"), BODY, PLAIN)
    assert server.requests.count("PutObject") == 4
    assert (failed.value.status, failed.value.code) == (503, "TotalQpsLimitExceeded")
    assert failed.value.request_id


async def test_refusals_are_not_repeated(
    server: Server, store: OssStore, patient_clock: MockClock
) -> None:
    server.faults.add("op=HeadObject,status=403,code=AccessDenied")
    with pytest.raises(AccessDenied) as refused:
        await store.head(key("a"))
    assert (refused.value.code, refused.value.status) == ("AccessDenied", 403)
    assert refused.value.request_id
    assert server.requests.count("HeadObject") == 1


async def test_a_stalled_server_times_out(
    server: Server, store: OssStore, patient_clock: MockClock
) -> None:
    server.faults.add("op=GetObject,delay=100000")
    began = trio.current_time()
    with pytest.raises(TimedOut, match="no byte moved for 10 s"):
        await store.get(key("a"))
    assert 40 <= trio.current_time() - began <= 45


async def test_a_slow_completion_has_more_time(
    server: Server, store: OssStore, patient_clock: MockClock
) -> None:
    upload_id, parts = await _parts(store, PLAIN)
    server.faults.add("op=CompleteMultipartUpload,delay=30000")
    await store.complete_multipart(key("m"), upload_id, parts)
    assert server.requests.count("CompleteMultipartUpload") == 1


@pytest.mark.parametrize("hours", [-5, 5])
async def test_a_wrong_clock_is_corrected_once(
    server: Server, opened: Opener, hours: int, patient_clock: MockClock
) -> None:
    store = opened(clock=lambda: time.time() + hours * 3600)
    await store.put(key("a"), BODY, PLAIN)
    await store.head(key("a"))
    assert server.requests.count("PutObject") == 2
    assert server.requests.count("HeadObject") == 1


async def test_a_clock_is_corrected_after_a_head_too(
    server: Server, opened: Opener, patient_clock: MockClock
) -> None:
    store = opened(clock=lambda: time.time() + 3600)
    with pytest.raises(NotFound):
        await store.head(key("a"))
    assert server.requests.count("HeadObject") == 2


async def test_a_temporary_key_needs_its_token(
    server: Server, opened: Opener, patient_clock: MockClock
) -> None:
    store = opened(access_key=("temporary", "temporary-secret", "the/token+="))
    await store.put(key("a"), BODY, PLAIN)
    without = opened(access_key=("temporary", "temporary-secret", ""))
    with pytest.raises(BadCredentials):
        await without.head(key("a"))


@pytest.mark.parametrize(
    ("access_key", "code"),
    [
        (("nobody", "secret", ""), "InvalidAccessKeyId"),
        (("lasting", "wrong", ""), "SignatureDoesNotMatch"),
        (("expired", "expired-secret", "t"), "SecurityTokenExpired"),
    ],
)
async def test_credentials_that_do_not_work_are_told_apart(
    server: Server,
    opened: Opener,
    access_key: tuple[str, str, str],
    code: str,
    patient_clock: MockClock,
) -> None:
    store = opened(access_key=access_key)
    for ask in (store.bucket_info, lambda: store.head(key("a")), lambda: store.list_page("")):
        with pytest.raises(BadCredentials) as refused:
            await ask()
        assert refused.value.code == code
        assert access_key[1] not in str(refused.value)


async def test_a_missing_bucket_is_told_apart(opened: Opener, patient_clock: MockClock) -> None:
    store = opened(bucket="absent")
    with pytest.raises(NoSuchBucket):
        await store.bucket_info()
    with pytest.raises(NoSuchBucket):
        await store.head(key("a"))


async def test_an_unreachable_server_is_told_apart(
    opened: Opener, patient_clock: MockClock
) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    store = opened(endpoint=f"http://127.0.0.1:{port}")
    with pytest.raises(Unavailable, match=f"cannot reach 127.0.0.1:{port}: Connection refused"):
        await store.bucket_info()


async def test_missing_credentials_are_bad_credentials(
    server: Server, patient_clock: MockClock
) -> None:
    class Nothing:
        async def get(self) -> Credentials:
            raise BucketError("no access key here")

    store = OssStore(
        "bucket", region="cn-hangzhou", endpoint=server.endpoint, credentials=Nothing()
    )
    with pytest.raises(BadCredentials, match="no access key here"):
        await store.head(key("a"))


async def test_hundreds_of_tasks_share_one_store(
    server: Server, store: OssStore, patient_clock: MockClock
) -> None:
    async def work(number: int) -> None:
        body = some_bytes(number * 100)
        await store.put(key(f"k{number}"), body, PLAIN)
        assert bytes((await store.get(key(f"k{number}")))[1]) == body

    async with trio.open_nursery() as nursery:
        for number in range(300):
            nursery.start_soon(work, number)
    assert len(server.keys("bucket")) == 300


async def test_cancelled_calls_leave_the_store_usable(
    server: Server, store: OssStore, patient_clock: MockClock
) -> None:
    await store.put(key("a"), BODY, PLAIN)
    server.faults.add("op=GetObject,times=1,delay=5000")
    with trio.move_on_after(1) as scope:
        await store.get(key("a"))
    assert scope.cancelled_caught
    assert bytes((await store.get(key("a")))[1]) == BODY


async def test_only_store_errors_come_out_whatever_breaks(
    server: Server, store: OssStore, patient_clock: MockClock
) -> None:
    for fault in ("drop=before", "drop=after", "truncate=1", "status=418,code=Teapot"):
        server.faults.clear()
        server.faults.add(f"op=*,{fault}")
        for run in (store.bucket_info, lambda: store.list_page("")):
            try:
                await run()
            except StoreError:
                continue
