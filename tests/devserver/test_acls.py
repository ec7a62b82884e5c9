"""ACLs of objects, which are kept and told."""

import alibabacloud_oss_v2 as oss
import oss2
import pytest

from tests.devserver.clients import Clients


def test_an_object_has_the_default_acl_until_it_gets_one(shared: Clients) -> None:
    bucket = shared.bucket
    bucket.put_object("k", b"1", headers={"x-oss-tagging": "a=b"})
    before = bucket.head_object("k")
    assert bucket.get_object_acl("k").acl == "default"
    bucket.put_object_acl("k", oss2.OBJECT_ACL_PUBLIC_READ)
    assert bucket.get_object_acl("k").acl == "public-read"
    after = bucket.head_object("k")
    assert (after.etag, after.last_modified) == (before.etag, before.last_modified)
    bucket.put_object("k", b"2")
    assert bucket.get_object_acl("k").acl == "default"


def test_the_acl_may_come_with_the_object_and_is_not_inherited_by_copies(shared: Clients) -> None:
    bucket, headers = shared.bucket, {"x-oss-object-acl": "private"}
    bucket.put_object("put", b"1", headers=headers)
    bucket.copy_object("bkt", "put", "copy")
    bucket.copy_object("bkt", "put", "own", headers=headers)
    upload_id = bucket.init_multipart_upload("parts", headers=headers).upload_id
    etag = bucket.upload_part("parts", upload_id, 1, b"1").etag
    bucket.complete_multipart_upload("parts", upload_id, [oss2.models.PartInfo(1, etag)])
    acls = {key: bucket.get_object_acl(key).acl for key in ("put", "copy", "own", "parts")}
    assert acls == {"put": "private", "copy": "default", "own": "private", "parts": "private"}


def test_everything_has_the_same_owner(shared: Clients) -> None:
    shared.bucket.put_object("owned", b"1")
    answer = shared.client.get_object_acl(oss.GetObjectAclRequest(bucket="bkt", key="owned"))
    owner = shared.bucket.get_bucket_info().owner
    assert answer.acl == "default"
    assert (answer.owner.id, answer.owner.display_name) == (owner.id, owner.display_name)
    assert owner.id.isdecimal()
    assert shared.bucket.get_bucket_acl().acl == "private"


def test_acls_of_what_is_not_there_are_refused(shared: Clients) -> None:
    with pytest.raises(oss2.exceptions.NoSuchKey):
        shared.bucket.get_object_acl("missing")
    with pytest.raises(oss2.exceptions.NoSuchKey):
        shared.bucket.put_object_acl("missing", oss2.OBJECT_ACL_PRIVATE)
    shared.bucket.put_object("k", b"1")
    with pytest.raises(oss2.exceptions.ServerError, match="InvalidArgument"):
        shared.bucket.put_object_acl("k", "everybody")
    with pytest.raises(oss.exceptions.OperationError, match="MissingArgument"):
        shared.invoke("PUT", "k", query={"acl": ""})
