"""V4 signatures: what the SDKs sign passes, whatever is changed afterwards does not."""

import calendar
from pathlib import Path
from typing import Any

import alibabacloud_oss_v2 as oss
import httpx
import oss2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ossfs.devserver import Credential, RunningServer
from ossfs.devserver.auth import Authenticator
from ossfs.devserver.errors import OssError
from ossfs.devserver.routing import operation_of, target_of
from ossfs.devserver.wire import Head
from tests.devserver import clients as fixtures
from tests.devserver.clients import STS_ID, STS_SECRET, STS_TOKEN, Clients

# Computed by alibabacloud_oss_v2 for the request below.
VECTOR = Head(
    method="PUT",
    target=b"/examplebucket/dir%20a/%E6%96%87%E4%BB%B6%2B%25%26%3F%23~.txt",
    headers={
        "host": "127.0.0.1",
        "content-type": "application/octet-stream",
        "x-oss-meta-mode": "33188",
        "x-oss-meta-client-side-encryption-cek-alg": "AES/CTR/NoPadding",
        "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==",
        "x-oss-date": "20260102T030405Z",
        "x-oss-content-sha256": "UNSIGNED-PAYLOAD",
        "authorization": "OSS4-HMAC-SHA256 Credential=LTAI5tExampleAccessKeyId/20260102/"
        "cn-hangzhou/oss/aliyun_v4_request,Signature="
        "50a70be9c94541b2614aa27d2f3f79106eaf8ae2da94c09177b573a85f470ccd",
    },
    keep_alive=True,
)
AUTHENTICATOR = Authenticator(
    {"LTAI5tExampleAccessKeyId": Credential(secret="ExampleSecretKey0123456789abcd")},
    "cn-hangzhou",
    lambda: calendar.timegm((2026, 1, 2, 3, 4, 5)),
)


def test_a_signature_made_by_an_sdk_is_accepted() -> None:
    AUTHENTICATOR.check(target_of(VECTOR))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-oss-meta-mode", "33189"),
        ("content-type", "text/plain"),
        ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("x-oss-forbid-overwrite", "true"),
    ],
)
def test_a_signed_header_cannot_be_changed(name: str, value: str) -> None:
    head = Head(
        method=VECTOR.method,
        target=VECTOR.target,
        headers={**VECTOR.headers, name: value},
        keep_alive=True,
    )
    with pytest.raises(OssError, match="SignatureDoesNotMatch"):
        AUTHENTICATOR.check(target_of(head))


@pytest.mark.parametrize("separator", [",", ", "])
@pytest.mark.parametrize("additional", [(), ("range",), ("host", "range")])
def test_both_separators_and_additional_headers_are_understood(
    shared: Clients, separator: str, additional: tuple[str, ...]
) -> None:
    shared.bucket.put_object("signed", b"0123456789")
    host = shared.server.endpoint.removeprefix("http://")
    path, headers = shared.signed(
        "GET",
        "signed",
        headers={"Range": "bytes=2-3", "Host": host},
        separator=separator,
        additional=additional,
    )
    url = shared.server.endpoint + path
    assert httpx.get(url, headers=headers).content == b"23"
    changed = httpx.get(url, headers=headers | {"range": "bytes=2-4"})
    assert changed.status_code == (403 if additional else 206)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(prefix=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=10))
def test_any_query_is_signed_alike_by_both_sdks(shared: Clients, prefix: str) -> None:
    assert shared.bucket.list_objects(prefix=prefix).status == 200
    request = oss.ListObjectsV2Request(bucket="bkt", prefix=prefix)
    assert shared.client.list_objects_v2(request).status_code == 200


def test_presigned_urls_of_both_sdks_work(shared: Clients) -> None:
    shared.bucket.put_object("pre signed", b"body")
    urls = [
        shared.bucket.sign_url("GET", "pre signed", 60, slash_safe=True),
        shared.client.presign(oss.GetObjectRequest(bucket="bkt", key="pre signed")).url,
    ]
    for url in urls:
        assert httpx.get(url).content == b"body"
        assert httpx.get(url.replace("signed", "sighed")).status_code == 403
        assert b"SignatureDoesNotMatch" in httpx.get(url + "&versions-no=1").content


def test_a_presigned_url_expires(tmp_path: Path) -> None:
    clock = fixtures.Clock()
    config = fixtures.settings(tmp_path, clock=clock)
    with RunningServer(config, buckets=["bkt"]) as server:
        bucket = Clients(server).bucket
        bucket.put_object("k", b"1")
        url = bucket.sign_url("GET", "k", 60)
        assert httpx.get(url).status_code == 200
        clock.shift = 62
        expired = httpx.get(url)
        assert expired.status_code == 403
        assert b"expired" in expired.content


def test_sts_credentials_need_their_token(shared: Clients) -> None:
    client = shared.v2(key_id=STS_ID, secret=STS_SECRET, token=STS_TOKEN)
    client.put_object(oss.PutObjectRequest(bucket="bkt", key="sts", body=b"1"))
    bucket = shared.oss2(
        oss2.ProviderAuthV4(
            oss2.credentials.StaticCredentialsProvider(STS_ID, STS_SECRET, STS_TOKEN)
        )
    )
    assert bucket.get_object("sts").read() == b"1"
    with pytest.raises(oss2.exceptions.ServerError, match="InvalidSecurityToken"):
        shared.oss2(oss2.AuthV4(STS_ID, STS_SECRET)).get_object("sts")


@pytest.mark.parametrize(
    ("changes", "ec"),
    [
        ({"authorization": "OSS4-HMAC-SHA256 nonsense"}, "0002-00000061"),
        ({"authorization": "OSS4-HMAC-SHA256 Signature=00"}, "0002-00000061"),
        ({"authorization": "Basic eDp5"}, "0002-00000061"),
        ({"authorization": "OSS4-HMAC-SHA256 Credential=a/b,Signature=00"}, "0002-00000213"),
        ({"x-oss-date": "yesterday"}, "0002-00000061"),
        ({"x-oss-date": "20200101T000000Z"}, "0002-00000213"),
        ({"x-oss-content-sha256": "0" * 64}, "0002-00000214"),
    ],
)
def test_malformed_signatures_are_told_apart(
    shared: Clients, changes: dict[str, str], ec: str
) -> None:
    path, headers = shared.signed("GET", "k", changes=changes)
    answer = httpx.get(shared.server.endpoint + path, headers=headers)
    assert (answer.status_code, answer.headers["x-oss-ec"]) == (400, ec)


@pytest.mark.parametrize(
    ("region", "ec"), [("oss-cn-hangzhou", "0002-00000226"), ("cn-beijing", "0002-00000228")]
)
def test_the_scope_names_the_region_of_the_server(shared: Clients, region: str, ec: str) -> None:
    path, headers = shared.signed("GET", "k")
    headers["authorization"] = headers["authorization"].replace("/cn-hangzhou/", f"/{region}/")
    answer = httpx.get(shared.server.endpoint + path, headers=headers)
    assert answer.headers["x-oss-ec"] == ec


@pytest.mark.parametrize(
    ("host", "target", "expected"),
    [
        ("127.0.0.1:80", b"/bkt/a%2Fb", ("bkt", "a/b", "GetObject")),
        ("[::1]:80", b"/bkt", ("bkt", "", "ListObjects")),
        ("localhost:80", b"/bkt/", ("bkt", "", "ListObjects")),
        ("localhost", b"/", ("", "", "ListBuckets")),
        ("oss-cn-hangzhou.aliyuncs.com", b"/", ("", "", "ListBuckets")),
        ("cn-hangzhou.oss.aliyuncs.com", b"/bkt/a", ("bkt", "a", "GetObject")),
        ("bkt.oss-cn-hangzhou.aliyuncs.com", b"/a", ("bkt", "a", "GetObject")),
        ("bkt.cn-hangzhou.oss.aliyuncs.com", b"/a", ("bkt", "a", "GetObject")),
        ("bkt.localhost:80", b"/?list-type=2", ("bkt", "", "ListObjectsV2")),
        ("localhost", b"http://localhost/bkt/k?tagging", ("bkt", "k", "GetObjectTagging")),
    ],
)
def test_both_styles_of_address_are_understood(
    host: str, target: bytes, expected: tuple[Any, ...]
) -> None:
    found = target_of(Head(method="GET", target=target, headers={"host": host}, keep_alive=True))
    assert (found.bucket, found.key, operation_of(found)) == expected


def test_virtual_host_style_is_signed_with_the_bucket_too(shared: Clients) -> None:
    shared.bucket.put_object("k", b"body")
    path, headers = shared.signed("GET", "k")
    url = shared.server.endpoint + path.removeprefix("/bkt")
    assert httpx.get(url, headers=headers | {"host": "bkt.oss.test"}).content == b"body"
