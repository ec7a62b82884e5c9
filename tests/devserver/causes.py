"""Ways to make the server refuse, each through the SDK that can."""

import hashlib
import socket
from collections.abc import Callable
from typing import Any

import alibabacloud_oss_v2 as oss
import oss2

from tests.devserver.clients import STS_SECRET, Clients, Clock
from tests.devserver.kms_clients import KmsClients

P = "x-oss-meta-client-side-encryption-"
ENVELOPE = {
    f"{P}key": "a2V5",
    f"{P}start": "c3RhcnQ=",
    f"{P}cek-alg": "AES/CTR/NoPadding",
    f"{P}wrap-alg": "RSA/NONE/PKCS1Padding",
}
SIZES = {f"{P}data-size": "204805", f"{P}part-size": "102400"}
PART = b"p" * 102400
Cause = Callable[[Clients, str], Any]


def without(name: str, headers: dict[str, str] = ENVELOPE) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != P + name}


def upload(
    clients: Clients, key: str, sizes: list[int], headers: dict[str, str] | None = None
) -> Any:
    """Uploads parts of these sizes and completes the upload with all of them."""
    bucket = clients.bucket
    upload_id = bucket.init_multipart_upload(key, headers=headers).upload_id
    parts = []
    for number, size in enumerate(sizes, 1):
        result = bucket.upload_part(key, upload_id, number, b"x" * size)
        parts.append(oss2.models.PartInfo(number, result.etag))
    return bucket.complete_multipart_upload(key, upload_id, parts)


def initiate(clients: Clients, key: str, headers: dict[str, str]) -> Any:
    return clients.bucket.init_multipart_upload(key, headers=headers)


def part_after(clients: Clients, key: str, headers: dict[str, str]) -> Any:
    """UploadPart whose headers differ from those of Initiate."""
    begun = ENVELOPE | SIZES | {f"{P}magic-number-hmac": "aG1hYw=="}
    upload_id = clients.bucket.init_multipart_upload(key, headers=begun).upload_id
    return clients.bucket.upload_part(key, upload_id, 1, PART, headers=begun | headers)


def put_then_get(clients: Clients, key: str, **get: Any) -> Any:
    clients.bucket.put_object(key, b"0123456789")
    return clients.client.get_object(oss.GetObjectRequest(bucket="bkt", key=key, **get))


def delete_full_bucket(clients: Clients, key: str) -> Any:
    clients.bucket.put_object(key, b"1")
    return clients.bucket.delete_bucket()


def overwrite(clients: Clients, key: str) -> Any:
    clients.bucket.put_object(key, b"1")
    return clients.bucket.put_object(key, b"2", headers={"x-oss-forbid-overwrite": "true"})


def fail_inside(clients: Clients, key: str) -> Any:
    """The directory of the bodies is away for a moment."""
    bodies = clients.server.config.root / "bodies"
    moved = bodies.rename(bodies.with_name("moved"))
    try:
        return clients.bucket.put_object(key, b"1")
    finally:
        moved.rename(bodies)


def archived(clients: Clients, key: str) -> Any:
    clients.bucket.put_object(key, b"1", headers={"x-oss-storage-class": "Archive"})
    return clients.bucket.get_object(key)


def link_to_link(clients: Clients, key: str) -> Any:
    clients.bucket.put_symlink(key + "-2", key)
    clients.bucket.put_symlink(key, key + "-2")
    return clients.bucket.get_object(key)


def link_to_nothing(clients: Clients, key: str) -> Any:
    clients.bucket.put_symlink(key + "-missing", key)
    return clients.bucket.get_object(key)


def no_link(clients: Clients, key: str) -> Any:
    clients.bucket.put_object(key, b"1")
    return clients.bucket.get_symlink(key)


def wrong_order(clients: Clients, key: str) -> Any:
    bucket = clients.bucket
    upload_id = bucket.init_multipart_upload(key).upload_id
    etag = bucket.upload_part(key, upload_id, 1, PART).etag
    bucket.upload_part(key, upload_id, 2, PART)
    listed = [oss.UploadPart(part_number=number, etag=etag) for number in (2, 1)]
    return clients.client.complete_multipart_upload(
        oss.CompleteMultipartUploadRequest(
            bucket="bkt",
            key=key,
            upload_id=upload_id,
            complete_multipart_upload=oss.CompleteMultipartUpload(parts=listed),
        )
    )


def wrong_part(clients: Clients, key: str) -> Any:
    bucket = clients.bucket
    upload_id = bucket.init_multipart_upload(key).upload_id
    bucket.upload_part(key, upload_id, 1, PART)
    return bucket.complete_multipart_upload(
        key, upload_id, [oss2.models.PartInfo(1, hashlib.md5(b"other").hexdigest())]
    )


def not_modified(clients: Clients, key: str) -> Any:
    etag = clients.bucket.put_object(key, b"1").etag
    return clients.bucket.get_object(key, headers={"If-None-Match": f'"{etag}"'})


def clock_off(clients: Clients, key: str) -> Any:
    clock = clients.server.config.clock
    assert isinstance(clock, Clock)
    clock.shift = 3600
    try:
        return clients.bucket.get_object(key)
    finally:
        clock.shift = 0


def no_length(clients: Clients, key: str) -> Any:
    """Every HTTP client says how long its body is, so this one is written by hand."""
    path, headers = clients.signed("PUT", key)
    port = int(clients.server.endpoint.rpartition(":")[2])
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"PUT {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
        return connection.recv(65536).decode()


def sts(key_id: str, token: str) -> Cause:
    return lambda clients, key: clients.v2(
        key_id=key_id, secret=STS_SECRET, token=token
    ).get_object(oss.GetObjectRequest(bucket="bkt", key=key))


def kms(key_id: str) -> dict[str, str]:
    """Headers that ask for this key of the KMS."""
    return {
        "x-oss-server-side-encryption": "KMS",
        "x-oss-server-side-encryption-key-id": key_id,
    }


def put_under_key(state: str) -> Cause:
    """A put under a key in that state."""

    def cause(clients: Clients, key: str) -> Any:
        client = KmsClients(clients.server)
        origin = "EXTERNAL" if state == "PendingImport" else "Aliyun_KMS"
        key_id = client.sdk("CreateKey", Origin=origin)["KeyMetadata"]["KeyId"]
        if state == "Disabled":
            client.sdk("DisableKey", KeyId=key_id)
        if state == "PendingDeletion":
            client.sdk("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=7)
        return clients.bucket.put_object(key, b"1", headers=kms(key_id))

    return cause


def put_without_kms(clients: Clients, key: str) -> Any:
    clients.server.add_kms_fault("op=GenerateDataKey,times=1,code=Forbidden.KmsServiceNotEnabled")
    headers = {"x-oss-server-side-encryption": "KMS"}
    return clients.bucket.put_object(key, b"1", headers=headers)


def put_rule(algorithm: str, key_id: str = "", data_algorithm: str = "") -> Cause:
    rule = oss2.models.ServerSideEncryptionRule(algorithm, key_id, data_algorithm)
    return lambda clients, key: clients.bucket.put_bucket_encryption(rule)


def copy_encrypted(clients: Clients, key: str) -> Any:
    clients.bucket.put_object(key, b"1", headers=ENVELOPE)
    headers = {"x-oss-metadata-directive": "REPLACE", "x-oss-meta-new": "1"}
    return clients.bucket.copy_object("bkt", key, key + "-copy", headers=headers)


def touch_encrypted(clients: Clients, key: str) -> Any:
    clients.bucket.put_object(key, b"1", headers=ENVELOPE)
    return clients.bucket.update_object_meta(key, ENVELOPE | {"x-oss-meta-mode": "1"})


def copy_part_of_encrypted(clients: Clients, key: str) -> Any:
    bucket = clients.bucket
    bucket.put_object(key, PART, headers=ENVELOPE)
    upload_id = bucket.init_multipart_upload(key + "-copy").upload_id
    return bucket.upload_part_copy("bkt", key, None, key + "-copy", upload_id, 1)


def large_copy(clients: Clients, key: str) -> Any:
    clients.server.create_bucket("other")
    upload(clients, key, [600_000, 600_000])
    return clients.oss2(bucket="other").copy_object("bkt", key, key)
