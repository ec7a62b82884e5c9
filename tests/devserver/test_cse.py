"""Client-side encryption by both official SDKs, against the server's rules for it."""

import itertools
from functools import cache
from typing import Any

import alibabacloud_oss_v2 as oss
import oss2
import pytest
from alibabacloud_oss_v2 import crypto
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.devserver.clients import Clients

P = "x-oss-meta-client-side-encryption-"
PART = 102_400
BODY = bytes(range(256)) * 1000


@cache
def key_pair() -> tuple[str, str]:
    """Private and public key as PEM."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return (
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode(),
    )


def crypto_bucket(clients: Clients) -> Any:
    private, public = key_pair()
    provider = oss2.RsaProvider({"private_key": private, "public_key": public})
    auth = oss2.AuthV4(clients.server.access_key_id, clients.server.access_key_secret)
    return oss2.CryptoBucket(
        auth, clients.server.endpoint, "bkt", provider, region=clients.server.region
    )


def encryption_client(clients: Clients) -> Any:
    private, public = key_pair()
    cipher = crypto.MasterRsaCipher({}, public_key=public, private_key=private)
    return oss.EncryptionClient(clients.client, cipher)


def write_oss2(clients: Clients, key: str) -> None:
    crypto_bucket(clients).put_object(key, BODY)


def write_oss2_multipart(clients: Clients, key: str) -> None:
    bucket = crypto_bucket(clients)
    context = oss2.models.MultipartUploadCryptoContext(len(BODY), PART)
    upload_id = bucket.init_multipart_upload(key, upload_context=context).upload_id
    parts = []
    for number, start in enumerate(range(0, len(BODY), PART), 1):
        answer = bucket.upload_part(
            key, upload_id, number, BODY[start : start + PART], upload_context=context
        )
        parts.append(oss2.models.PartInfo(number, answer.etag))
    bucket.complete_multipart_upload(key, upload_id, parts)


def write_v2(clients: Clients, key: str) -> None:
    encryption_client(clients).put_object(oss.PutObjectRequest(bucket="bkt", key=key, body=BODY))


def write_v2_multipart(clients: Clients, key: str) -> None:
    client = encryption_client(clients)
    begun = client.initiate_multipart_upload(
        oss.InitiateMultipartUploadRequest(
            bucket="bkt", key=key, cse_data_size=len(BODY), cse_part_size=PART
        )
    )
    parts = []
    for number, start in enumerate(range(0, len(BODY), PART), 1):
        answer = client.upload_part(
            oss.UploadPartRequest(
                bucket="bkt",
                key=key,
                upload_id=begun.upload_id,
                part_number=number,
                cse_multipart_context=begun.cse_multipart_context,
                body=BODY[start : start + PART],
            )
        )
        parts.append(oss.UploadPart(part_number=number, etag=answer.etag))
    client.complete_multipart_upload(
        oss.CompleteMultipartUploadRequest(
            bucket="bkt",
            key=key,
            upload_id=begun.upload_id,
            complete_multipart_upload=oss.CompleteMultipartUpload(parts=parts),
        )
    )


def read_oss2(clients: Clients, key: str) -> bytes:
    body: bytes = crypto_bucket(clients).get_object(key).read()
    return body


def read_v2(clients: Clients, key: str) -> bytes:
    found = encryption_client(clients).get_object(oss.GetObjectRequest(bucket="bkt", key=key))
    body: bytes = found.body.read()
    return body


WRITERS = [write_oss2, write_oss2_multipart, write_v2, write_v2_multipart]
READERS = [read_oss2, read_v2]


@pytest.mark.parametrize(("write", "read"), [*itertools.product(WRITERS, READERS)])
def test_what_one_sdk_encrypts_the_other_reads(shared: Clients, write: Any, read: Any) -> None:
    write(shared, write.__name__)
    stored = shared.server.object_bytes("bkt", write.__name__)
    assert len(stored) == len(BODY)
    assert stored != BODY
    assert f"{P}key" in shared.server.object_headers("bkt", write.__name__)
    assert read(shared, write.__name__) == BODY


def test_ranges_of_encrypted_objects_are_decrypted(shared: Clients) -> None:
    write_oss2(shared, "ranged")
    found = crypto_bucket(shared).get_object("ranged", byte_range=(33, 100))
    assert found.read() == BODY[33:101]
    answer = encryption_client(shared).get_object(
        oss.GetObjectRequest(bucket="bkt", key="ranged", range_header="bytes=33-100")
    )
    assert answer.body.read() == BODY[33:101]


def test_a_plain_copy_of_an_encrypted_object_can_still_be_read(shared: Clients) -> None:
    write_oss2(shared, "old name")
    shared.bucket.copy_object("bkt", "old name", "new name")
    assert read_v2(shared, "new name") == BODY


def test_a_copy_of_an_encrypted_object_may_change_its_tags(shared: Clients) -> None:
    write_oss2(shared, "tagged")
    shared.bucket.copy_object(
        "bkt",
        "tagged",
        "tagged copy",
        headers={"x-oss-tagging-directive": "Replace", "x-oss-tagging": "a=b"},
    )
    assert shared.bucket.get_object_tagging("tagged copy").tag_set.tagging_rule == {"a": "b"}
    assert read_oss2(shared, "tagged copy") == BODY


def test_a_part_may_come_without_the_envelope(shared: Clients) -> None:
    """As the Java and C++ SDKs send it."""
    envelope = {f"{P}{name}": "eA==" for name in ("key", "start", "cek-alg", "wrap-alg")}
    sizes = {f"{P}data-size": "5", f"{P}part-size": str(PART)}
    bucket = shared.bucket
    upload_id = bucket.init_multipart_upload("bare", headers=envelope | sizes).upload_id
    etag = bucket.upload_part("bare", upload_id, 1, b"12345").etag
    listed = shared.client.list_parts(
        oss.ListPartsRequest(bucket="bkt", key="bare", upload_id=upload_id)
    )
    assert (listed.client_encryption_key, listed.client_encryption_data_size) == ("eA==", 5)
    bucket.complete_multipart_upload("bare", upload_id, [oss2.models.PartInfo(1, etag)])


def test_the_envelope_may_be_repeated_with_a_part(shared: Clients) -> None:
    envelope = {f"{P}{name}": "eA==" for name in ("key", "start", "cek-alg", "wrap-alg")}
    headers = envelope | {f"{P}data-size": "5", f"{P}part-size": str(PART)}
    upload_id = shared.bucket.init_multipart_upload("repeated", headers=headers).upload_id
    for repeated in (envelope, headers):
        shared.bucket.upload_part("repeated", upload_id, 1, b"12345", headers=repeated)
