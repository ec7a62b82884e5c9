"""The default rule of a bucket, through both SDKs."""

from typing import Any

import alibabacloud_oss_v2 as oss
import oss2
import pytest

from tests.devserver.clients import Clients
from tests.devserver.test_sse import ALGORITHM, KEY_ID, MARK, PART, seen_on_disk


def set_rule(clients: Clients, algorithm: str, key_id: str = "", data: str = "") -> None:
    rule = oss2.models.ServerSideEncryptionRule(algorithm, key_id, data)
    clients.bucket.put_bucket_encryption(rule)


def told(answer: Any) -> tuple[str | None, str | None]:
    return answer.headers.get(ALGORITHM), answer.headers.get(KEY_ID)


@pytest.mark.parametrize(
    ("algorithm", "key_id", "data"),
    [
        ("AES256", "", ""),
        ("SM4", "", ""),
        ("KMS", "", ""),
        ("KMS", "some-key", ""),
        ("KMS", "some-key", "SM4"),
    ],
)
def test_a_rule_is_told_as_it_was_set(
    clients: Clients, algorithm: str, key_id: str, data: str
) -> None:
    set_rule(clients, algorithm, key_id, data)
    expected = (algorithm, key_id or None, data or None)
    for rule in (
        clients.bucket.get_bucket_encryption(),
        clients.bucket.get_bucket_info().bucket_encryption_rule,
    ):
        found = (rule.sse_algorithm, rule.kms_master_keyid, rule.kms_data_encryption)
        assert found == expected
    clients.bucket.delete_bucket_encryption()
    assert clients.bucket.get_bucket_info().bucket_encryption_rule.sse_algorithm is None
    clients.bucket.delete_bucket_encryption()
    with pytest.raises(oss2.exceptions.ServerError, match="NoSuchServerSideEncryptionRule"):
        clients.bucket.get_bucket_encryption()


def test_the_second_sdk_sets_and_reads_rules_too(clients: Clients) -> None:
    applied = oss.ApplyServerSideEncryptionByDefault(sse_algorithm="KMS", kms_master_key_id="id")
    clients.client.put_bucket_encryption(
        oss.PutBucketEncryptionRequest(
            bucket="bkt",
            server_side_encryption_rule=oss.ServerSideEncryptionRule(
                apply_server_side_encryption_by_default=applied
            ),
        )
    )
    found = clients.client.get_bucket_encryption(oss.GetBucketEncryptionRequest(bucket="bkt"))
    rule = found.server_side_encryption_rule.apply_server_side_encryption_by_default
    assert (rule.sse_algorithm, rule.kms_master_key_id) == ("KMS", "id")
    info = clients.client.get_bucket_info(oss.GetBucketInfoRequest(bucket="bkt")).bucket_info
    assert info.sse_rule.kms_master_key_id == "id"
    clients.client.delete_bucket_encryption(oss.DeleteBucketEncryptionRequest(bucket="bkt"))


def test_a_rule_acts_where_a_request_says_nothing(clients: Clients) -> None:
    bucket, key_id = clients.bucket, clients.server.create_key()
    bucket.put_object("before", MARK)
    set_rule(clients, "KMS", key_id)
    expected = ("KMS", key_id)
    assert told(bucket.head_object("before")) == (None, None)
    assert told(bucket.put_object("put", MARK)) == expected
    assert told(bucket.copy_object("bkt", "before", "copied")) == expected
    assert told(bucket.update_object_meta("before", {"x-oss-meta-a": "1"})) == expected
    begun = bucket.init_multipart_upload("parts")
    assert told(begun) == expected
    part = bucket.upload_part("parts", begun.upload_id, 1, PART)
    assert told(part) == expected
    listed = [oss2.models.PartInfo(1, part.etag)]
    assert told(bucket.complete_multipart_upload("parts", begun.upload_id, listed)) == expected
    for key in ("before", "put", "copied", "parts"):
        found = bucket.get_object(key)
        assert found.read() in {MARK, PART}
        assert told(found) == told(bucket.head_object(key)) == expected
    assert not seen_on_disk(clients)
    own = {ALGORITHM: "AES256"}
    assert told(bucket.put_object("put", MARK, headers=own)) == ("AES256", None)
    bucket.put_symlink("put", "link")
    assert told(bucket.get_symlink("link")) == (None, None)
    bucket.delete_bucket_encryption()
    assert told(bucket.put_object("after", MARK)) == (None, None)
    assert bucket.get_object("copied").read() == MARK


def test_a_rule_outlives_the_server_but_not_the_bucket(clients: Clients) -> None:
    second = clients.oss2(bucket="second")
    second.create_bucket()
    second.put_bucket_encryption(oss2.models.ServerSideEncryptionRule("AES256"))
    assert told(second.put_object("k", b"1")) == ("AES256", None)
    assert told(clients.bucket.put_object("k", b"1")) == (None, None)
    second.delete_object("k")
    second.delete_bucket()
    second.create_bucket()
    assert told(second.put_object("k", b"1")) == (None, None)


def test_a_rule_that_names_no_key_of_the_kms_stops_writing(clients: Clients) -> None:
    set_rule(clients, "KMS", "no-such-key")
    with pytest.raises(oss2.exceptions.ServerError, match="KeyNotFound"):
        clients.bucket.put_object("k", b"1")
    assert clients.server.keys("bkt") == []
