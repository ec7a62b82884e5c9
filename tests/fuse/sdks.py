"""The official SDKs with client-side encryption, as people without a mount use them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import alibabacloud_oss_v2 as oss
import oss2
from alibabacloud_oss_v2.crypto import MasterRsaCipher
from alibabacloud_oss_v2.encryption_client import EncryptionClient

from tests.fuse.oss import Bucket

PART = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class Sdk:
    """One SDK with one key provider, on one bucket.

    padding: what --rsa-padding must say for it; get takes key, first and last byte (or None).
    """

    name: str
    padding: str
    put: Callable[[str, bytes], object]
    get: Callable[[str, int | None, int | None], bytes]
    put_in_parts: Callable[[str, bytes], object]


def all_sdks(bucket: Bucket, private: str, public: str, folder: Path) -> list[Sdk]:
    """private, public: the key pair as PEM; folder: where a provider wants it as files."""
    pair = {"private_key": private, "public_key": public}
    (folder / "k.private_key.pem").write_text(private)
    (folder / "k.public_key.pem").write_text(public)
    local = oss2.LocalRsaProvider(dir=str(folder), key="k")
    return [
        oss2_sdk("oss2 RsaProvider", "pkcs1", bucket, oss2.RsaProvider(key_pair=pair)),
        oss2_sdk("oss2 LocalRsaProvider", "oaep-sha1", bucket, local),
        v2_sdk(bucket, rsa_cipher(private, public)),
    ]


def oss2_sdk(name: str, padding: str, bucket: Bucket, provider: Any) -> Sdk:
    oss_ = bucket.oss
    crypto = oss2.CryptoBucket(
        oss_.auth(), oss_.endpoint, bucket.name, provider, region=oss_.region
    )

    def get(key: str, first: int | None, last: int | None) -> bytes:
        wanted = None if first is None else (first, last)
        body: bytes = crypto.get_object(key, byte_range=wanted).read()
        return body

    def put_in_parts(key: str, body: bytes) -> None:
        context = oss2.models.MultipartUploadCryptoContext(len(body), PART)
        upload = crypto.init_multipart_upload(key, upload_context=context).upload_id
        parts = []
        for number, start in enumerate(range(0, len(body), PART), 1):
            piece = body[start : start + PART]
            done = crypto.upload_part(key, upload, number, piece, upload_context=context)
            parts.append(
                oss2.models.PartInfo(number, done.etag, size=len(piece), part_crc=done.crc)
            )
        crypto.complete_multipart_upload(key, upload, parts)

    return Sdk(
        name=name, padding=padding, put=crypto.put_object, get=get, put_in_parts=put_in_parts
    )


def rsa_cipher(private: str, public: str) -> Any:
    return MasterRsaCipher(mat_desc={}, public_key=public, private_key=private)


def v2_sdk(bucket: Bucket, cipher: Any) -> Sdk:
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(
        bucket.oss.key_id, bucket.oss.secret
    )
    config.region, config.endpoint = bucket.oss.region, bucket.oss.endpoint
    client = EncryptionClient(oss.Client(config), cipher)

    def put(key: str, body: bytes) -> None:
        client.put_object(oss.PutObjectRequest(bucket=bucket.name, key=key, body=body))

    def get(key: str, first: int | None, last: int | None) -> bytes:
        request = oss.GetObjectRequest(bucket=bucket.name, key=key)
        if first is not None:
            request.range_header = f"bytes={first}-{last}"
            request.range_behavior = "standard"
        answer = client.get_object(request)
        assert answer.body is not None
        body: bytes = answer.body.read()
        return body

    def put_in_parts(key: str, body: bytes) -> None:
        begun = client.initiate_multipart_upload(
            oss.InitiateMultipartUploadRequest(
                bucket=bucket.name, key=key, cse_part_size=PART, cse_data_size=len(body)
            )
        )
        parts = []
        for number, start in enumerate(range(0, len(body), PART), 1):
            done = client.upload_part(
                oss.UploadPartRequest(
                    bucket=bucket.name,
                    key=key,
                    upload_id=begun.upload_id,
                    part_number=number,
                    cse_multipart_context=begun.cse_multipart_context,
                    body=body[start : start + PART],
                )
            )
            parts.append(oss.UploadPart(part_number=number, etag=done.etag))
        client.complete_multipart_upload(
            oss.CompleteMultipartUploadRequest(
                bucket=bucket.name,
                key=key,
                upload_id=begun.upload_id,
                complete_multipart_upload=oss.CompleteMultipartUpload(parts=parts),
            )
        )

    return Sdk(
        name="alibabacloud_oss_v2", padding="pkcs1", put=put, get=get, put_in_parts=put_in_parts
    )
