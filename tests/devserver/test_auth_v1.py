"""V1 signatures, the default of oss2: what the SDKs sign passes, changed it does not."""

import calendar
import email.utils
from pathlib import Path
from typing import Any

import alibabacloud_oss_v2 as oss
import httpx
import oss2
import pytest
from alibabacloud_oss_v2.signer.v1 import SignerV1
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ossfs.devserver import Credential, RunningServer
from ossfs.devserver.auth import Authenticator
from ossfs.devserver.errors import OssError
from ossfs.devserver.routing import target_of
from ossfs.devserver.signature_v1 import SUBRESOURCES
from ossfs.devserver.wire import Head
from tests.devserver import clients as fixtures
from tests.devserver.clients import EXPIRED_ID, STS_ID, STS_SECRET, STS_TOKEN, Clients

DATE = "Fri, 02 Jan 2026 03:04:05 GMT"
AUTHENTICATOR = Authenticator(
    {"LTAI5tExampleAccessKeyId": Credential(secret="ExampleSecretKey0123456789abcd")},
    "cn-hangzhou",
    lambda: calendar.timegm((2026, 1, 2, 3, 4, 5)),
)
PUT = {
    "content-type": "application/octet-stream",
    "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==",
    "x-oss-meta-mode": "33188",
    "x-oss-meta-client-side-encryption-cek-alg": "AES/CTR/NoPadding",
}
PUT_TARGET = b"/examplebucket/dir%20a/%E6%96%87%E4%BB%B6%2B%25%26%3F%23~.txt"


def head(method: str, target: bytes, headers: dict[str, str], signature: str) -> Head:
    return Head(
        method=method,
        target=target,
        headers={
            "host": "127.0.0.1",
            "date": DATE,
            "authorization": f"OSS LTAI5tExampleAccessKeyId:{signature}",
            **headers,
        },
        keep_alive=True,
    )


# Signatures computed by alibabacloud_oss_v2 for these requests.
@pytest.mark.parametrize(
    ("method", "target", "headers", "signature"),
    [
        ("PUT", PUT_TARGET, PUT, "icDR5m/2QQ+knoS3gp+GOibEqRg="),
        (
            "GET",
            b"/examplebucket/a/b",
            {"range": "bytes=16-31", "x-oss-range-behavior": "standard"},
            "zhsudHIB8uEafksqLBkoWN+0e7Y=",
        ),
        (
            "GET",
            b"/examplebucket/?list-type=2&prefix=dir%20a%2F&delimiter=%2F&max-keys=1000"
            b"&encoding-type=url&continuation-token=CgJiYw--",
            {},
            "H+oo2NlJCTWRuCwGzrFFK7PwNRE=",
        ),
        (
            "PUT",
            b"/examplebucket/a/b?uploadId=0004B9895DBBB6EC98E36&partNumber=2",
            {},
            "iXxwIEtADl0AK+s9J0wHtgwW52s=",
        ),
        (
            "POST",
            b"/examplebucket/?delete",
            {"content-type": "application/xml", "content-md5": "ohcZfQ8BBFQ0q0dTmdyuzw=="},
            "ugSIsdmQYpJc88LPJ5+msBk52Ug=",
        ),
    ],
)
def test_signatures_made_by_an_sdk_are_accepted(
    method: str, target: bytes, headers: dict[str, str], signature: str
) -> None:
    AUTHENTICATOR.check(target_of(head(method, target, headers, signature)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-oss-meta-mode", "33189"),
        ("content-type", "text/plain"),
        ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("x-oss-forbid-overwrite", "true"),
        ("date", "Fri, 02 Jan 2026 03:04:06 GMT"),
    ],
)
def test_a_signed_header_cannot_be_changed(name: str, value: str) -> None:
    changed = head("PUT", PUT_TARGET, PUT | {name: value}, "icDR5m/2QQ+knoS3gp+GOibEqRg=")
    with pytest.raises(OssError, match="SignatureDoesNotMatch") as caught:
        AUTHENTICATOR.check(target_of(changed))
    assert caught.value.ec == "0002-00000040"


@pytest.mark.parametrize(
    ("headers", "code", "ec"),
    [
        ({"date": ""}, "AccessDenied", "0002-00000503"),
        ({"date": "yesterday"}, "AccessDenied", "0002-00000502"),
        ({"x-oss-date": "2026Z"}, "AccessDenied", "0002-00000502"),
        ({"authorization": "OSS LTAI5tExampleAccessKeyId"}, "InvalidArgument", "0002-00000061"),
        ({"authorization": "OSS :x"}, "InvalidArgument", "0002-00000061"),
        ({"authorization": "OSS2 AccessKeyId:x,Signature:y"}, "NotImplemented", ""),
        ({"x-oss-date": "20260102T031906Z"}, "RequestTimeTooSkewed", "0002-00000504"),
        ({"date": "Fri, 02 Jan 2026 02:49:04 GMT"}, "RequestTimeTooSkewed", "0002-00000504"),
        ({"x-oss-security-token": "none"}, "InvalidSecurityToken", ""),
    ],
)
def test_what_is_wrong_with_a_signature_is_said(
    headers: dict[str, str], code: str, ec: str
) -> None:
    with pytest.raises(OssError) as caught:
        AUTHENTICATOR.check(target_of(head("PUT", PUT_TARGET, PUT | headers, "x")))
    assert (caught.value.code, caught.value.ec) == (code, ec)


def test_all_that_the_sdks_sign_is_signed() -> None:
    signed = SignerV1._subresource_key_set | oss2.auth.ProviderAuth._subresource_key_set
    assert signed == SUBRESOURCES


def v1_client(server: RunningServer, *credentials: str) -> Any:
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(
        *(credentials or (server.access_key_id, server.access_key_secret))
    )
    config.region, config.endpoint = server.region, server.endpoint
    config.signature_version = "v1"
    config.retry_max_attempts = 1
    return oss.Client(config)


@pytest.fixture
def v1(shared: Clients) -> Any:
    server = shared.server
    return shared.oss2(oss2.Auth(server.access_key_id, server.access_key_secret))


def test_oss2_works_with_its_default(v1: Any) -> None:
    key = "v1/文件 +%&?#~.txt"
    v1.put_object(key, b"0123456789", headers={"x-oss-meta-b": "2", "x-oss-meta-a": "1"})
    assert v1.get_object(key, byte_range=(2, 3)).read() == b"23"
    assert v1.head_object(key).headers["x-oss-meta-a"] == "1"
    v1.put_object_tagging(key, oss2.models.Tagging(oss2.models.TaggingRule()))
    upload_id = v1.init_multipart_upload(key).upload_id
    part = oss2.models.PartInfo(1, v1.upload_part(key, upload_id, 1, b"part").etag)
    v1.complete_multipart_upload(key, upload_id, [part])
    assert [item.key for item in v1.list_objects_v2(prefix="v1/").object_list] == [key]
    assert v1.batch_delete_objects([key]).deleted_keys == [key]
    assert v1.get_bucket_info().name == "bkt"


def test_the_second_sdk_works_with_it(shared: Clients) -> None:
    client = v1_client(shared.server)
    client.put_object(oss.PutObjectRequest(bucket="bkt", key="v1 b", body=b"body"))
    found = client.list_objects_v2(oss.ListObjectsV2Request(bucket="bkt", prefix="v1 b"))
    assert [item.key for item in found.contents] == ["v1 b"]
    assert client.list_buckets(oss.ListBucketsRequest()).status_code == 200


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    key=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=10),
    prefix=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=10),
)
def test_any_key_and_query_is_signed_alike(shared: Clients, v1: Any, key: str, prefix: str) -> None:
    assert v1.object_exists("k" + key) is False
    assert v1.list_objects(prefix=prefix).status == 200
    request = oss.ListObjectsV2Request(bucket="bkt", prefix=prefix)
    assert v1_client(shared.server).list_objects_v2(request).status_code == 200


def test_presigned_urls_of_both_sdks_work(shared: Clients, v1: Any) -> None:
    v1.put_object("pre signed", b"body")
    urls = [
        v1.sign_url("GET", "pre signed", 60, slash_safe=True),
        v1_client(shared.server).presign(oss.GetObjectRequest(bucket="bkt", key="pre signed")).url,
    ]
    for url in urls:
        assert "OSSAccessKeyId=" in url
        assert httpx.get(url).content == b"body"
        assert httpx.get(url.replace("signed", "sighed")).status_code == 403
        assert b"SignatureDoesNotMatch" in httpx.get(url + "&response-expires=1").content
        assert httpx.get(url.replace("Expires=", "Expires=x")).status_code == 400


def test_a_presigned_url_expires(tmp_path: Path) -> None:
    clock = fixtures.Clock()
    with RunningServer(fixtures.settings(tmp_path, clock=clock), buckets=["bkt"]) as server:
        bucket = Clients(server).oss2(oss2.Auth(server.access_key_id, server.access_key_secret))
        bucket.put_object("k", b"1")
        url = bucket.sign_url("GET", "k", 60)
        assert httpx.get(url).status_code == 200
        clock.shift = 62
        assert b"expired" in httpx.get(url).content


def test_sts_credentials_bring_their_token_wherever_the_sdk_puts_it(shared: Clients) -> None:
    bucket = shared.oss2(oss2.StsAuth(STS_ID, STS_SECRET, STS_TOKEN, auth_version="v1"))
    bucket.put_object("sts", b"1")
    client = v1_client(shared.server, STS_ID, STS_SECRET, STS_TOKEN)
    assert client.head_object(oss.HeadObjectRequest(bucket="bkt", key="sts")).status_code == 200
    assert httpx.get(bucket.sign_url("GET", "sts", 60)).content == b"1"
    with pytest.raises(oss2.exceptions.ServerError, match="InvalidSecurityToken"):
        shared.oss2(oss2.Auth(STS_ID, STS_SECRET)).get_object("sts")
    with pytest.raises(oss2.exceptions.ServerError, match="SecurityTokenExpired"):
        shared.oss2(oss2.StsAuth(EXPIRED_ID, STS_SECRET, STS_TOKEN, auth_version="v1")).get_object(
            "sts"
        )


def test_a_clock_that_is_off_is_told_so(v1: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    late = email.utils.formatdate(1_700_000_000, usegmt=True)
    monkeypatch.setattr(oss2.utils, "http_date", lambda *_: late)
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        v1.get_object("k")
    assert caught.value.code == "RequestTimeTooSkewed"
