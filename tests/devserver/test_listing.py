"""Listings against a model: the sorted keys, rolled up and cut into pages."""

from collections.abc import Iterator
from pathlib import Path

import alibabacloud_oss_v2 as oss
import oss2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ossfs.devserver.listing import page_of
from ossfs.devserver.storage import Store, StoredObject
from tests.devserver.clients import Clients

_NAMES = st.text("ab/\x7fé￿𐀀", min_size=1, max_size=6).filter(lambda name: name[0] != "/")
_QUIET = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store(tmp_path_factory.mktemp("store"))
    yield opened
    opened.close()


def rolled_up(keys: set[bytes], prefix: bytes, delimiter: bytes, after: bytes) -> list[bytes]:
    """Every key and common prefix behind *after*, in order, each once."""
    shown = set()
    for key in keys:
        if key.startswith(prefix):
            head, found, _ = (
                key[len(prefix) :].partition(delimiter) if delimiter else (b"", b"", b"")
            )
            shown.add(prefix + head + found if found else key)
    return sorted(name for name in shown if name > after)


def item() -> StoredObject:
    return StoredObject(
        size=0,
        modified=0,
        etag="",
        kind="Normal",
        storage_class="Standard",
        crc64=0,
        tags={},
        segments=(),
        headers={},
    )


@_QUIET
@given(
    keys=st.sets(_NAMES, max_size=25),
    prefix=st.text("ab/é", max_size=3),
    delimiter=st.sampled_from(["", "/", "a", "b/", "é"]),
    after=st.just("") | _NAMES,
    limit=st.integers(1, 5),
)
def test_pages_together_are_the_rolled_up_keys(
    store: Store,
    keys: set[str],
    prefix: str,
    delimiter: str,
    after: str,
    limit: int,
) -> None:
    # One store serves all examples, since opening one takes its time.
    for entry in store.scan("b", b"", None, -1):
        store.delete("b", entry.key)
    encoded = {key.encode() for key in keys}
    for key in encoded:
        store.put("b", key, item())
    found: list[bytes] = []
    position = after.encode()
    while True:
        page = page_of(
            store,
            "b",
            prefix=prefix.encode(),
            delimiter=delimiter.encode(),
            after=position,
            limit=limit,
        )
        names = sorted([entry.key for entry in page.objects] + page.prefixes)
        assert len(names) == limit or not page.truncated
        found += names
        if not page.truncated:
            break
        position = page.last
        assert position == names[-1]
    assert found == rolled_up(encoded, prefix.encode(), delimiter.encode(), after.encode())


def fill(clients: Clients, keys: list[str]) -> None:
    for key in keys:
        clients.bucket.put_object(key, b"1")


KEYS = ["a", "a/1", "a/2", "b+c &<é>", "b/x/1", "b/x/2", "z%20"]


def test_both_versions_page_through_both_sdks_alike(clients: Clients) -> None:
    fill(clients, KEYS)
    bucket, client = clients.bucket, clients.client
    for size in (1, 2, 3, 1000):
        first = [found.key for found in oss2.ObjectIterator(bucket, delimiter="/", max_keys=size)]
        second = [
            found.key for found in oss2.ObjectIteratorV2(bucket, delimiter="/", max_keys=size)
        ]
        assert first == second == ["a", "a/", "b+c &<é>", "b/", "z%20"]
        pages = client.list_objects_v2_paginator(limit=size).iter_page(
            oss.ListObjectsV2Request(bucket="bkt", prefix="b/", delimiter="/")
        )
        assert [p.prefix for page in pages for p in page.common_prefixes or []] == ["b/x/"]
        pages = client.list_objects_v2_paginator(limit=size).iter_page(
            oss.ListObjectsV2Request(bucket="bkt")
        )
        assert [found.key for page in pages for found in page.contents or []] == KEYS


def test_a_listing_says_what_the_objects_are(clients: Clients) -> None:
    etag = clients.bucket.put_object("k", b"123", headers={"x-oss-storage-class": "IA"}).etag
    page = clients.client.list_objects_v2(
        oss.ListObjectsV2Request(bucket="bkt", fetch_owner=True, start_after="j")
    )
    assert (page.key_count, page.start_after, page.is_truncated) == (1, "j", False)
    found = page.contents[0]
    assert (found.size, found.etag, found.object_type) == (3, f'"{etag}"', "Normal")
    assert found.storage_class == "IA"
    assert found.owner.id
    plain = clients.client.list_objects_v2(oss.ListObjectsV2Request(bucket="bkt"))
    assert plain.contents[0].owner is None


def test_keys_are_ordered_by_their_bytes_not_their_characters(clients: Clients) -> None:
    fill(clients, ["￿", "𐀀", "z", "é"])
    assert clients.server.keys("bkt") == ["z", "é", "￿", "𐀀"]
    assert [found.key for found in oss2.ObjectIterator(clients.bucket)] == ["z", "é", "￿", "𐀀"]


def test_uploads_are_listed_in_pages_and_rolled_up(clients: Clients) -> None:
    bucket = clients.bucket
    begun = sorted(
        (key, bucket.init_multipart_upload(key).upload_id) for key in ["d/1", "d/2", "k", "k", "z"]
    )
    found = [
        (upload.key, upload.upload_id)
        for upload in oss2.MultipartUploadIterator(bucket, max_uploads=2)
    ]
    assert found == begun
    page = bucket.list_multipart_uploads(delimiter="/", max_uploads=2)
    assert page.prefix_list == ["d/"]
    assert [upload.key for upload in page.upload_list] == ["k"]
    page = bucket.list_multipart_uploads(
        delimiter="/",
        key_marker=page.next_key_marker,
        upload_id_marker=page.next_upload_id_marker,
    )
    assert [upload.key for upload in page.upload_list] == ["k", "z"]
    assert page.prefix_list == []


def test_a_page_of_a_hundred_thousand_objects_needs_no_scan(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.commit():
        for number in range(100_000):
            store.insert("b", b"dir%03d/%06d" % (number % 100, number), item())
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    store.db.set_progress_handler(step, 1000)
    page = page_of(store, "b", prefix=b"", delimiter=b"/", after=b"", limit=1000)
    assert len(page.prefixes) == 100
    page = page_of(store, "b", prefix=b"dir050/", delimiter=b"/", after=b"", limit=1000)
    assert len(page.objects) == 1000
    store.db.set_progress_handler(None, 0)
    store.close()
    # In thousands of virtual machine instructions; a scan takes more than a million.
    assert steps < 400
