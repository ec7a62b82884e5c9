"""Every error code the server knows is produced here, through an official SDK wherever one can."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import alibabacloud_oss_v2 as oss
import oss2
import pytest

from ossfs.devserver import RunningServer
from ossfs.devserver.errors import KINDS
from tests.devserver.causes import (
    ENVELOPE,
    SIZES,
    Cause,
    P,
    archived,
    clock_off,
    copy_encrypted,
    copy_part_of_encrypted,
    delete_full_bucket,
    fail_inside,
    initiate,
    kms,
    large_copy,
    link_to_link,
    link_to_nothing,
    no_length,
    no_link,
    not_modified,
    overwrite,
    part_after,
    put_rule,
    put_then_get,
    put_under_key,
    put_without_kms,
    sts,
    touch_encrypted,
    upload,
    without,
    wrong_order,
    wrong_part,
)
from tests.devserver.clients import (
    EXPIRED_ID,
    STS_ID,
    STS_TOKEN,
    Clients,
    Clock,
    settings,
)


def v2_put(**fields: Any) -> Cause:
    return lambda clients, key: clients.client.put_object(
        oss.PutObjectRequest(bucket="bkt", key=key, body=b"1", **fields)
    )


def put(**headers: str) -> Cause:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda clients, key: clients.bucket.put_object(key, b"1", headers=named)


@dataclass(frozen=True)
class Case:
    code: str
    status: int
    cause: Cause
    ec: str = ""
    raw: str = ""
    """Why no SDK can produce it, if none can."""


def cse(number: int, cause: Cause) -> Case:
    return Case("InvalidEncryptionRequest", 400, cause, f"0005-{number:08d}")


def cse_put(number: int, headers: dict[str, str]) -> Case:
    return cse(number, lambda clients, key: clients.bucket.put_object(key, b"1", headers=headers))


def cse_initiate(number: int, **changes: str | None) -> Case:
    headers: dict[str, str] = ENVELOPE | SIZES
    for name, value in changes.items():
        headers = without(name.replace("_", "-"), headers)
        if value is not None:
            headers[P + name.replace("_", "-")] = value
    return cse(number, lambda clients, key: initiate(clients, key, headers))


def cse_part(number: int, name: str, value: str = "1") -> Case:
    return cse(number, lambda clients, key: part_after(clients, key, {P + name: value}))


def cse_complete(number: int, *sizes: int) -> Case:
    return cse(number, lambda clients, key: upload(clients, key, list(sizes), ENVELOPE | SIZES))


WRONG_REGION = oss2.AuthV4("test-id", "test-secret")

CASES = [
    Case(
        "AccessDenied",
        403,
        lambda clients, key: clients.oss2(oss2.AnonymousAuth()).get_object(key),
        "0003-00000001",
    ),
    Case("AliasNotFound", 404, put(**kms("alias/missing"))),
    Case("BucketNotEmpty", 409, delete_full_bucket),
    Case(
        "EntityTooLarge",
        400,
        lambda clients, key: clients.bucket.put_object(key, bytes(1_000_001)),
    ),
    Case("EntityTooLarge", 400, large_copy),
    Case("EntityTooSmall", 400, lambda clients, key: upload(clients, key, [102_399, 1])),
    Case("FileAlreadyExists", 409, overwrite),
    Case("InternalError", 500, fail_inside),
    Case(
        "InvalidAccessKeyId",
        403,
        lambda clients, key: clients.oss2(oss2.AuthV4("nobody", "secret")).get_object(key),
    ),
    Case("InvalidArgument", 400, lambda clients, key: clients.bucket.list_objects(max_keys=1001)),
    Case("InvalidArgument", 400, put(x_oss_meta_a="x" * 8193), "0011-00000002"),
    Case("InvalidArgument", 400, put(**{"x_oss_meta_a$b": "1"}), "0011-00000002"),
    Case("InvalidArgument", 400, put(x_oss_storage_class="Gold")),
    Case(
        "InvalidArgument",
        400,
        put(
            x_oss_server_side_encryption="AES256",
            x_oss_server_side_encryption_key_id="1",
        ),
    ),
    Case(
        "InvalidArgument",
        400,
        lambda clients, key: clients.bucket.upload_part(key, "x", 10_001, b""),
    ),
    Case(
        "InvalidArgument",
        400,
        lambda clients, key: oss2.Bucket(
            WRONG_REGION, clients.server.endpoint, "bkt", region="cn-beijing"
        ).get_object(key),
        "0002-00000228",
    ),
    Case(
        "InvalidBucketName",
        400,
        lambda clients, key: clients.bucket.copy_object("Not_A_Bucket", key, key),
    ),
    Case("InvalidDigest", 400, v2_put(content_md5="1B2M2Y8AsgTpgAmY7PhCfg==")),
    Case("InvalidDigest", 400, v2_put(content_md5="no base64")),
    Case("InvalidArgument", 400, put(**kms("")), "0005-00000205"),
    Case("InvalidArgument", 400, put(x_oss_server_side_encryption_key_id="1")),
    Case("InvalidArgument", 400, put(x_oss_object_acl="everybody")),
    Case("InvalidArgument", 400, put_rule("AES256", "some-key"), "0005-00000204"),
    Case("InvalidArgument", 400, put_rule("AES256", data_algorithm="SM4")),
    Case(
        "InvalidArgument",
        400,
        lambda clients, key: clients.bucket.upload_part(
            key, "x", 1, b"", headers={"x-oss-server-side-encryption": "AES256"}
        ),
        "0005-00000002",
    ),
    Case(
        "InvalidEncryptionAlgorithmError",
        400,
        v2_put(server_side_encryption="DES"),
        "0005-00000003",
    ),
    Case("InvalidEncryptionAlgorithmError", 400, put_rule("DES"), "0005-00000003"),
    Case("InvalidEncryptionAlgorithmError", 400, put_rule("KMS", "", "DES"), "0005-00000203"),
    cse_put(401, without("key")),
    cse_put(402, without("start")),
    cse_put(403, without("cek-alg")),
    cse_put(404, without("wrap-alg")),
    cse_put(405, ENVELOPE | {f"{P}wrap-alg": "rsa"}),
    cse_put(401, {f"{P}matdesc": "{}"}),
    cse_initiate(401, key=None),
    cse_initiate(406, data_size=None),
    cse_initiate(407, part_size=None),
    cse_initiate(408, data_size="many"),
    cse_initiate(409, part_size="1e5"),
    cse_initiate(410, data_size=str(10_000 * 102_400 + 1)),
    cse_complete(411, 102_400, 102_400),
    cse_complete(411, 102_400, 102_400, 2, 3),
    cse_part(412, "key"),
    cse_part(413, "start"),
    cse_part(414, "cek-alg"),
    cse_part(415, "wrap-alg"),
    cse_part(416, "magic-number-hmac"),
    cse_part(417, "data-size"),
    cse_part(418, "part-size"),
    cse_complete(419, 102_401, 102_399, 5),
    cse_complete(420, 102_400, 102_400, 4),
    cse(421, copy_encrypted),
    cse(421, touch_encrypted),
    Case("InvalidEncryptionRequest", 400, copy_part_of_encrypted, "0042-00000309"),
    Case(
        "InvalidObjectName",
        400,
        lambda clients, key: clients.bucket.copy_object("bkt", "/" + key, key),
        "0016-00000005",
    ),
    Case(
        "InvalidObjectName",
        400,
        lambda clients, key: clients.bucket.put_object("k" * 1024, b""),
    ),
    Case("InvalidObjectState", 403, archived),
    Case("InvalidPart", 400, wrong_part),
    Case("InvalidPartOrder", 400, wrong_order),
    Case(
        "InvalidRange",
        416,
        lambda clients, key: put_then_get(
            clients, key, range_header="bytes=10-", range_behavior="standard"
        ),
    ),
    Case("InvalidSecurityToken", 403, sts(STS_ID, "other")),
    Case("InvalidTag", 400, put(x_oss_tagging="a=b=c"), "0010-00000219"),
    Case("InvalidTag", 400, put(x_oss_tagging="&".join(f"k{n}=v" for n in range(11)))),
    Case("InvalidTag", 400, put(x_oss_tagging="a=%E6%96%87")),
    Case("InvalidTag", 400, put(x_oss_tagging="a=" + "v" * 257)),
    Case("InvalidTag", 400, put(x_oss_tagging="k" * 129 + "=v")),
    Case("InvalidTargetType", 400, link_to_link),
    Case(
        "MalformedXML",
        400,
        lambda clients, key: clients.bucket.complete_multipart_upload(
            key, clients.bucket.init_multipart_upload(key).upload_id, []
        ),
    ),
    Case("KeyDisabled", 409, put_under_key("Disabled"), "0005-00000214"),
    Case("KeyNotFound", 404, put(**kms("no-such-key")), "0005-00000208"),
    Case("KeyPendingDeletion", 409, put_under_key("PendingDeletion"), "0005-00000215"),
    Case("KeyPendingImport", 409, put_under_key("PendingImport")),
    Case("KmsServiceNotEnabled", 403, put_without_kms, "0005-00000218"),
    Case(
        "MalformedXML",
        400,
        lambda clients, key: clients.invoke(
            "PUT",
            query={"encryption": ""},
            body=b"<ServerSideEncryptionRule></ServerSideEncryptionRule>",
        ),
    ),
    Case(
        "MalformedXML",
        400,
        lambda clients, key: clients.invoke("PUT", key, query={"tagging": ""}, body=b"<Tagging"),
    ),
    Case("MethodNotAllowed", 405, lambda clients, key: clients.invoke("POST", key)),
    Case(
        "MissingArgument",
        400,
        lambda clients, key: clients.invoke(
            "POST", query={"delete": ""}, body=b"<Delete><Object><Key>a</Key></Object></Delete>"
        ),
    ),
    Case(
        "MissingContentLength",
        411,
        no_length,
        raw="the HTTP libraries below both SDKs always send a length or chunks",
    ),
    Case(
        "NoSuchBucket",
        404,
        lambda clients, key: clients.oss2(bucket="missing").get_object(key),
    ),
    Case("NoSuchKey", 404, lambda clients, key: clients.bucket.get_object(key), "0026-00000001"),
    Case("NoSuchKey", 404, lambda clients, key: clients.bucket.head_object(key)),
    Case("NoSuchKey", 404, lambda clients, key: clients.bucket.get_object_tagging(key)),
    Case(
        "NoSuchServerSideEncryptionRule",
        404,
        lambda clients, key: clients.bucket.get_bucket_encryption(),
    ),
    Case(
        "NoSuchUpload",
        404,
        lambda clients, key: clients.bucket.abort_multipart_upload(key, "ABC"),
    ),
    Case("NotImplemented", 400, put(If_Match='"x"'), "0017-00000245"),
    Case("NotImplemented", 400, put(If_None_Match="*"), "0017-00000245"),
    Case(
        "NotImplemented",
        400,
        put(If_Unmodified_Since="Sat, 01 Jan 2028 00:00:00 GMT"),
        "0017-00000245",
    ),
    Case("NotImplemented", 400, lambda clients, key: clients.bucket.append_object(key, 0, b"1")),
    Case("NotImplemented", 400, lambda clients, key: clients.bucket.put_bucket_acl("private")),
    Case("NotModified", 304, not_modified),
    Case("NotSymlink", 400, no_link),
    Case(
        "PreconditionFailed",
        412,
        lambda clients, key: put_then_get(clients, key, if_match='"other"'),
        "0017-00001001",
    ),
    Case("RequestTimeTooSkewed", 403, clock_off),
    Case("SecurityTokenExpired", 403, sts(EXPIRED_ID, STS_TOKEN)),
    Case(
        "SignatureDoesNotMatch",
        403,
        lambda clients, key: clients.oss2(oss2.AuthV4("test-id", "wrong")).get_object(key),
        "0002-00000201",
    ),
    Case(
        "SignatureDoesNotMatch",
        403,
        lambda clients, key: clients.oss2(oss2.Auth("test-id", "wrong")).get_object(key),
        "0002-00000040",
    ),
    Case(
        "InvalidAccessKeyId",
        403,
        lambda clients, key: clients.oss2(oss2.Auth("nobody", "wrong")).get_object(key),
    ),
    Case("SymlinkTargetNotExist", 404, link_to_nothing),
]


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    """A server with low limits and a clock that can be shifted."""
    root: Path = tmp_path_factory.mktemp("oss")
    config = settings(root, clock=Clock(), max_put_bytes=1_000_000, max_copy_bytes=1_000_000)
    with RunningServer(config, buckets=["bkt"]) as server:
        yield Clients(server)


def test_the_table_covers_every_code_of_the_server() -> None:
    assert {case.code for case in CASES} == set(KINDS)


def test_the_table_covers_every_rule_for_client_encrypted_objects() -> None:
    covered = {case.ec for case in CASES if case.code == "InvalidEncryptionRequest"}
    assert covered == {f"0005-{number:08d}" for number in range(401, 422)} | {"0042-00000309"}


def facts_of(error: BaseException) -> tuple[int, str, str]:
    """Status, code and EC as the SDK at hand reports them."""
    if isinstance(error, oss.exceptions.OperationError):
        service = error.unwrap()
        return service.status_code, service.code, service.ec or ""
    assert isinstance(error, oss2.exceptions.ServerError)
    if error.status == 304:
        return 304, "NotModified", ""
    return error.status, error.code, error.details.get("EC", "")


@pytest.mark.parametrize(
    ("number", "case"),
    [pytest.param(n, case, id=f"{n}-{case.code}{case.ec}") for n, case in enumerate(CASES)],
)
def test_each_error_reaches_the_client(strict: Clients, number: int, case: Case) -> None:
    key = f"case-{number}"
    if case.raw:
        answer = case.cause(strict, key)
        assert answer.startswith(f"HTTP/1.1 {case.status} ")
        assert f"<Code>{case.code}</Code>" in answer
        return
    with pytest.raises((oss.exceptions.OperationError, oss2.exceptions.ServerError)) as caught:
        case.cause(strict, key)
    status, code, ec = facts_of(caught.value)
    assert (status, code) == (case.status, case.code)
    if case.ec:
        assert ec == case.ec
    strict.bucket.list_objects_v2(max_keys=1)


def test_a_skewed_clock_is_told_the_time(strict: Clients) -> None:
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        clock_off(strict, "any")
    details = caught.value.details
    assert details["MaxAllowedSkewMilliseconds"] == "900000"
    assert details["RequestTime"] < details["ServerTime"]


def test_the_error_of_a_head_stands_in_its_headers(strict: Clients) -> None:
    answer = strict.raw("HEAD", "missing")
    assert answer.status_code == 404
    assert answer.content == b""
    assert b"<Code>NoSuchKey</Code>" in base64.b64decode(answer.headers["x-oss-err"])
    assert answer.headers["x-oss-ec"] == "0026-00000001"


def test_a_failed_put_leaves_no_file(strict: Clients) -> None:
    bodies = strict.server.config.root / "bodies"
    before = sorted(bodies.glob("*/*"))
    for headers in ({"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, {"x-oss-tagging": "a=b=c"}):
        with pytest.raises(oss2.exceptions.ServerError):
            strict.bucket.put_object("refused", b"1", headers=headers)
    assert sorted(bodies.glob("*/*")) == before
