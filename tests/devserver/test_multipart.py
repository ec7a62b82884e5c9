"""Multipart uploads through both SDKs."""

import io
from typing import Any

import alibabacloud_oss_v2 as oss
import fastcrc
import oss2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.devserver import crc64
from tests.devserver.clients import Clients

PART = 102_400


def body_of(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def put_parts(clients: Clients, key: str, upload_id: str, body: bytes) -> list[Any]:
    parts = []
    for number, start in enumerate(range(0, len(body), PART), 1):
        piece = body[start : start + PART]
        answer = clients.bucket.upload_part(key, upload_id, number, piece)
        parts.append(
            oss2.models.PartInfo(number, answer.etag, size=len(piece), part_crc=answer.crc)
        )
    return parts


@given(first=st.binary(), second=st.binary(), third=st.binary())
def test_combined_crcs_are_the_crc_of_the_whole(first: bytes, second: bytes, third: bytes) -> None:
    crc = fastcrc.crc64.xz
    joined = crc64.combine(
        crc64.combine(crc(first), crc(second), len(second)), crc(third), len(third)
    )
    assert joined == crc(first + second + third)


def test_an_upload_becomes_one_object_with_the_headers_of_its_beginning(shared: Clients) -> None:
    body = body_of(3 * PART + 5)
    headers = {
        "x-oss-meta-a": "1",
        "x-oss-tagging": "k=v",
        "x-oss-storage-class": "IA",
        "x-oss-server-side-encryption": "AES256",
        "Content-Type": "text/x-test",
    }
    upload_id = shared.bucket.init_multipart_upload("mp", headers=headers).upload_id
    done = shared.bucket.complete_multipart_upload(
        "mp", upload_id, put_parts(shared, "mp", upload_id, body)
    )
    assert done.etag.endswith("-4")
    found = shared.bucket.get_object("mp")
    assert found.read() == body
    assert found.etag == done.etag
    assert found.server_crc == fastcrc.crc64.xz(body)
    assert found.headers["x-oss-object-type"] == "Multipart"
    assert found.headers["x-oss-tagging-count"] == "1"
    assert "Content-MD5" not in found.headers
    expected = {name: value for name, value in headers.items() if name != "x-oss-tagging"}
    assert expected.items() <= dict(found.headers).items()
    assert (
        shared.bucket.get_object("mp", byte_range=(PART - 2, PART + 1)).read()
        == (body[PART - 2 : PART + 2])
    )


def test_the_uploader_and_downloader_of_the_second_sdk_work(shared: Clients) -> None:
    body = body_of(10 * PART + 1)
    shared.client.uploader(part_size=PART, parallel_num=3).upload_from(
        oss.PutObjectRequest(bucket="bkt", key="managed"), io.BytesIO(body)
    )
    assert shared.bucket.get_object("managed").read() == body


def test_parts_may_come_in_any_order_and_be_replaced(shared: Clients) -> None:
    bucket = shared.bucket
    upload_id = bucket.init_multipart_upload("any-order").upload_id
    bucket.upload_part("any-order", upload_id, 7, b"last, once")
    bucket.upload_part("any-order", upload_id, 7, b"last")
    bucket.upload_part("any-order", upload_id, 2, b"f" * PART)
    shared.client.complete_multipart_upload(
        oss.CompleteMultipartUploadRequest(
            bucket="bkt", key="any-order", upload_id=upload_id, complete_all="yes"
        )
    )
    assert bucket.get_object("any-order").read() == b"f" * PART + b"last"


def test_complete_takes_the_parts_it_lists_and_drops_the_others(clients: Clients) -> None:
    bucket = clients.bucket
    upload_id = bucket.init_multipart_upload("some").upload_id
    parts = put_parts(clients, "some", upload_id, body_of(3 * PART))
    bucket.complete_multipart_upload("some", upload_id, [parts[0], parts[2]])
    expected = body_of(3 * PART)
    assert bucket.get_object("some").read() == expected[:PART] + expected[2 * PART :]
    assert len(list((clients.server.config.root / "bodies").glob("*/*"))) == 2


def test_a_second_complete_finds_no_upload(shared: Clients) -> None:
    upload_id = shared.bucket.init_multipart_upload("twice").upload_id
    parts = put_parts(shared, "twice", upload_id, b"1")
    shared.bucket.complete_multipart_upload("twice", upload_id, parts)
    with pytest.raises(oss2.exceptions.NoSuchUpload):
        shared.bucket.complete_multipart_upload("twice", upload_id, parts)


def test_a_failed_complete_leaves_the_upload(shared: Clients) -> None:
    upload_id = shared.bucket.init_multipart_upload("again").upload_id
    parts = put_parts(shared, "again", upload_id, body_of(PART + 1))
    with pytest.raises(oss2.exceptions.ServerError):
        shared.bucket.complete_multipart_upload(
            "again", upload_id, [oss2.models.PartInfo(1, "0" * 32)]
        )
    shared.bucket.complete_multipart_upload("again", upload_id, parts)


def test_overwriting_is_forbidden_at_complete_too(shared: Clients) -> None:
    upload_id = shared.bucket.init_multipart_upload("taken").upload_id
    parts = put_parts(shared, "taken", upload_id, b"1")
    shared.bucket.put_object("taken", b"first")
    with pytest.raises(oss2.exceptions.ServerError, match="FileAlreadyExists"):
        shared.bucket.complete_multipart_upload(
            "taken", upload_id, parts, headers={"x-oss-forbid-overwrite": "true"}
        )
    assert shared.bucket.get_object("taken").read() == b"first"
    shared.bucket.complete_multipart_upload("taken", upload_id, parts)
    assert shared.bucket.get_object("taken").read() == b"1"


def test_an_abort_leaves_nothing(clients: Clients) -> None:
    upload_id = clients.bucket.init_multipart_upload("gone").upload_id
    put_parts(clients, "gone", upload_id, body_of(2 * PART))
    clients.bucket.abort_multipart_upload("gone", upload_id)
    assert not list((clients.server.config.root / "bodies").glob("*/*"))
    with pytest.raises(oss2.exceptions.NoSuchUpload):
        clients.bucket.upload_part("gone", upload_id, 1, b"1")


def test_parts_are_listed_in_pages(shared: Clients) -> None:
    upload_id = shared.bucket.init_multipart_upload("listed &").upload_id
    parts = put_parts(shared, "listed &", upload_id, body_of(2 * PART + 1))
    found = list(oss2.PartIterator(shared.bucket, "listed &", upload_id, max_parts=2))
    assert [(part.part_number, part.etag, part.size) for part in found] == [
        (part.part_number, part.etag, part.size) for part in parts
    ]
    page = shared.client.list_parts(
        oss.ListPartsRequest(bucket="bkt", key="listed &", upload_id=upload_id, max_parts=1)
    )
    assert (page.is_truncated, page.next_part_number_marker, page.key) == (True, 1, "listed &")


@pytest.mark.parametrize(
    ("byte_range", "expected"),
    [
        (None, slice(None)),
        ((10, 19), slice(10, 20)),
        ((PART, None), slice(PART, None)),
        ((10, 10**9), slice(None)),
    ],
)
def test_a_part_can_be_copied_from_an_object(
    shared: Clients, byte_range: tuple[int, int | None] | None, expected: slice
) -> None:
    body = body_of(PART + 100)
    shared.bucket.put_object("source", body)
    upload_id = shared.bucket.init_multipart_upload("copied").upload_id
    part = shared.bucket.upload_part_copy("bkt", "source", byte_range, "copied", upload_id, 1)
    shared.bucket.complete_multipart_upload(
        "copied", upload_id, [oss2.models.PartInfo(1, part.etag)]
    )
    found = shared.bucket.get_object("copied")
    assert found.read() == body[expected]
    assert found.server_crc == fastcrc.crc64.xz(body[expected])


def test_a_copy_of_a_multipart_object_keeps_its_tag(shared: Clients) -> None:
    upload_id = shared.bucket.init_multipart_upload("whole").upload_id
    body = body_of(2 * PART)
    done = shared.bucket.complete_multipart_upload(
        "whole", upload_id, put_parts(shared, "whole", upload_id, body)
    )
    assert shared.bucket.copy_object("bkt", "whole", "second").etag == done.etag
    shared.bucket.delete_object("whole")
    assert shared.bucket.get_object("second").read() == body
