"""The embedded KMS with the vendor's SDK and oss2 as its clients."""

import base64
import json

import oss2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.devserver.clients import Clients
from tests.devserver.kms_clients import DEMO, KmsClients, KmsRefusal

CONTEXTS = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3)
PROPERTY = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def kms(shared: Clients) -> KmsClients:
    return KmsClients(shared.server)


def test_the_demo_key_is_there_from_the_start(kms: KmsClients) -> None:
    described = kms.sdk("DescribeKey", KeyId=DEMO)["KeyMetadata"]
    assert described["KeyState"] == "Enabled"
    assert described["Origin"] == "Aliyun_KMS"
    assert described["KeyUsage"] == "ENCRYPT/DECRYPT"
    for name in (described["KeyId"], described["Arn"]):
        assert kms.sdk("DescribeKey", KeyId=name)["KeyMetadata"] == described


@pytest.mark.parametrize(
    ("wanted", "size"),
    [
        ({}, 32),
        ({"KeySpec": "AES_256"}, 32),
        ({"KeySpec": "AES_128"}, 16),
        ({"KeySpec": "AES_128", "NumberOfBytes": 32}, 32),
        ({"NumberOfBytes": 1024}, 1024),
    ],
)
def test_a_data_key_has_the_length_asked_for_and_can_be_decrypted(
    kms: KmsClients, wanted: dict[str, object], size: int
) -> None:
    made = kms.sdk("GenerateDataKey", KeyId=DEMO, **wanted)
    assert len(base64.b64decode(made["Plaintext"])) == size
    opened = kms.sdk("Decrypt", CiphertextBlob=made["CiphertextBlob"])
    assert {opened[name] == made[name] for name in ("Plaintext", "KeyId", "KeyVersionId")} == {True}
    hidden = kms.sdk("GenerateDataKeyWithoutPlaintext", KeyId=DEMO, **wanted)
    assert "Plaintext" not in hidden
    opened = kms.sdk("Decrypt", CiphertextBlob=hidden["CiphertextBlob"])
    assert len(base64.b64decode(opened["Plaintext"])) == size


def test_a_blob_begins_with_the_id_of_the_key_version(kms: KmsClients) -> None:
    made = kms.sdk("Encrypt", KeyId=DEMO, Plaintext="aGVsbG8=")
    blob = base64.b64decode(made["CiphertextBlob"])
    assert blob[:36].decode() == made["KeyVersionId"]
    assert b"-" in blob[:36]
    assert len(blob) > 36 + len("aGVsbG8=")


@PROPERTY
@given(plaintext=st.text(st.characters(codec="utf-8"), min_size=1, max_size=200))
def test_decrypt_returns_the_very_characters_of_encrypt(kms: KmsClients, plaintext: str) -> None:
    blob = kms.rpc("Encrypt", KeyId=DEMO, Plaintext=plaintext)["CiphertextBlob"]
    assert kms.acs3("Decrypt", CiphertextBlob=blob)["Plaintext"] == plaintext


@PROPERTY
@given(context=CONTEXTS, other=CONTEXTS)
def test_the_encryption_context_is_compared_as_a_map(
    kms: KmsClients, context: dict[str, str], other: dict[str, str]
) -> None:
    blob = kms.rpc("Encrypt", KeyId=DEMO, Plaintext="8", EncryptionContext=json.dumps(context))[
        "CiphertextBlob"
    ]
    backwards = dict(reversed(context.items()))
    text = json.dumps(backwards, ensure_ascii=False, indent=1)
    assert kms.rpc("Decrypt", CiphertextBlob=blob, EncryptionContext=text)["Plaintext"] == "8"
    if other != context:
        with pytest.raises(KmsRefusal, match="400 InvalidParameter"):
            kms.rpc("Decrypt", CiphertextBlob=blob, EncryptionContext=json.dumps(other))


def test_the_context_is_stored_nowhere_in_a_blob(kms: KmsClients) -> None:
    blobs = [
        kms.rpc(
            "Encrypt", KeyId=DEMO, Plaintext="8", EncryptionContext=json.dumps({"purpose": text})
        )["CiphertextBlob"]
        for text in ("", "a long text that would be seen" * 20)
    ]
    assert len(set(map(len, blobs))) == 1


def test_reencrypt_changes_key_and_context_and_shows_no_plaintext(kms: KmsClients) -> None:
    key = kms.server.create_key("alias/other")
    blob = kms.rpc("Encrypt", KeyId=DEMO, Plaintext="8", EncryptionContext='{"a": "1"}')
    moved = kms.sdk(
        "ReEncrypt",
        CiphertextBlob=blob["CiphertextBlob"],
        SourceEncryptionContext='{"a": "1"}',
        DestinationKeyId="alias/other",
        DestinationEncryptionContext='{"b": "2"}',
    )
    assert moved["KeyId"] == key
    assert "Plaintext" not in moved
    opened = kms.sdk(
        "Decrypt", CiphertextBlob=moved["CiphertextBlob"], EncryptionContext='{"b": "2"}'
    )
    assert (opened["Plaintext"], opened["KeyId"]) == ("8", key)


@PROPERTY
@given(data=st.data())
def test_a_damaged_blob_never_opens(kms: KmsClients, data: st.DataObject) -> None:
    made = kms.rpc("Encrypt", KeyId=DEMO, Plaintext="oKGio6Slpqc=")
    blob = bytearray(base64.b64decode(made["CiphertextBlob"]))
    if data.draw(st.booleans()):
        blob[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        del blob[data.draw(st.integers(0, len(blob) - 1)) :]
    with pytest.raises(KmsRefusal, match=r"(InvalidParameter|KeyNotFound|MissingParameter)$"):
        kms.rpc("Decrypt", CiphertextBlob=base64.b64encode(blob).decode())


@pytest.mark.parametrize("passphrase", [None, "1234"])
def test_oss2_encrypts_objects_with_it(shared: Clients, passphrase: str | None) -> None:
    kms = KmsClients(shared.server)
    auth = oss2.AuthV4(shared.server.access_key_id, shared.server.access_key_secret)
    provider = kms.provider(passphrase=passphrase)
    bucket = oss2.CryptoBucket(
        auth, shared.server.endpoint, "bkt", provider, region=shared.server.region
    )
    bucket.put_object("kms", b"0123456789" * 10)
    assert bucket.get_object("kms", byte_range=(3, 19)).read() == (b"0123456789" * 10)[3:20]
    assert shared.server.object_bytes("bkt", "kms") != b"0123456789" * 10
