"""Server-side encryption: what lies on the disk, and what the keys decide."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import oss2
import pytest

from ossfs.devserver import Credential, RunningServer
from ossfs.devserver.masters import Masters
from tests.devserver.clients import Clients, Clock, settings

ALGORITHM = "x-oss-server-side-encryption"
KEY_ID = "x-oss-server-side-encryption-key-id"
MARK = b"a line that must not be seen on any disk\n"
LARGE = MARK * 20_000
KEY = b"k" * 32
PART = LARGE[: 200 * 1024]
OWN = {ALGORITHM: "AES256"}
DEFAULT_KMS = {ALGORITHM: "KMS"}


def kms(key_id: str) -> dict[str, str]:
    return DEFAULT_KMS | {KEY_ID: key_id}


def seen_on_disk(clients: Clients, mark: bytes = MARK) -> bool:
    """Whether any file of the server, its database included, holds the mark."""
    root = clients.server.config.root
    return any(mark in path.read_bytes() for path in root.rglob("*") if path.is_file())


def multipart(clients: Clients, key: str, headers: dict[str, str], parts: int = 2) -> str:
    """An upload that has its parts but is not complete."""
    upload_id: str = clients.bucket.init_multipart_upload(key, headers=headers).upload_id
    for number in range(1, parts + 1):
        answer = clients.bucket.upload_part(key, upload_id, number, PART)
        assert answer.headers.get(ALGORITHM) == headers.get(ALGORITHM)
    return upload_id


def refusal_of(call: Callable[[], Any]) -> tuple[int, str]:
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        call()
    return caught.value.status, caught.value.code


@pytest.mark.parametrize("headers", [OWN, DEFAULT_KMS, {ALGORITHM: "SM4"}])
def test_nothing_of_an_encrypted_object_is_readable_on_the_disk(
    clients: Clients, headers: dict[str, str]
) -> None:
    bucket = clients.bucket
    bucket.put_object("small", MARK, headers=headers)
    bucket.put_object("large", LARGE, headers=headers)
    upload_id = multipart(clients, "parts", headers)
    assert not seen_on_disk(clients)
    listed = bucket.list_parts("parts", upload_id).parts
    bucket.complete_multipart_upload("parts", upload_id, listed)
    bucket.copy_object("bkt", "large", "copy", headers=headers)
    upload_id = multipart(clients, "copied parts", headers, parts=1)
    bucket.upload_part_copy("bkt", "large", (0, 300_000), "copied parts", upload_id, 2)
    assert not seen_on_disk(clients)
    assert bucket.get_object("small").read() == MARK
    assert bucket.get_object("large").read() == LARGE
    assert bucket.get_object("copy").read() == LARGE
    assert bucket.get_object("parts").read() == PART + PART
    bucket.put_object("plain", MARK)
    assert seen_on_disk(clients)


@pytest.mark.parametrize("headers", [OWN, DEFAULT_KMS])
def test_digests_sizes_and_ranges_are_those_of_the_body_as_sent(
    shared: Clients, headers: dict[str, str]
) -> None:
    plain = shared.bucket.put_object("plain", LARGE)
    sealed = shared.bucket.put_object("sealed", LARGE, headers=headers)
    assert (sealed.etag, sealed.crc) == (plain.etag, plain.crc)
    found = shared.bucket.head_object("sealed")
    assert found.content_length == len(LARGE)
    assert found.headers["Content-MD5"] == plain.headers["Content-MD5"]
    for first, last in ((0, 0), (65_535, 65_536), (100_000, 300_000), (len(LARGE) - 1, None)):
        expected = LARGE[first : None if last is None else last + 1]
        assert shared.bucket.get_object("sealed", byte_range=(first, last)).read() == expected


def test_an_empty_object_can_be_encrypted(shared: Clients) -> None:
    shared.bucket.put_object("empty", b"", headers=dict(OWN))
    found = shared.bucket.get_object("empty")
    assert (found.read(), found.headers[ALGORITHM]) == (b"", "AES256")


def test_kms_without_a_key_id_uses_one_key_which_answers_name(clients: Clients) -> None:
    first = clients.bucket.put_object("a", b"1", headers=dict(DEFAULT_KMS)).headers[KEY_ID]
    second = clients.bucket.put_object("b", b"2", headers=dict(DEFAULT_KMS)).headers[KEY_ID]
    assert first == second == clients.bucket.head_object("a").headers[KEY_ID]
    clients.server.set_key_enabled(first, False)
    assert refusal_of(lambda: clients.bucket.get_object("a")) == (409, "KeyDisabled")


def test_a_key_may_be_named_by_its_alias(shared: Clients) -> None:
    key_id = shared.server.create_key("alias/photos")
    answer = shared.bucket.put_object("k", b"1", headers=kms("alias/photos"))
    assert answer.headers[KEY_ID] == key_id


def test_a_disabled_key_stops_reading_and_writing_until_it_is_enabled(clients: Clients) -> None:
    bucket, server = clients.bucket, clients.server
    key_id, other = server.create_key(), server.create_key()
    bucket.put_object("k", LARGE, headers=kms(key_id))
    upload_id = multipart(clients, "parts", kms(key_id), parts=1)
    server.set_key_enabled(key_id, False)
    for call in (
        lambda: bucket.get_object("k"),
        lambda: bucket.get_object("k", byte_range=(0, 5)),
        lambda: bucket.copy_object("bkt", "k", "copy"),
        lambda: bucket.copy_object("bkt", "k", "copy", headers=kms(other)),
        lambda: bucket.copy_object("bkt", "k", "copy", headers=kms(key_id)),
        lambda: bucket.put_object("new", b"1", headers=kms(key_id)),
        lambda: bucket.upload_part("parts", upload_id, 2, b"1"),
    ):
        assert refusal_of(call) == (409, "KeyDisabled")
    head = bucket.head_object("k")
    assert (head.headers[KEY_ID], head.content_length) == (key_id, len(LARGE))
    assert clients.server.keys("bkt") == ["k"]
    server.set_key_enabled(key_id, True)
    assert bucket.get_object("k").read() == LARGE


def test_what_a_deleted_key_has_encrypted_is_lost(clients: Clients) -> None:
    key_id = clients.server.create_key()
    clients.bucket.put_object("k", b"1", headers=kms(key_id))
    clients.server.delete_key(key_id)
    assert refusal_of(lambda: clients.bucket.get_object("k")) == (404, "KeyNotFound")
    assert clients.bucket.head_object("k").headers[KEY_ID] == key_id
    clients.bucket.delete_object("k")


def test_callers_need_the_rights_for_the_keys_they_name(tmp_path: Path) -> None:
    limited = Credential(secret="s", kms_denied=frozenset({"GenerateDataKey", "Decrypt"}))
    config = settings(
        tmp_path, credentials={"test-id": Credential(secret="test-secret"), "limited": limited}
    )
    with RunningServer(config, buckets=["bkt"]) as server:
        clients = Clients(server)
        named = kms(server.create_key())
        clients.bucket.put_object("named", b"1", headers=named)
        other = clients.oss2(oss2.AuthV4("limited", "s"))
        assert refusal_of(lambda: other.get_object("named")) == (403, "AccessDenied")
        refused = refusal_of(lambda: other.put_object("new", b"1", headers=named))
        assert refused == (403, "AccessDenied")
        other.put_object("default", b"1", headers=dict(DEFAULT_KMS))
        assert other.get_object("default").read() == b"1"


def test_a_kms_that_fails_makes_the_service_unavailable(clients: Clients) -> None:
    clients.bucket.put_object("k", b"1", headers=dict(DEFAULT_KMS))
    clients.server.add_kms_fault("op=Decrypt,times=1,status=503")
    assert refusal_of(lambda: clients.bucket.get_object("k")) == (503, "ServiceUnavailable")
    assert clients.bucket.get_object("k").read() == b"1"
    assert clients.server.kms_requests.count("Decrypt") == 0


def test_a_rotated_master_key_opens_what_it_has_wrapped(tmp_path: Path) -> None:
    with RunningServer(settings(tmp_path), buckets=["bkt"]) as server:
        bucket = Clients(server).bucket
        bucket.put_object("first", b"1", headers=dict(OWN))
        server.rotate_master_key()
        bucket.put_object("second", b"2", headers=dict(OWN))
    with RunningServer(settings(tmp_path)) as server:
        bucket = Clients(server).bucket
        assert bucket.get_object("first").read() == b"1"
        assert bucket.get_object("second").read() == b"2"


def test_master_keys_are_rotated_with_time_and_kept(tmp_path: Path) -> None:
    file, clock = tmp_path / "sse" / "masters.json", Clock()
    masters = Masters(file, clock)
    assert not file.exists()
    wrapped = [masters.wrap(KEY), masters.wrap(KEY)]
    clock.shift = 91 * 24 * 3600.0
    wrapped.append(masters.wrap(KEY))
    versions = [version for version, _ in wrapped]
    assert versions[0] == versions[1] != versions[2]
    for each in (masters, Masters(file, clock)):
        assert [each.unwrap(*item) for item in wrapped] == [KEY] * 3
    assert KEY not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_damaged_data_key_and_an_unknown_master_key_are_reported(tmp_path: Path) -> None:
    masters = Masters(tmp_path / "masters.json", Clock())
    version, wrapped = masters.wrap(KEY)
    with pytest.raises(OSError, match="damaged"):
        masters.unwrap(version, wrapped[:-1] + bytes([wrapped[-1] ^ 1]))
    with pytest.raises(OSError, match="is not in"):
        masters.unwrap("0" * 16, wrapped)


def test_lost_master_keys_are_an_error_of_the_server(tmp_path: Path) -> None:
    with RunningServer(settings(tmp_path), buckets=["bkt"]) as server:
        Clients(server).bucket.put_object("k", b"1", headers=dict(OWN))
    (tmp_path / "sse" / "masters.json").unlink()
    with RunningServer(settings(tmp_path)) as server:
        assert refusal_of(lambda: Clients(server).bucket.get_object("k")) == (500, "InternalError")
    (tmp_path / "sse" / "masters.json").write_text("[{}]")
    with pytest.raises(OSError, match="holds no master keys"):
        RunningServer(settings(tmp_path)).__enter__()


def test_damage_on_the_disk_never_reaches_a_client(clients: Clients) -> None:
    clients.bucket.put_object("k", LARGE, headers=dict(OWN))
    (file,) = (clients.server.config.root / "bodies").glob("*/*")
    stored = bytearray(file.read_bytes())
    stored[100] ^= 1
    file.write_bytes(stored)
    with pytest.raises(oss2.exceptions.RequestError):
        clients.bucket.get_object("k").read()
