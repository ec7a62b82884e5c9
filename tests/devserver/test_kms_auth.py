"""Both signatures of the KMS: as the vendor's SDK and documents make them, and nothing else."""

import calendar
import json
from pathlib import Path
from typing import Any

import pytest

from ossfs.devserver import Credential, RunningServer
from ossfs.devserver.kms.auth import (
    KmsAuthenticator,
    SignedRequest,
    acs3_canonical_request,
    rpc_string_to_sign,
)
from ossfs.devserver.kms.errors import KmsError
from tests.devserver.clients import Clients, Clock, settings
from tests.devserver.kms_clients import DEMO, EXPIRED, STS, KmsClients, KmsRefusal, now_text

VECTORS = json.loads(
    (Path(__file__).parent.parent / "vectors" / "kms_sign.json").read_text(encoding="utf-8")
)
SECRET = "secretexample"
DECRYPT = VECTORS["acs3 Decrypt"]


def authenticator(token: str | None = None) -> KmsAuthenticator:
    """One whose clock stands at the time of the vectors."""
    return KmsAuthenticator(
        {"LTAIexample": Credential(secret=SECRET, token=token)},
        lambda: calendar.timegm((2026, 1, 2, 3, 4, 5)),
    )


def acs3_request(**changes: str) -> SignedRequest:
    """The Decrypt of the vectors."""
    return SignedRequest(
        method="POST",
        query={"CiphertextBlob": "NWI4MTk0MzU+/=="},
        form={},
        headers={**DECRYPT["headers"], "authorization": DECRYPT["authorization"], **changes},
        body=b"",
    )


@pytest.fixture
def kms(shared: Clients) -> KmsClients:
    return KmsClients(shared.server)


@pytest.mark.parametrize("action", ["GenerateDataKey", "Encrypt", "Decrypt"])
@pytest.mark.parametrize("in_form", [False, True])
def test_what_the_sdk_signs_is_accepted_once(action: str, in_form: bool) -> None:
    vector = VECTORS[f"rpc_v1 {action}"]
    parameters = {name: str(value) for name, value in vector["params"].items()}
    assert rpc_string_to_sign("POST", parameters) == vector["string_to_sign"]
    sent = parameters | {"Signature": vector["signature"]}
    request = SignedRequest(
        method="POST",
        query={} if in_form else sent,
        form=sent if in_form else {},
        headers={},
        body=b"",
    )
    checker = authenticator()
    assert checker.check(request).secret == SECRET
    with pytest.raises(KmsError, match="SignatureNonceUsed"):
        checker.check(request)


def test_the_newer_signature_of_the_vectors_is_accepted_once() -> None:
    request = acs3_request()
    canonical = acs3_canonical_request(request, sorted(DECRYPT["headers"]))
    assert canonical == DECRYPT["canonical_request"]
    checker = authenticator("CAISexample")
    checker.check(request)
    with pytest.raises(KmsError, match="SignatureNonceUsed"):
        checker.check(request)


@pytest.mark.parametrize(
    "name", [name for name in DECRYPT["headers"] if name != "x-acs-content-sha256"]
)
def test_no_header_of_the_newer_signature_can_be_changed(name: str) -> None:
    changed = acs3_request(**{name: DECRYPT["headers"][name] + "0"})
    with pytest.raises(KmsError, match=r"SignatureDoesNotMatch|IllegalTimestamp|SecurityToken"):
        authenticator("CAISexample").check(changed)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("form", [False, True])
def test_parameters_may_stand_in_the_query_or_in_the_body(
    kms: KmsClients, method: str, form: bool
) -> None:
    plaintext = "a+b c*~%/="
    for call in (kms.rpc, kms.acs3):
        made = call("Encrypt", method=method, form=form, KeyId=DEMO, Plaintext=plaintext)
        opened = call("Decrypt", method=method, form=form, CiphertextBlob=made["CiphertextBlob"])
        assert opened["Plaintext"] == plaintext


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Signature": None}, "400 IncompleteSignature"),
        ({"SignatureMethod": "HMAC-SHA256"}, "400 IncompleteSignature"),
        ({"SignatureVersion": None}, "400 IncompleteSignature"),
        ({"Signature": "AAAA"}, "400 SignatureDoesNotMatch"),
        ({"KeyId": "alias/other"}, "400 SignatureDoesNotMatch"),
        ({"Extra": "1"}, "400 SignatureDoesNotMatch"),
        ({"Format": None}, "400 SignatureDoesNotMatch"),
        ({"SignatureNonce": None}, "400 MissingParameter"),
        ({"AccessKeyId": None}, "400 MissingParameter"),
        ({"AccessKeyId": "nobody"}, "404 InvalidAccessKeyId.NotFound"),
        ({"Timestamp": None}, "400 IllegalTimestamp"),
        ({"Timestamp": "yesterday"}, "400 IllegalTimestamp"),
        ({"Timestamp": now_text(-100_000)}, "400 IllegalTimestamp"),
        ({"Timestamp": now_text(100_000)}, "400 IllegalTimestamp"),
        ({"SecurityToken": "none"}, "400 InvalidSecurityToken.MismatchWithAccessKey"),
        ({"Version": "2017-01-01"}, "400 InvalidParameter"),
        ({"Action": "Nothing"}, "400 InvalidParameter"),
        ({"Action": None}, "400 MissingParameter"),
    ],
)
def test_a_call_changed_after_signing_is_refused(
    kms: KmsClients, changes: dict[str, str | None], code: str
) -> None:
    with pytest.raises(KmsRefusal, match=f"^{code}$"):
        kms.rpc("DescribeKey", KeyId=DEMO, changes=changes)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"authorization": "ACS3-HMAC-SHA256 nonsense"}, "IncompleteSignature"),
        ({"authorization": "Basic eDp5"}, "IncompleteSignature"),
        ({"x-acs-unsigned": "1"}, "IncompleteSignature"),
        ({"x-acs-signature-nonce": None}, "MissingParameter"),
        ({"x-acs-content-sha256": "0" * 64}, "InvalidParameter"),
        ({"x-acs-action": "ScheduleKeyDeletion"}, "SignatureDoesNotMatch"),
        ({"x-acs-date": now_text(-1000)}, "IllegalTimestamp"),
        ({"x-acs-date": None}, "IllegalTimestamp"),
        ({"x-acs-version": "2017-01-01"}, "InvalidParameter"),
    ],
)
def test_a_call_with_the_newer_signature_changed_is_refused(
    kms: KmsClients, changes: dict[str, str | None], code: str
) -> None:
    with pytest.raises(KmsRefusal, match=f"^400 {code}$"):
        kms.acs3("DescribeKey", KeyId=DEMO, changes=changes)


def test_every_signed_header_must_be_named_in_order(kms: KmsClients) -> None:
    request = acs3_request()
    fields = request.headers["authorization"].replace("host;x-acs-action;", "x-acs-action;host;")
    with pytest.raises(KmsError, match="IncompleteSignature"):
        authenticator("CAISexample").check(acs3_request(authorization=fields))


def test_a_wrong_secret_is_refused_by_both(kms: KmsClients) -> None:
    for call in (kms.rpc, kms.acs3):
        with pytest.raises(KmsRefusal, match="SignatureDoesNotMatch"):
            call("DescribeKey", KeyId=DEMO, secret="wrong")


def test_the_sdk_recognizes_its_string_to_sign_in_the_refusal(kms: KmsClients) -> None:
    with pytest.raises(KmsRefusal, match="InvalidAccessKeySecret"):
        kms.sdk("ListKeys", kms.acs(secret="wrong"))


def test_temporary_credentials_need_their_token(kms: KmsClients) -> None:
    assert kms.sdk("DescribeKey", kms.acs(**STS), KeyId=DEMO)
    signer: dict[str, Any] = {"key_id": STS["key_id"], "secret": STS["secret"]}
    token = {"x-acs-security-token": STS["token"]}
    assert kms.acs3("DescribeKey", headers=token, **signer, KeyId=DEMO)
    mismatch = "400 InvalidSecurityToken.MismatchWithAccessKey"
    with pytest.raises(KmsRefusal, match=mismatch):
        kms.sdk("DescribeKey", kms.acs(**signer), KeyId=DEMO)
    with pytest.raises(KmsRefusal, match=mismatch):
        kms.acs3("DescribeKey", **signer, KeyId=DEMO)
    with pytest.raises(KmsRefusal, match=r"400 InvalidSecurityToken\.Expired"):
        kms.sdk("DescribeKey", kms.acs(**EXPIRED), KeyId=DEMO)


def test_a_nonce_is_forgotten_when_its_timestamp_has_no_chance_any_more(tmp_path: Path) -> None:
    clock = Clock()
    with RunningServer(settings(tmp_path, clock=clock)) as server:
        kms = KmsClients(server)
        kms.rpc("DescribeKey", KeyId=DEMO, SignatureNonce="once")
        with pytest.raises(KmsRefusal, match="400 SignatureNonceUsed"):
            kms.rpc("DescribeKey", KeyId=DEMO, SignatureNonce="once")
        clock.shift = 2000
        later = now_text(clock.shift)
        assert kms.rpc("DescribeKey", KeyId=DEMO, SignatureNonce="once", Timestamp=later)
