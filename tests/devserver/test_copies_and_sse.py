"""CopyObject and server-side encryption: never inherited, changed by a copy onto itself."""

import itertools
from pathlib import Path
from typing import Any

import oss2
import pytest

from tests.devserver.causes import ENVELOPE
from tests.devserver.clients import Clients
from tests.devserver.test_sse import ALGORITHM, KEY_ID, LARGE, MARK, seen_on_disk

MODES = ("none", "AES256", "KMS", "named")


def headers_of(clients: Clients, mode: str) -> dict[str, str]:
    if mode == "named":
        return {ALGORITHM: "KMS", KEY_ID: clients.server.create_key()}
    return {} if mode == "none" else {ALGORITHM: mode}


def stat_lines(clients: Clients, key: str) -> dict[str, Any]:
    """What `ossutil stat` prints, from the two requests it makes."""
    head = clients.bucket.head_object(key).headers
    lines = {
        name.title(): value
        for name, value in head.items()
        if name.title() not in {"Connection", "Date", "Server", "X-Oss-Request-Id", "Last-Modified"}
    }
    lines["ACL"] = clients.bucket.get_object_acl(key).acl
    return lines


@pytest.mark.parametrize(("before", "after"), [*itertools.product(MODES, MODES)])
def test_a_copy_is_encrypted_as_it_says_not_as_its_source(
    shared: Clients, before: str, after: str
) -> None:
    bucket = shared.bucket
    first, second = headers_of(shared, before), headers_of(shared, after)
    stored = bucket.put_object("source", LARGE, headers=first)
    answer = bucket.copy_object("bkt", "source", "target", headers=dict(second))
    found = bucket.get_object("target")
    assert found.read() == LARGE
    assert answer.etag == found.etag == stored.etag
    for seen in (answer, found):
        assert seen.headers.get(ALGORITHM) == second.get(ALGORITHM)
        assert (KEY_ID in seen.headers) == (second.get(ALGORITHM) == "KMS")
    bucket.delete_object("source")
    assert bucket.get_object("target", byte_range=(70_000, 70_100)).read() == LARGE[70_000:70_101]


@pytest.mark.parametrize("mode", ["AES256", "KMS", "named"])
def test_update_object_meta_encrypts_what_was_plain_and_back(clients: Clients, mode: str) -> None:
    bucket, asked = clients.bucket, headers_of(clients, mode)
    bucket.put_object("01.txt", MARK)
    before = stat_lines(clients, "01.txt")
    assert seen_on_disk(clients)
    bucket.update_object_meta("01.txt", dict(asked))
    after = stat_lines(clients, "01.txt")
    added = {name.title(): value for name, value in asked.items()}
    if mode == "KMS":
        added[KEY_ID.title()] = after[KEY_ID.title()]
    assert after == before | added
    assert not seen_on_disk(clients)
    assert bucket.get_object("01.txt").read() == MARK
    bucket.update_object_meta("01.txt", {})
    assert stat_lines(clients, "01.txt") == before
    assert seen_on_disk(clients)


def test_a_plain_object_shows_the_lines_of_ossutil_stat(shared: Clients) -> None:
    shared.bucket.put_object("01.txt", b"x" * 62)
    assert set(stat_lines(shared, "01.txt")) == {
        "ACL",
        "Accept-Ranges",
        "Content-Length",
        "Content-Md5",
        "Content-Type",
        "Etag",
        "X-Oss-Hash-Crc64Ecma",
        "X-Oss-Object-Type",
        "X-Oss-Storage-Class",
    }
    assert stat_lines(shared, "01.txt")["Content-Type"] == "text/plain"


@pytest.mark.parametrize("directive", ["COPY", "REPLACE"])
def test_encryption_of_a_client_encrypted_object_does_not_change_in_place(
    shared: Clients, directive: str
) -> None:
    """A copy onto itself replaces the metadata, which would take the envelope away."""
    shared.bucket.put_object("k", MARK, headers=ENVELOPE)
    headers = {ALGORITHM: "AES256", "x-oss-metadata-directive": directive}
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        shared.bucket.copy_object("bkt", "k", "k", headers=headers)
    assert caught.value.details["EC"] == "0005-00000421"
    shared.bucket.copy_object("bkt", "k", "copy", headers={ALGORITHM: "AES256"})
    found = shared.bucket.head_object("copy").headers
    assert ENVELOPE.items() <= dict(found).items()
    assert found[ALGORITHM] == "AES256"


def test_a_copy_that_changes_nothing_moves_no_bytes(clients: Clients) -> None:
    """Else the rename of a large file would take the time of reading and writing it."""

    def files() -> set[int]:
        bodies: Path = clients.server.config.root / "bodies"
        return {path.stat().st_ino for path in bodies.glob("*/*")}

    asked = headers_of(clients, "named")
    clients.bucket.put_object("k", LARGE, headers=asked)
    before = files()
    clients.bucket.copy_object("bkt", "k", "same", headers=dict(asked))
    assert files() == before
    clients.bucket.copy_object("bkt", "k", "other", headers={ALGORITHM: "AES256"})
    assert len(files() - before) == 1


def test_a_forbidden_overwrite_leaves_no_file_behind(clients: Clients) -> None:
    bucket = clients.bucket
    bucket.put_object("a", b"1")
    bucket.put_object("b", b"2")
    headers = {ALGORITHM: "AES256", "x-oss-forbid-overwrite": "true"}
    with pytest.raises(oss2.exceptions.ServerError, match="FileAlreadyExists"):
        bucket.copy_object("bkt", "a", "b", headers=headers)
    assert len(list((clients.server.config.root / "bodies").glob("*/*"))) == 2
