"""Keys of the KMS over their life: states, aliases, versions, import, deletion, restart."""

import base64
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ossfs.devserver import RunningServer
from tests.devserver.clients import Clock, settings
from tests.devserver.kms_clients import DEMO, KmsClients, KmsRefusal, now_text

DAY = 24 * 3600
PADDINGS: dict[str, padding.AsymmetricPadding] = {
    "RSAES_PKCS1_V1_5": padding.PKCS1v15(),
    "RSAES_OAEP_SHA_1": padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None),
    "RSAES_OAEP_SHA_256": padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None),
}


@pytest.fixture
def kms(tmp_path: Path) -> Iterator[KmsClients]:
    """A server for one test, with a clock that can be shifted."""
    with RunningServer(settings(tmp_path, clock=Clock())) as server:
        yield KmsClients(server)


def state_of(kms: KmsClients, key: str, **parameters: Any) -> str:
    state: str = kms.rpc("DescribeKey", KeyId=key, **parameters)["KeyMetadata"]["KeyState"]
    return state


def shift(kms: KmsClients, seconds: float) -> dict[str, Any]:
    """Moves the clock; returns what a call must say from now on."""
    clock = kms.server.config.clock
    assert isinstance(clock, Clock)
    clock.shift = seconds
    return {"Timestamp": now_text(seconds)}


def refused(code: str) -> Any:
    return pytest.raises(KmsRefusal, match=code)


def import_material(
    kms: KmsClients, key: str, material: bytes, algorithm: str = "RSAES_OAEP_SHA_1", expire: int = 0
) -> None:
    """Brings one's own material as the vendor's guide says."""
    parameters = kms.sdk(
        "GetParametersForImport",
        KeyId=key,
        WrappingAlgorithm=algorithm,
        WrappingKeySpec="RSA_2048",
    )
    public = serialization.load_der_public_key(base64.b64decode(parameters["PublicKey"]))
    assert isinstance(public, rsa.RSAPublicKey)
    wrapped = public.encrypt(material, PADDINGS[algorithm])
    kms.sdk(
        "ImportKeyMaterial",
        KeyId=key,
        ImportToken=parameters["ImportToken"],
        EncryptedKeyMaterial=base64.b64encode(wrapped).decode(),
        KeyMaterialExpireUnix=expire,
    )


def external_key(kms: KmsClients) -> str:
    key: str = kms.sdk("CreateKey", Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    return key


def test_a_disabled_key_does_nothing_until_it_is_enabled(kms: KmsClients) -> None:
    key = kms.server.create_key()
    blob = kms.sdk("Encrypt", KeyId=key, Plaintext="8")["CiphertextBlob"]
    kms.sdk("DisableKey", KeyId=key)
    assert state_of(kms, key) == "Disabled"
    calls: list[tuple[str, dict[str, str]]] = [
        ("Encrypt", {"KeyId": key, "Plaintext": "8"}),
        ("GenerateDataKey", {"KeyId": key}),
        ("GenerateDataKeyWithoutPlaintext", {"KeyId": key}),
        ("Decrypt", {"CiphertextBlob": blob}),
        ("ReEncrypt", {"CiphertextBlob": blob, "DestinationKeyId": DEMO}),
        ("CreateKeyVersion", {"KeyId": key}),
    ]
    for action, parameters in calls:
        with refused("409 Rejected.Disabled"):
            kms.sdk(action, **parameters)
    kms.sdk("EnableKey", KeyId=key)
    assert kms.sdk("Decrypt", CiphertextBlob=blob)["Plaintext"] == "8"


def test_a_key_goes_when_its_time_has_come_and_takes_its_data_along(kms: KmsClients) -> None:
    key = kms.server.create_key("alias/mortal")
    blob = kms.sdk("Encrypt", KeyId=key, Plaintext="8")["CiphertextBlob"]
    kms.sdk("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    assert kms.sdk("DescribeKey", KeyId=key)["KeyMetadata"]["DeleteDate"] > now_text(6 * DAY)
    with refused("Rejected.PendingDeletion"):
        kms.sdk("Decrypt", CiphertextBlob=blob)
    kms.sdk("CancelKeyDeletion", KeyId=key)
    assert kms.sdk("Decrypt", CiphertextBlob=blob)["Plaintext"] == "8"
    kms.sdk("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    before = shift(kms, 7 * DAY - 60)
    assert state_of(kms, "alias/mortal", **before) == "PendingDeletion"
    after = shift(kms, 7 * DAY + 60)
    with refused("Forbidden.KeyNotFound"):
        kms.rpc("Decrypt", CiphertextBlob=blob, **after)
    with refused("Forbidden.AliasNotFound"):
        kms.rpc("DescribeKey", KeyId="alias/mortal", **after)
    assert kms.rpc("ListKeys", **after)["TotalCount"] == 1


def test_an_alias_names_one_key_after_another(kms: KmsClients) -> None:
    first, second = kms.server.create_key(), kms.server.create_key()
    kms.sdk("CreateAlias", AliasName="alias/a-1/x_y", KeyId=first)
    assert kms.sdk("GenerateDataKey", KeyId="alias/a-1/x_y")["KeyId"] == first
    kms.sdk("UpdateAlias", AliasName="alias/a-1/x_y", KeyId=second)
    assert kms.sdk("GenerateDataKey", KeyId="alias/a-1/x_y")["KeyId"] == second
    listed = kms.sdk("ListAliases")
    names = [alias["AliasName"] for alias in listed["Aliases"]["Alias"]]
    assert names == ["alias/a-1/x_y", DEMO]
    arn = listed["Aliases"]["Alias"][0]["AliasArn"]
    assert kms.sdk("DescribeKey", KeyId=arn)["KeyMetadata"]["KeyId"] == second
    assert kms.sdk("ListAliasesByKeyId", KeyId=first)["TotalCount"] == 0
    kms.sdk("DeleteAlias", AliasName="alias/a-1/x_y")
    with refused("404 Forbidden.AliasNotFound"):
        kms.sdk("GenerateDataKey", KeyId="alias/a-1/x_y")
    assert state_of(kms, second) == "Enabled"


def test_keys_are_listed_in_pages(kms: KmsClients) -> None:
    made = [kms.server.create_key() for _ in range(12)]
    pages = [kms.sdk("ListKeys", PageNumber=number, PageSize=5) for number in (1, 2, 3, 4)]
    found = [key["KeyId"] for page in pages for key in page["Keys"]["Key"]]
    assert found[1:] == made
    assert [len(page["Keys"]["Key"]) for page in pages] == [5, 5, 3, 0]
    assert {page["TotalCount"] for page in pages} == {13}


def test_the_newest_version_encrypts_and_all_decrypt(kms: KmsClients) -> None:
    blobs, versions = [], []
    for _ in range(3):
        made = kms.sdk("Encrypt", KeyId=DEMO, Plaintext="8")
        blobs.append(made["CiphertextBlob"])
        versions.append(made["KeyVersionId"])
        kms.sdk("CreateKeyVersion", KeyId=DEMO)
    assert len(set(versions)) == 3
    for blob, version in zip(blobs, versions, strict=True):
        opened = kms.sdk("Decrypt", CiphertextBlob=blob)
        assert (opened["Plaintext"], opened["KeyVersionId"]) == ("8", version)
    listed = kms.sdk("ListKeyVersions", KeyId=DEMO)["KeyVersions"]["KeyVersion"]
    assert [item["KeyVersionId"] for item in listed[:3]] == versions
    primary = kms.sdk("DescribeKey", KeyId=DEMO)["KeyMetadata"]["PrimaryKeyVersion"]
    assert primary == listed[3]["KeyVersionId"]
    described = kms.sdk("DescribeKeyVersion", KeyId=DEMO, KeyVersionId=primary)
    assert described["KeyVersion"] == listed[3]


@pytest.mark.parametrize("algorithm", list(PADDINGS))
def test_a_key_of_ones_own_works_once_its_material_is_imported(
    kms: KmsClients, algorithm: str
) -> None:
    key = external_key(kms)
    assert state_of(kms, key) == "PendingImport"
    import_material(kms, key, bytes(range(32)), algorithm)
    described = kms.sdk("DescribeKey", KeyId=key)["KeyMetadata"]
    assert (described["KeyState"], described["Origin"]) == ("Enabled", "EXTERNAL")
    made = kms.sdk("GenerateDataKey", KeyId=key)
    opened = kms.sdk("Decrypt", CiphertextBlob=made["CiphertextBlob"])
    assert opened["Plaintext"] == made["Plaintext"]


def test_material_that_is_deleted_comes_back_only_as_it_was(kms: KmsClients) -> None:
    key = external_key(kms)
    import_material(kms, key, b"m" * 32)
    blob = kms.sdk("Encrypt", KeyId=key, Plaintext="8")["CiphertextBlob"]
    kms.sdk("DeleteKeyMaterial", KeyId=key)
    with refused("Rejected.PendingImport"):
        kms.sdk("Decrypt", CiphertextBlob=blob)
    for wrong in (b"n" * 32, b"m" * 31):
        with refused("InvalidKeyMaterial"):
            import_material(kms, key, wrong)
    import_material(kms, key, b"m" * 32)
    assert kms.sdk("Decrypt", CiphertextBlob=blob)["Plaintext"] == "8"


def test_the_same_material_in_two_keys_does_not_open_the_others_data(kms: KmsClients) -> None:
    first, second = external_key(kms), external_key(kms)
    for key in (first, second):
        import_material(kms, key, b"m" * 32)
    blobs = [
        base64.b64decode(kms.sdk("Encrypt", KeyId=key, Plaintext="8")["CiphertextBlob"])
        for key in (first, second)
    ]
    mixed = base64.b64encode(blobs[0][:36] + blobs[1][36:]).decode()
    with refused("InvalidParameter"):
        kms.sdk("Decrypt", CiphertextBlob=mixed)


def test_material_expires_at_its_time(kms: KmsClients) -> None:
    key = external_key(kms)
    clock = kms.server.config.clock
    import_material(kms, key, b"m" * 32, expire=int(clock()) + DAY)
    assert kms.sdk("DescribeKey", KeyId=key)["KeyMetadata"]["MaterialExpireTime"]
    assert state_of(kms, key) == "Enabled"
    assert state_of(kms, key, **shift(kms, DAY + 60)) == "PendingImport"


def test_a_token_is_for_its_key_only(kms: KmsClients) -> None:
    first, second = external_key(kms), external_key(kms)
    parameters = kms.sdk(
        "GetParametersForImport",
        KeyId=first,
        WrappingAlgorithm="RSAES_PKCS1_V1_5",
        WrappingKeySpec="RSA_2048",
    )
    with refused("InvalidImportToken"):
        kms.sdk(
            "ImportKeyMaterial",
            KeyId=second,
            ImportToken=parameters["ImportToken"],
            EncryptedKeyMaterial="AAAA",
            KeyMaterialExpireUnix=0,
        )


def test_everything_is_there_again_after_a_restart_and_nothing_in_the_clear(
    tmp_path: Path,
) -> None:
    with RunningServer(settings(tmp_path)) as server:
        kms = KmsClients(server)
        disabled = server.create_key("alias/off")
        server.set_key_enabled(disabled, False)
        own = external_key(kms)
        import_material(kms, own, b"material that nobody else knows!")
        blob = kms.sdk("Encrypt", KeyId=own, Plaintext="8")["CiphertextBlob"]
        made = kms.sdk("GenerateDataKey", KeyId=DEMO)
        kms.sdk("CreateKeyVersion", KeyId=DEMO)
        described = kms.sdk("DescribeKey", KeyId=DEMO)["KeyMetadata"]
    with RunningServer(settings(tmp_path)) as server:
        kms = KmsClients(server)
        assert kms.sdk("DescribeKey", KeyId=DEMO)["KeyMetadata"] == described
        assert state_of(kms, "alias/off") == "Disabled"
        assert kms.sdk("Decrypt", CiphertextBlob=blob)["Plaintext"] == "8"
        opened = kms.sdk("Decrypt", CiphertextBlob=made["CiphertextBlob"])
        assert opened["Plaintext"] == made["Plaintext"]
        assert kms.sdk("ListKeys")["TotalCount"] == 3
    folder = tmp_path / "kms"
    assert stat.S_IMODE((folder / "root.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in folder.iterdir():
        assert b"material that nobody" not in file.read_bytes()


def test_the_demo_key_is_made_only_once(tmp_path: Path) -> None:
    with RunningServer(settings(tmp_path)) as server:
        KmsClients(server).sdk("DeleteAlias", AliasName=DEMO)
    with RunningServer(settings(tmp_path)) as server, refused("Forbidden.AliasNotFound"):
        KmsClients(server).sdk("DescribeKey", KeyId=DEMO)


def test_the_journal_names_action_key_and_error(kms: KmsClients) -> None:
    key = kms.server.create_key()
    blob = kms.rpc("Encrypt", KeyId=key, Plaintext="8")["CiphertextBlob"]
    kms.acs3("Decrypt", CiphertextBlob=blob)
    with refused("AliasNotFound"):
        kms.sdk("DescribeKey", KeyId="alias/none")
    assert [
        (record.operation, record.key, record.status, record.error)
        for record in kms.server.kms_requests.all()
    ] == [
        ("Encrypt", key, 200, ""),
        ("Decrypt", key, 200, ""),
        ("DescribeKey", "alias/none", 404, "Forbidden.AliasNotFound"),
    ]
    assert kms.server.requests.all() == []


def test_faults_of_the_kms_strike_the_kms_alone(kms: KmsClients) -> None:
    server = kms.server
    server.add_fault("op=*,status=503")
    server.add_kms_fault(f"op=Encrypt,key={DEMO},skip=1,times=1,code=Rejected.Throttling")
    kms.sdk("Encrypt", KeyId=DEMO, Plaintext="8")
    with refused("429 Rejected.Throttling"):
        kms.sdk("Encrypt", KeyId=DEMO, Plaintext="8")
    kms.sdk("Encrypt", KeyId=DEMO, Plaintext="8")
    for drop in ("before", "after"):
        server.add_kms_fault(f"drop={drop},times=1")
        with pytest.raises(httpx.TransportError):
            kms.rpc("CreateKey")
    assert kms.rpc("ListKeys")["TotalCount"] == 2
    server.add_kms_fault("truncate=10,times=1")
    with pytest.raises(httpx.TransportError):
        kms.rpc("ListKeys")
    server.add_kms_fault("corrupt=0")
    with pytest.raises(ValueError, match="Expecting value"):
        kms.rpc("ListKeys")
    server.clear_kms_faults()
    assert kms.rpc("ListKeys")["TotalCount"] == 2


def test_the_kms_can_be_slow(tmp_path: Path) -> None:
    with RunningServer(settings(tmp_path, kms_latency_ms=120)) as server:
        response = httpx.get(server.kms_endpoint)
        assert response.elapsed.total_seconds() >= 0.12
        assert response.json()["Code"] == "MissingParameter"
        assert response.headers["x-acs-request-id"] == response.json()["RequestId"]


def test_a_body_beyond_all_reason_is_refused(kms: KmsClients) -> None:
    answer = httpx.post(kms.server.kms_endpoint, content=b"a" * (2 << 20))
    assert answer.json()["Code"] == "InvalidParameter"
