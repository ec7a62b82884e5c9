"""Fault rules, latency, bandwidth, and the journal that counts requests."""

import time
from pathlib import Path

import oss2
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from ossfs.devserver import FaultRule, RequestRecord, RunningServer
from ossfs.devserver.faults import Faults, parse
from ossfs.errors import UsageError
from tests.devserver.clients import Clients, settings


def test_a_rule_is_read_field_by_field() -> None:
    rule = parse(r"op=Put*,key=a\,b,skip=1,times=2,status=503,code=Busy,delay=7,drop=after")
    assert rule == FaultRule(
        op="Put*",
        key="a,b",
        skip=1,
        times=2,
        status=503,
        code="Busy",
        delay_ms=7,
        drop="after",
    )
    assert parse("truncate=3,corrupt=4") == FaultRule(truncate=3, corrupt=4)


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "op=PutObject",
        "status=abc",
        "status=200",
        "drop=now",
        "colour=red,status=500",
        "status=500,status=501",
        "status",
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: str) -> None:
    with pytest.raises(UsageError):
        parse(rule)


@given(skip=st.integers(0, 5), times=st.none() | st.integers(0, 5))
def test_a_rule_strikes_after_skip_and_as_often_as_times(skip: int, times: int | None) -> None:
    faults = Faults()
    faults.add(
        f"op=GetObject,skip={skip},status=500" + ("" if times is None else f",times={times}")
    )
    struck = []
    for _ in range(12):
        assert not faults.of("PutObject", "k")
        struck.append(bool(faults.of("GetObject", "k")))
    end = 12 if times is None else skip + times
    assert struck == [skip <= n < end for n in range(12)]


def test_an_answer_with_a_status_does_nothing(clients: Clients) -> None:
    clients.server.add_fault("op=PutObject,key=a*,times=1,status=503")
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        clients.bucket.put_object("a1", b"1")
    assert (caught.value.status, caught.value.code) == (503, "ServiceUnavailable")
    assert clients.server.keys("bkt") == []
    clients.bucket.put_object("a1", b"1")


def test_a_code_may_be_given_alone_or_be_unknown(clients: Clients) -> None:
    clients.server.add_fault("op=GetObject,code=NoSuchKey,times=1")
    with pytest.raises(oss2.exceptions.NoSuchKey):
        clients.bucket.get_object("k")
    clients.server.add_fault("op=GetObject,code=KmsServiceNotEnabled,status=403")
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        clients.bucket.get_object("k")
    assert (caught.value.status, caught.value.code) == (403, "KmsServiceNotEnabled")


@pytest.mark.parametrize(("when", "stored"), [("before", []), ("after", ["k"])])
def test_a_dropped_connection_cuts_before_or_after_the_deed(
    clients: Clients, when: str, stored: list[str]
) -> None:
    clients.server.add_fault(f"op=PutObject,drop={when},times=1")
    with pytest.raises(oss2.exceptions.RequestError):
        clients.bucket.put_object("k", b"1")
    assert clients.server.keys("bkt") == stored
    assert clients.server.requests.of("PutObject")[0].status == 0
    clients.bucket.put_object("k", b"1")


def test_a_truncated_body_ends_early(clients: Clients) -> None:
    clients.bucket.put_object("k", b"0123456789")
    clients.server.add_fault("op=GetObject,truncate=4,times=1")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="4 bytes read"):
        clients.bucket.get_object("k").read()
    assert clients.bucket.get_object("k").read() == b"0123456789"


@pytest.mark.parametrize(
    ("byte_range", "expected"),
    [((0, 9), b"01234\x345678\x39"), ((4, 6), b"4\x346"), ((0, 3), b"0123")],
)
def test_a_corrupted_byte_is_one_of_the_object_not_of_the_answer(
    clients: Clients, byte_range: tuple[int, int], expected: bytes
) -> None:
    clients.bucket.put_object("k", b"0123456789")
    clients.server.add_fault("op=GetObject,corrupt=5")
    found = clients.bucket.get_object("k", byte_range=byte_range).read()
    changed = bytearray(b"0123456789")
    changed[5] ^= 1
    assert found == bytes(changed[byte_range[0] : byte_range[1] + 1])
    assert len(found) == byte_range[1] - byte_range[0] + 1
    clients.server.clear_faults()
    assert clients.bucket.get_object("k").read() == b"0123456789"


def test_delays_and_latency_add_up(tmp_path: Path) -> None:
    config = settings(tmp_path, latency_ms=60, faults=["op=HeadObject,delay=60"])
    with RunningServer(config, buckets=["bkt"]) as server:
        bucket = Clients(server).bucket
        bucket.put_object("k", b"1")
        begun = time.monotonic()
        bucket.head_object("k")
        assert time.monotonic() - begun >= 0.12


def test_bandwidth_is_shared_and_counts_in_both_directions(tmp_path: Path) -> None:
    with RunningServer(settings(tmp_path, bandwidth_mb=5), buckets=["bkt"]) as server:
        bucket = Clients(server).bucket
        begun = time.monotonic()
        bucket.put_object("k", bytes(500_000))
        written = time.monotonic()
        bucket.get_object("k").read()
        assert written - begun >= 0.09
        assert time.monotonic() - written >= 0.09


def test_the_journal_knows_operation_key_status_and_sizes(clients: Clients) -> None:
    clients.bucket.put_object("k", b"123")
    clients.bucket.get_object("k", byte_range=(0, 1)).read()
    clients.bucket.head_object("k")
    with pytest.raises(oss2.exceptions.NoSuchKey):
        clients.bucket.get_object("missing").read()
    journal = clients.server.requests
    put, get, head, missing = journal.all()
    assert put == RequestRecord(
        operation="PutObject", bucket="bkt", key="k", status=200, received=3, sent=0
    )
    assert (get.operation, get.status, get.sent) == ("GetObject", 206, 2)
    assert (head.operation, head.status, head.sent) == ("HeadObject", 200, 0)
    assert (missing.key, missing.status, missing.error) == ("missing", 404, "NoSuchKey")
    assert journal.count("GetObject") == 2
    assert journal.count("GetObject", "k") == 1
    journal.clear()
    assert journal.all() == []
