"""The client when server, network, clock or credentials fail it; time is that of the mock clock.

Each test names `patient_clock` itself, since pytest-trio looks for a clock nowhere else.
"""

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from ossfs.devserver import Server
from ossfs.errors import (
    AccessDenied,
    AlreadyExists,
    NoSuchUpload,
    StoreError,
    TimedOut,
    Unavailable,
)
from ossfs.store.base import Part, PutOptions
from ossfs.store.oss import OssStore
from tests.contract.conftest import Opener
from tests.contract.material import MIN_PART, key, some_bytes

PLAIN = PutOptions()
CAREFUL = PutOptions(metadata={"m": "1"}, forbid_overwrite=True)
BODY = some_bytes(200_000)
REACHES = pytest.mark.parametrize("drop", ["before", "after"])


@REACHES
async def test_operations_survive_a_lost_connection(
    loop_server: Server, oss: OssStore, drop: str, patient_clock: MockClock
) -> None:
    operations: list[tuple[str, Callable[[], Awaitable[object]]]] = [
        ("PutObject", lambda: oss.put(key("a"), BODY, PLAIN)),
        ("HeadObject", lambda: oss.head(key("a"))),
        ("GetObject", lambda: oss.get(key("a"), start=5, length=100_000)),
        ("CopyObject", lambda: oss.copy(key("a"), key("b"))),
        ("PutObjectTagging", lambda: oss.put_tags(key("a"), {"t": "1"})),
        ("GetObjectTagging", lambda: oss.get_tags(key("a"))),
        ("DeleteObjectTagging", lambda: oss.put_tags(key("a"), {})),
        ("ListObjectsV2", lambda: oss.list_page("")),
        ("DeleteObject", lambda: oss.delete(key("b"))),
        ("DeleteMultipleObjects", lambda: oss.delete_many([key("b"), key("c")])),
        ("InitiateMultipartUpload", lambda: oss.initiate_multipart(key("m"), PLAIN)),
        ("GetBucketInfo", oss.bucket_info),
    ]
    for operation, run in operations:
        loop_server.faults.add(f"op={operation},times=2,drop={drop}")
        await run()
    assert loop_server.object_bytes("bucket", "a") == BODY


@REACHES
async def test_a_careful_put_finds_its_own_earlier_attempt(
    loop_server: Server, oss: OssStore, drop: str, patient_clock: MockClock
) -> None:
    loop_server.faults.add(f"op=PutObject,times=1,drop={drop}")
    stored = await oss.put(key("a"), BODY, CAREFUL)
    info = await oss.head(key("a"))
    assert (info.etag, info.crc64) == (stored.etag, stored.crc64)
    assert loop_server.requests.count("PutObject") == 2


@REACHES
async def test_a_careful_put_does_not_take_a_foreign_object_for_its_own(
    loop_server: Server, oss: OssStore, drop: str, patient_clock: MockClock
) -> None:
    await oss.put(key("a"), BODY, PutOptions(metadata={"m": "2"}))
    loop_server.faults.add(f"op=PutObject,skip=0,times=1,drop={drop}")
    with pytest.raises(AlreadyExists):
        await oss.put(key("a"), BODY, CAREFUL)
    assert (await oss.head(key("a"))).metadata == {"m": "2"}


async def test_a_refusal_without_an_earlier_attempt_is_not_questioned(
    loop_server: Server, oss: OssStore, patient_clock: MockClock
) -> None:
    await oss.put(key("a"), BODY, PutOptions(metadata={"m": "1"}))
    with pytest.raises(AlreadyExists):
        await oss.put(key("a"), BODY, CAREFUL)
    assert loop_server.requests.count("HeadObject") == 0


async def test_what_cannot_be_settled_stays_an_error_that_may_pass(
    loop_server: Server, oss: OssStore, patient_clock: MockClock
) -> None:
    loop_server.faults.add("op=PutObject,times=1,drop=after")
    loop_server.faults.add("op=HeadObject,status=503")
    with pytest.raises(Unavailable):
        await oss.put(key("a"), BODY, CAREFUL)


@REACHES
async def test_a_careful_copy_finds_its_own_earlier_attempt(
    loop_server: Server, oss: OssStore, drop: str, patient_clock: MockClock
) -> None:
    await oss.put(key("a"), BODY, PutOptions(metadata={"m": "1"}))
    loop_server.faults.add(f"op=CopyObject,times=1,drop={drop}")
    copied = await oss.copy(key("a"), key("b"), forbid_overwrite=True)
    assert copied.etag == (await oss.head(key("b"))).etag
    await oss.put(key("c"), b"foreign", PLAIN)
    loop_server.faults.add(f"op=CopyObject,times=1,drop={drop}")
    with pytest.raises(AlreadyExists):
        await oss.copy(key("a"), key("c"), forbid_overwrite=True)


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
    loop_server: Server, oss: OssStore, drop: str, forbid_overwrite: bool, patient_clock: MockClock
) -> None:
    upload_id, parts = await _parts(oss, PutOptions(metadata={"Mode": "1"}))
    loop_server.faults.add(f"op=CompleteMultipartUpload,times=1,drop={drop}")
    stored = await oss.complete_multipart(
        key("m"), upload_id, parts, forbid_overwrite=forbid_overwrite
    )
    assert stored.etag == (await oss.head(key("m"))).etag


async def test_a_completion_does_not_take_a_foreign_object_for_its_own(
    loop_server: Server, opened: Opener, patient_clock: MockClock
) -> None:
    store, foreign = opened(), opened()
    upload_id, parts = await _parts(store, PLAIN)
    await foreign.put(key("m"), b"foreign", PLAIN)
    await foreign.abort_multipart(key("m"), upload_id)
    loop_server.faults.add("op=CompleteMultipartUpload,times=1,drop=before")
    with pytest.raises(NoSuchUpload):
        await store.complete_multipart(key("m"), upload_id, parts)


async def test_an_upload_of_another_process_is_not_vouched_for(
    loop_server: Server, opened: Opener, patient_clock: MockClock
) -> None:
    upload_id, parts = await _parts(opened(), PLAIN)
    loop_server.faults.add("op=CompleteMultipartUpload,times=1,drop=after")
    with pytest.raises(NoSuchUpload):
        await opened().complete_multipart(key("m"), upload_id, parts)


@pytest.mark.parametrize("length", [None, 150_000])
async def test_a_body_cut_short_is_asked_for_again(
    loop_server: Server, oss: OssStore, length: int | None, patient_clock: MockClock
) -> None:
    await oss.put(key("a"), BODY, PLAIN)
    loop_server.faults.add("op=GetObject,times=2,truncate=1000")
    _, read = await oss.get(key("a"), length=length)
    assert bytes(read) == BODY[:length]
    loop_server.faults.add("op=GetObject,truncate=0")
    with pytest.raises(Unavailable):
        await oss.get(key("a"), length=length)


@pytest.mark.parametrize(
    "fault",
    ["status=503", "status=500", "code=RequestTimeout,status=400", "status=429,code=Throttled"],
)
async def test_passing_troubles_pass(
    loop_server: Server, oss: OssStore, fault: str, patient_clock: MockClock
) -> None:
    loop_server.faults.add(f"op=PutObject,times=3,{fault}")
    await oss.put(key("a"), BODY, PLAIN)
    assert loop_server.requests.count("PutObject") == 4


async def test_lasting_troubles_end_with_the_words_of_the_server(
    loop_server: Server, oss: OssStore, patient_clock: MockClock
) -> None:
    loop_server.faults.add("op=PutObject,status=503,code=TotalQpsLimitExceeded")
    with pytest.raises(Unavailable) as failed:
        await oss.put(key("a"), BODY, PLAIN)
    assert loop_server.requests.count("PutObject") == 4
    assert (failed.value.status, failed.value.code) == (503, "TotalQpsLimitExceeded")
    assert failed.value.request_id


async def test_refusals_are_not_repeated(
    loop_server: Server, oss: OssStore, patient_clock: MockClock
) -> None:
    loop_server.faults.add("op=HeadObject,status=403,code=AccessDenied")
    with pytest.raises(AccessDenied) as refused:
        await oss.head(key("a"))
    assert (refused.value.code, refused.value.status) == ("AccessDenied", 403)
    assert refused.value.request_id
    assert loop_server.requests.count("HeadObject") == 1


async def test_a_stalled_server_times_out(
    loop_server: Server, oss: OssStore, patient_clock: MockClock
) -> None:
    loop_server.faults.add("op=GetObject,delay=100000")
    began = trio.current_time()
    with pytest.raises(TimedOut, match="no byte moved for 10 s"):
        await oss.get(key("a"))
    assert 40 <= trio.current_time() - began <= 45


async def test_a_slow_completion_has_more_time(
    loop_server: Server, oss: OssStore, patient_clock: MockClock
) -> None:
    upload_id, parts = await _parts(oss, PLAIN)
    loop_server.faults.add("op=CompleteMultipartUpload,delay=30000")
    await oss.complete_multipart(key("m"), upload_id, parts)
    assert loop_server.requests.count("CompleteMultipartUpload") == 1


async def test_hundreds_of_tasks_share_one_store(
    loop_server: Server, oss: OssStore, patient_clock: MockClock
) -> None:
    async def work(number: int) -> None:
        body = some_bytes(number * 100)
        await oss.put(key(f"k{number}"), body, PLAIN)
        assert bytes((await oss.get(key(f"k{number}")))[1]) == body

    async with trio.open_nursery() as nursery:
        for number in range(300):
            nursery.start_soon(work, number)
    assert len(loop_server.keys("bucket")) == 300


async def test_cancelled_calls_leave_the_store_usable(
    loop_server: Server, oss: OssStore, patient_clock: MockClock
) -> None:
    await oss.put(key("a"), BODY, PLAIN)
    loop_server.faults.add("op=GetObject,times=1,delay=5000")
    with trio.move_on_after(1) as scope:
        await oss.get(key("a"))
    assert scope.cancelled_caught
    assert bytes((await oss.get(key("a")))[1]) == BODY


async def test_only_store_errors_come_out_whatever_breaks(
    loop_server: Server, oss: OssStore, patient_clock: MockClock
) -> None:
    for fault in ("drop=before", "drop=after", "truncate=1", "status=418,code=Teapot"):
        loop_server.faults.clear()
        loop_server.faults.add(f"op=*,{fault}")
        for run in (oss.bucket_info, lambda: oss.list_page("")):
            try:
                await run()
            except StoreError:
                continue
