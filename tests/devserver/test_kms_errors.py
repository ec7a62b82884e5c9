"""Every error code of the KMS is produced here, through the vendor's SDK wherever it can."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ossfs.devserver import Credential, RunningServer
from ossfs.devserver.kms.errors import KINDS
from tests.devserver.clients import Clock, settings
from tests.devserver.kms_clients import DEMO, EXPIRED, STS, KmsClients, KmsRefusal, now_text

NOBODY = "11111111-2222-3333-4444-555555555555"
DENIED_ID, DENIED_SECRET = "denied-id", "denied-secret"
DAY = 24 * 3600
Cause = Callable[[KmsClients], Any]


@dataclass(frozen=True)
class Case:
    code: str
    status: int
    cause: Cause


def sdk(action: str, **parameters: Any) -> Cause:
    return lambda kms: kms.sdk(action, **parameters)


def new_key(kms: KmsClients, **parameters: Any) -> str:
    key_id: str = kms.sdk("CreateKey", **parameters)["KeyMetadata"]["KeyId"]
    return key_id


def scheduled(kms: KmsClients) -> str:
    key = new_key(kms)
    kms.sdk("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    return key


def used(how: Callable[[KmsClients], str], action: str = "GenerateDataKey") -> Cause:
    """Uses a key in a certain state."""
    return lambda kms: kms.sdk(action, KeyId=how(kms))


def disabled(kms: KmsClients) -> str:
    key = new_key(kms)
    kms.sdk("DisableKey", KeyId=key)
    return key


def external(kms: KmsClients) -> str:
    return new_key(kms, Origin="EXTERNAL")


def decrypt_after(change: Callable[[KmsClients, str], Any]) -> Cause:
    def cause(kms: KmsClients) -> Any:
        key = new_key(kms)
        blob = kms.sdk("Encrypt", KeyId=key, Plaintext="8")["CiphertextBlob"]
        change(kms, key)
        return kms.sdk("Decrypt", CiphertextBlob=blob)

    return cause


def wrong_context(kms: KmsClients) -> Any:
    blob = kms.sdk("Encrypt", KeyId=DEMO, Plaintext="8", EncryptionContext='{"a":"1"}')
    return kms.sdk("Decrypt", CiphertextBlob=blob["CiphertextBlob"], EncryptionContext='{"a":"2"}')


def fault(rule: str) -> Cause:
    """The state of an account and of the service cannot be brought about by a client."""

    def cause(kms: KmsClients) -> Any:
        kms.server.add_kms_fault(f"op=DescribeKey,times=1,{rule}")
        return kms.sdk("DescribeKey", KeyId=DEMO)

    return cause


def import_with(**changes: Any) -> Cause:
    def cause(kms: KmsClients) -> Any:
        key = external(kms)
        parameters = kms.sdk(
            "GetParametersForImport",
            KeyId=key,
            WrappingAlgorithm="RSAES_OAEP_SHA_256",
            WrappingKeySpec="RSA_2048",
        )
        sent = {
            "KeyId": key,
            "ImportToken": parameters["ImportToken"],
            "EncryptedKeyMaterial": base64.b64encode(bytes(256)).decode(),
            "KeyMaterialExpireUnix": 0,
        }
        return kms.sdk("ImportKeyMaterial", **(sent | changes))

    return cause


def late_import(kms: KmsClients) -> Any:
    clock = kms.server.config.clock
    assert isinstance(clock, Clock)
    key = external(kms)
    parameters = kms.sdk(
        "GetParametersForImport",
        KeyId=key,
        WrappingAlgorithm="RSAES_PKCS1_V1_5",
        WrappingKeySpec="RSA_2048",
    )
    clock.shift = DAY + 60
    try:
        return kms.rpc(
            "ImportKeyMaterial",
            KeyId=key,
            ImportToken=parameters["ImportToken"],
            EncryptedKeyMaterial="AAAA",
            Timestamp=now_text(clock.shift),
        )
    finally:
        clock.shift = 0


def broken_disk(kms: KmsClients) -> Any:
    """The material of a key on disk is not what was sealed."""
    key = new_key(kms)
    damage = "UPDATE versions SET material = x'00' WHERE key = ?"
    kms.server._in_server(lambda server: server.kms.store._db.execute(damage, (key,)))
    return kms.sdk("GenerateDataKey", KeyId=key)


CASES = [
    Case(
        "AliasAlreadyExists",
        400,
        lambda kms: kms.sdk("CreateAlias", AliasName=DEMO, KeyId=new_key(kms)),
    ),
    Case("ExpiredImportToken", 400, late_import),
    Case("Forbidden.AliasNotFound", 404, sdk("GenerateDataKey", KeyId="alias/nothing")),
    Case("Forbidden.AliasNotFound", 404, sdk("DeleteAlias", AliasName="alias/nothing")),
    Case("Forbidden.InDebt", 403, fault("code=Forbidden.InDebt")),
    Case("Forbidden.InDebtOverdue", 403, fault("code=Forbidden.InDebtOverdue")),
    Case("Forbidden.KeyNotFound", 404, sdk("DescribeKey", KeyId=NOBODY)),
    Case("Forbidden.KeyNotFound", 404, sdk("Encrypt", KeyId="no-uuid", Plaintext="8")),
    Case(
        "Forbidden.KeyNotFound",
        404,
        sdk("DescribeKey", KeyId=f"acs:kms:cn-beijing:1000000000000001:key/{NOBODY}"),
    ),
    Case(
        "Forbidden.KeyNotFound",
        404,
        sdk("Decrypt", CiphertextBlob=base64.b64encode(NOBODY.encode() + bytes(40)).decode()),
    ),
    Case("Forbidden.KeyNotFound", 404, decrypt_after(lambda kms, key: kms.server.delete_key(key))),
    Case(
        "Forbidden.KeyVersionNotFound",
        404,
        sdk("DescribeKeyVersion", KeyId=DEMO, KeyVersionId=NOBODY),
    ),
    Case("Forbidden.KmsServiceNotEnabled", 403, fault("code=Forbidden.KmsServiceNotEnabled")),
    Case(
        "Forbidden.NoPermission",
        403,
        lambda kms: kms.sdk("Decrypt", kms.acs(DENIED_ID, DENIED_SECRET), CiphertextBlob="AAAA"),
    ),
    Case("IllegalTimestamp", 400, lambda kms: kms.rpc("ListKeys", Timestamp="2020-01-01")),
    Case("IncompleteSignature", 400, lambda kms: kms.rpc("ListKeys", SignatureVersion="2.0")),
    Case("InternalFailure", 500, broken_disk),
    Case("InternalFailure", 500, fault("status=500")),
    Case("InvalidAccessKeyId.NotFound", 404, lambda kms: kms.rpc("ListKeys", AccessKeyId="x")),
    Case("InvalidImportToken", 400, import_with(ImportToken="AAAA")),
    Case("InvalidImportToken", 400, import_with(ImportToken="no base64")),
    Case("InvalidKeyMaterial", 400, import_with()),
    Case("InvalidParameter", 400, import_with(EncryptedKeyMaterial="no base64")),
    Case("InvalidParameter", 400, import_with(KeyMaterialExpireUnix=1)),
    Case("InvalidParameter", 400, wrong_context),
    Case("InvalidParameter", 400, sdk("Decrypt", CiphertextBlob="no base64")),
    Case("InvalidParameter", 400, sdk("Decrypt", CiphertextBlob="AAAA")),
    Case("InvalidParameter", 400, sdk("Encrypt", KeyId=DEMO, Plaintext="a" * 8193)),
    Case("InvalidParameter", 400, sdk("GenerateDataKey", KeyId=DEMO, KeySpec="DES")),
    Case("InvalidParameter", 400, sdk("GenerateDataKey", KeyId=DEMO, NumberOfBytes=0)),
    Case("InvalidParameter", 400, sdk("GenerateDataKey", KeyId=DEMO, NumberOfBytes=1025)),
    Case("InvalidParameter", 400, sdk("GenerateDataKey", KeyId=DEMO, EncryptionContext="[]")),
    Case("InvalidParameter", 400, sdk("GenerateDataKey", KeyId=DEMO, EncryptionContext="{")),
    Case("InvalidParameter", 400, sdk("GenerateDataKey", KeyId=DEMO, EncryptionContext='{"a": 1}')),
    Case("InvalidParameter", 400, sdk("CreateAlias", AliasName="no-alias", KeyId=NOBODY)),
    Case("InvalidParameter", 400, sdk("ListKeys", PageSize=101)),
    Case(
        "InvalidParameter",
        400,
        lambda kms: kms.sdk("ScheduleKeyDeletion", KeyId=new_key(kms), PendingWindowInDays=6),
    ),
    Case("InvalidParameter", 400, lambda kms: kms.acs3("Unknown")),
    Case("InvalidSecurityToken.Expired", 400, lambda kms: kms.sdk("ListKeys", kms.acs(**EXPIRED))),
    Case(
        "InvalidSecurityToken.MismatchWithAccessKey",
        400,
        lambda kms: kms.sdk("ListKeys", kms.acs(STS["key_id"], STS["secret"], "other")),
    ),
    Case("MissingParameter", 400, sdk("Encrypt", KeyId=DEMO)),
    Case("MissingParameter", 400, sdk("Decrypt")),
    Case("MissingParameter", 400, used(new_key, "ScheduleKeyDeletion")),
    Case("Rejected.Disabled", 409, used(disabled)),
    Case(
        "Rejected.Disabled",
        409,
        decrypt_after(lambda kms, key: kms.server.set_key_enabled(key, False)),
    ),
    Case("Rejected.PendingDeletion", 409, used(scheduled)),
    Case(
        "Rejected.PendingDeletion",
        409,
        lambda kms: kms.sdk("UpdateAlias", AliasName=DEMO, KeyId=scheduled(kms)),
    ),
    Case("Rejected.PendingImport", 409, used(external)),
    Case("Rejected.StateModifiedFailed", 409, used(scheduled, "EnableKey")),
    Case("Rejected.StateModifiedFailed", 409, used(external, "DisableKey")),
    Case("Rejected.StateModifiedFailed", 409, used(new_key, "CancelKeyDeletion")),
    Case(
        "Rejected.StateModifiedFailed",
        409,
        lambda kms: kms.sdk("ScheduleKeyDeletion", KeyId=scheduled(kms), PendingWindowInDays=7),
    ),
    Case(
        "Rejected.StateModifiedFailed",
        409,
        lambda kms: kms.sdk("CreateAlias", AliasName="alias/late", KeyId=scheduled(kms)),
    ),
    Case("Rejected.Throttling", 429, fault("status=429")),
    Case("Rejected.Throttling", 429, fault("code=Rejected.Throttling")),
    Case("ServiceUnavailableTemporary", 503, fault("status=503")),
    Case("SignatureDoesNotMatch", 400, lambda kms: kms.rpc("ListKeys", secret="wrong")),
    Case(
        "SignatureNonceUsed",
        400,
        lambda kms: [kms.rpc("ListKeys", SignatureNonce="again") for _ in range(2)],
    ),
    Case("Unsupported.Alias", 400, sdk("DisableKey", KeyId=DEMO)),
    Case("Unsupported.Origin", 400, used(external, "CreateKeyVersion")),
    Case("Unsupported.Origin", 400, used(new_key, "DeleteKeyMaterial")),
    Case("UnsupportedHTTPMethod", 403, lambda kms: kms.rpc("ListKeys", method="PUT")),
    Case("UnsupportedOperation", 400, sdk("CreateKey", KeySpec="RSA_2048")),
    Case("UnsupportedOperation", 400, sdk("CreateKey", KeyUsage="SIGN/VERIFY")),
    Case("UnsupportedOperation", 400, sdk("GenerateDataKey", KeyId=DEMO, DryRun="true")),
]


@pytest.fixture(scope="module")
def kms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KmsClients]:
    """A server with a clock that can be shifted and a credential that may not decrypt."""
    usual = settings(tmp_path_factory.mktemp("kms"), clock=Clock())
    denied = Credential(secret=DENIED_SECRET, kms_denied=frozenset({"Decrypt"}))
    credentials = {**usual.credentials, DENIED_ID: denied}
    with RunningServer(replace(usual, credentials=credentials)) as server:
        yield KmsClients(server)


def test_the_table_covers_every_code_of_the_kms() -> None:
    assert {case.code for case in CASES} == set(KINDS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_each_error_reaches_the_client(kms: KmsClients, case: Case) -> None:
    with pytest.raises(KmsRefusal) as caught:
        case.cause(kms)
    assert (caught.value.status, caught.value.code) == (case.status, case.code)
    described = kms.sdk("DescribeKey", kms.acs(DENIED_ID, DENIED_SECRET), KeyId=DEMO)
    assert described["KeyMetadata"]["KeyState"] == "Enabled"
