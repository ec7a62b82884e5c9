"""Objects as the official SDKs write, read, copy, tag and delete them."""

import io
import time
from email.utils import formatdate
from typing import Any

import alibabacloud_oss_v2 as oss
import fastcrc
import oss2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.devserver.clients import Clients

# Above U+001F without surrogates: the SDKs cannot send other characters in every place.
_TEXT = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1, max_size=60)
# urllib3 resolves dot segments before it sends a path.
KEYS = _TEXT.filter(
    lambda key: (
        key[0] not in "/\\" and len(key.encode()) <= 1023 and not {".", ".."} & set(key.split("/"))
    )
)
FEW = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FEW
@given(key=KEYS, body=st.binary(max_size=300))
def test_any_key_holds_any_bytes(shared: Clients, key: str, body: bytes) -> None:
    stored = shared.bucket.put_object(key, body)
    found = shared.bucket.get_object(key)
    assert found.read() == body
    assert found.etag == stored.etag
    assert found.server_crc == fastcrc.crc64.xz(body)
    assert shared.server.object_bytes("bkt", key) == body
    assert key in [item.key for item in oss2.ObjectIteratorV2(shared.bucket, prefix=key)]
    shared.bucket.delete_object(key)
    assert not shared.bucket.object_exists(key)


def test_a_large_body_streams_through_both_ways(shared: Clients) -> None:
    body = bytes(range(256)) * 32_768
    shared.client.put_object(oss.PutObjectRequest(bucket="bkt", key="large", body=io.BytesIO(body)))
    assert shared.bucket.get_object("large").read() == body


def test_a_body_may_come_in_chunks(shared: Clients) -> None:
    answer = shared.raw("PUT", "chunked", content=iter([b"ab", b"cd"]))
    assert answer.status_code == 200
    assert shared.bucket.get_object("chunked").read() == b"abcd"


def test_headers_and_user_metadata_come_back(shared: Clients) -> None:
    sent = {
        "Content-Type": "text/x-test",
        "Cache-Control": "no-store",
        "x-oss-meta-Mixed": "Value",
        "x-oss-meta-empty": "",
    }
    shared.bucket.put_object("meta", b"1", headers=sent)
    for answer in (shared.bucket.head_object("meta"), shared.bucket.get_object("meta")):
        assert answer.headers["Content-Type"] == "text/x-test"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["x-oss-meta-mixed"] == "Value"
        assert answer.headers["x-oss-meta-empty"] == ""
        assert answer.headers["x-oss-object-type"] == "Normal"
        assert len(answer.headers["x-oss-request-id"]) == 24


def test_get_object_meta_hides_user_metadata(shared: Clients) -> None:
    shared.bucket.put_object("meta-only", b"123", headers={"x-oss-meta-a": "1"})
    answer = shared.bucket.get_object_meta("meta-only")
    assert answer.content_length == 3
    assert "x-oss-meta-a" not in answer.headers


def test_metadata_of_exactly_eight_kilobytes_fits(shared: Clients) -> None:
    name = "x-oss-meta-a"
    shared.bucket.put_object("full", b"", headers={name: "v" * (8192 - len(name))})
    with pytest.raises(oss2.exceptions.ServerError):
        shared.bucket.put_object("full", b"", headers={name: "v" * (8193 - len(name))})


def test_the_answer_to_a_get_can_be_dressed_by_the_query(shared: Clients) -> None:
    shared.bucket.put_object("dressed", b"1")
    found = shared.bucket.get_object("dressed", params={"response-content-type": "text/css"})
    assert found.headers["Content-Type"] == "text/css"


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ({"If-Match": "{etag}"}, 200),
        ({"If-Match": "other"}, 412),
        ({"If-None-Match": "other"}, 200),
        ({"If-None-Match": "{etag}"}, 304),
        ({"If-Modified-Since": "{before}"}, 200),
        ({"If-Modified-Since": "{after}"}, 304),
        ({"If-Unmodified-Since": "{after}"}, 200),
        ({"If-Unmodified-Since": "{before}"}, 412),
        ({"If-Match": "{etag}", "If-None-Match": "{etag}"}, 304),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions_hold_or_refuse(
    shared: Clients, method: str, condition: dict[str, str], status: int
) -> None:
    etag = shared.bucket.put_object("condition", b"1").etag
    now = time.time()
    facts = {
        "etag": f'"{etag}"',
        "before": formatdate(now - 60, usegmt=True),
        "after": formatdate(now + 60, usegmt=True),
    }
    headers = {name: value.format(**facts) for name, value in condition.items()}
    assert shared.raw(method, "condition", headers=headers).status_code == status


def test_a_copy_keeps_metadata_and_tags_but_no_class_and_no_encryption(shared: Clients) -> None:
    headers = {
        "x-oss-meta-a": "1",
        "x-oss-tagging": "k=v",
        "x-oss-storage-class": "IA",
        "x-oss-server-side-encryption": "AES256",
    }
    shared.bucket.put_object("from", b"body", headers=headers)
    shared.bucket.copy_object("bkt", "from", "to")
    found = shared.bucket.get_object("to")
    assert found.read() == b"body"
    assert found.headers["x-oss-meta-a"] == "1"
    assert found.headers["x-oss-tagging-count"] == "1"
    assert found.headers["x-oss-storage-class"] == "Standard"
    assert "x-oss-server-side-encryption" not in found.headers
    shared.bucket.delete_object("from")
    assert shared.bucket.get_object("to").read() == b"body"


def test_a_copy_may_replace_metadata_and_tags(shared: Clients) -> None:
    shared.bucket.put_object("from", b"1", headers={"x-oss-meta-a": "1", "x-oss-tagging": "k=v"})
    headers = {
        "x-oss-metadata-directive": "REPLACE",
        "x-oss-meta-b": "2",
        "x-oss-tagging-directive": "Replace",
        "x-oss-tagging": "x=y",
    }
    shared.bucket.copy_object("bkt", "from", "to", headers=headers)
    found = shared.bucket.head_object("to")
    assert "x-oss-meta-a" not in found.headers
    assert found.headers["x-oss-meta-b"] == "2"
    assert shared.bucket.get_object_tagging("to").tag_set.tagging_rule == {"x": "y"}


def test_a_copy_onto_itself_replaces_the_metadata(shared: Clients) -> None:
    shared.bucket.put_object("self", b"1", headers={"x-oss-meta-a": "1"})
    shared.bucket.update_object_meta("self", {"x-oss-meta-b": "2"})
    headers = shared.bucket.head_object("self").headers
    assert "x-oss-meta-a" not in headers
    assert headers["x-oss-meta-b"] == "2"
    assert shared.bucket.get_object("self").read() == b"1"


@pytest.mark.parametrize(
    ("condition", "fits"), [("{etag}", True), ('"{etag}"', True), ("other", False)]
)
def test_a_copy_depends_on_its_source(shared: Clients, condition: str, fits: bool) -> None:
    etag = shared.bucket.put_object("source", b"1").etag
    headers = {"x-oss-copy-source-if-match": condition.format(etag=etag)}
    if fits:
        shared.bucket.copy_object("bkt", "source", "target", headers=headers)
    else:
        with pytest.raises(oss2.exceptions.PreconditionFailed):
            shared.bucket.copy_object("bkt", "source", "target", headers=headers)


def test_a_copy_does_not_overwrite_if_forbidden(shared: Clients) -> None:
    shared.bucket.put_object("one", b"1")
    shared.bucket.put_object("two", b"2")
    with pytest.raises(oss2.exceptions.ServerError, match="FileAlreadyExists"):
        shared.bucket.copy_object("bkt", "one", "two", headers={"x-oss-forbid-overwrite": "true"})
    assert shared.bucket.get_object("two").read() == b"2"


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ({"x-oss-server-side-encryption": "AES256"}, None),
        (
            {
                "x-oss-server-side-encryption": "KMS",
                "x-oss-server-side-encryption-key-id": "{key}",
                "x-oss-server-side-data-encryption": "SM4",
            },
            None,
        ),
        ({"x-oss-server-side-encryption": "SM4"}, None),
        ({"x-oss-server-side-encryption": "KMS"}, "x-oss-server-side-encryption-key-id"),
    ],
)
def test_server_side_encryption_is_echoed(
    shared: Clients, asked: dict[str, str], answered: str | None
) -> None:
    key_id = shared.server.create_key()
    asked = {name: value.format(key=key_id) for name, value in asked.items()}
    put = shared.bucket.put_object("sse", b"1", headers=asked)
    copied = shared.bucket.copy_object("bkt", "sse", "sse-copy", headers=asked)
    got = shared.bucket.get_object("sse-copy")
    for answer in (put, copied, got):
        assert asked.items() <= dict(answer.headers).items()
        assert answered is None or answered in answer.headers


def test_tags_change_without_touching_the_object(clients: Clients) -> None:
    clients.bucket.put_object("tagged", b"1", headers={"x-oss-tagging": "a=1&b=x%20y"})
    before = clients.bucket.head_object("tagged")
    assert before.headers["x-oss-tagging-count"] == "2"
    assert clients.bucket.get_object_tagging("tagged").tag_set.tagging_rule == {
        "a": "1",
        "b": "x y",
    }
    rule = oss2.models.TaggingRule()
    rule.add("c", "+-=._:/")
    clients.bucket.put_object_tagging("tagged", oss2.models.Tagging(rule))
    after = clients.bucket.head_object("tagged")
    assert (after.etag, after.last_modified) == (before.etag, before.last_modified)
    assert clients.bucket.get_object_tagging("tagged").tag_set.tagging_rule == {"c": "+-=._:/"}
    clients.bucket.delete_object_tagging("tagged")
    assert "x-oss-tagging-count" not in clients.bucket.head_object("tagged").headers


def test_a_new_version_starts_without_the_old_tags(shared: Clients) -> None:
    shared.bucket.put_object("retagged", b"1", headers={"x-oss-tagging": "a=1"})
    shared.bucket.put_object("retagged", b"2")
    assert shared.bucket.get_object_tagging("retagged").tag_set.tagging_rule == {}


def test_a_symlink_reads_as_its_target(shared: Clients) -> None:
    shared.bucket.put_object("target é", b"body")
    shared.bucket.put_symlink("target é", "link", headers={"x-oss-meta-a": "1"})
    assert shared.bucket.get_object("link").read() == b"body"
    assert shared.bucket.head_object("link").headers["x-oss-object-type"] == "Symlink"
    assert shared.bucket.get_symlink("link").target_key == "target é"
    shared.bucket.copy_object("bkt", "link", "second link")
    shared.bucket.update_object_meta("second link", {"x-oss-meta-b": "2"})
    assert shared.bucket.get_symlink("second link").target_key == "target é"


def test_many_objects_are_deleted_at_once(clients: Clients) -> None:
    keys = [f"k {n} <&>" for n in range(5)]
    for key in keys:
        clients.bucket.put_object(key, b"1")
    assert clients.bucket.batch_delete_objects([*keys[:3], "missing"]).deleted_keys == [
        *keys[:3],
        "missing",
    ]
    quiet = clients.client.delete_multiple_objects(
        oss.DeleteMultipleObjectsRequest(
            bucket="bkt", objects=[oss.DeleteObject(key=keys[3])], quiet=True
        )
    )
    assert not quiet.deleted_objects
    assert clients.server.keys("bkt") == [keys[4]]


def test_deleting_nothing_succeeds(shared: Clients) -> None:
    assert shared.bucket.delete_object("never").status == 204


def test_overwritten_and_deleted_bodies_leave_the_disk(clients: Clients) -> None:
    for body in (b"1", b"2", b"3"):
        clients.bucket.put_object("k", body)
    bodies = clients.server.config.root / "bodies"
    assert len(list(bodies.glob("*/*"))) == 1
    clients.bucket.delete_object("k")
    assert not list(bodies.glob("*/*"))


def test_a_reader_keeps_the_version_it_began_with(clients: Clients) -> None:
    body = b"a" * 8_000_000
    clients.bucket.put_object("k", body)
    reading: Any = clients.bucket.get_object("k")
    clients.bucket.put_object("k", b"new")
    assert reading.read() == body
    assert clients.bucket.get_object("k").read() == b"new"


def test_buckets_are_made_listed_described_and_deleted(clients: Clients) -> None:
    client = clients.client
    client.put_bucket(
        oss.PutBucketRequest(
            bucket="second",
            create_bucket_configuration=oss.CreateBucketConfiguration(storage_class="IA"),
        )
    )
    listed = client.list_buckets(oss.ListBucketsRequest(max_keys=1))
    assert [item.name for item in listed.buckets] == ["bkt"]
    assert listed.is_truncated
    listed = client.list_buckets(oss.ListBucketsRequest(marker=listed.next_marker))
    assert [(item.name, item.storage_class) for item in listed.buckets] == [("second", "IA")]
    info = client.get_bucket_info(oss.GetBucketInfoRequest(bucket="second")).bucket_info
    assert (info.location, info.storage_class) == ("oss-cn-hangzhou", "IA")
    located = client.get_bucket_location(oss.GetBucketLocationRequest(bucket="second"))
    assert located.location == "oss-cn-hangzhou"
    second = clients.oss2(bucket="second")
    second.put_object("k", b"123")
    stat = second.get_bucket_stat()
    assert (stat.storage_size_in_bytes, stat.object_count) == (3, 1)
    second.delete_object("k")
    second.delete_bucket()
    with pytest.raises(oss2.exceptions.NoSuchBucket):
        second.get_bucket_info()
