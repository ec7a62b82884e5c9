"""Where the modes are tried: one bucket, one KMS, and a key of each kind."""

import base64
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import oss2
from aliyunsdkcore.client import AcsClient
from aliyunsdkkms.request.v20160120 import DecryptRequest, EncryptRequest
from oss2.crypto import AliKMSProvider

from ossfs.devserver import RunningServer
from tests.devserver.kms_clients import direct
from tests.fuse.oss import Bucket, Oss
from tests.keys.fakes import private_pem, public_pem, rsa_key, write_private

AES_KEY = bytes(range(100, 132))
KMS_KEY = "alias/ossfs-demo"
PASSPHRASE = "open sesame"


@dataclass(frozen=True, kw_only=True)
class Place:
    """folder: holds key.pem and aes.key, and what providers of oss2 want to find there."""

    bucket: Bucket
    kms_endpoint: str
    folder: Path

    @property
    def pair(self) -> dict[str, str]:
        return {
            "private_key": private_pem(rsa_key()).decode(),
            "public_key": public_pem(rsa_key()).decode(),
        }

    @property
    def plain(self) -> Any:
        """oss2.Bucket without a key of any kind."""
        return self.bucket.client

    def kms_client(self) -> Any:
        """The vendor's client, led to our KMS."""
        oss = self.bucket.oss
        client = AcsClient(oss.key_id, oss.secret, oss.region)
        direct(client, self.kms_endpoint.removeprefix("http://"))
        return client

    def kms_provider(self, passphrase: str | None) -> Any:
        """oss2's provider, led to our KMS."""
        oss = self.bucket.oss
        provider = AliKMSProvider(
            oss.key_id, oss.secret, oss.region, KMS_KEY, passphrase=passphrase
        )
        provider.kms_client = self.kms_client()
        return provider

    def local_rsa(self) -> Any:
        """oss2's provider with OAEP."""
        return oss2.LocalRsaProvider(dir=str(self.folder), key="k")


class KmsCalls:
    """Encrypt and Decrypt without a context, text in and text out, by the vendor's SDK."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def encrypt(self, plaintext: str) -> str:
        request = EncryptRequest.EncryptRequest()
        request.set_KeyId(KMS_KEY)
        request.set_Plaintext(plaintext)
        blob: str = self._ask(request)["CiphertextBlob"]
        return blob

    def decrypt(self, blob: str) -> str:
        request = DecryptRequest.DecryptRequest()
        request.set_CiphertextBlob(blob)
        plaintext: str = self._ask(request)["Plaintext"]
        return plaintext

    def _ask(self, request: Any) -> Any:
        request.set_accept_format("json")
        return json.loads(self._client.do_action_with_exception(request))


def place_of(server: RunningServer, bucket: str, folder: Path) -> Place:
    """A place in a server of this process."""
    oss = Oss(
        service=None,
        root=folder,
        endpoint=server.endpoint,
        region=server.region,
        key_id=server.access_key_id,
        secret=server.access_key_secret,
        _numbers=itertools.count(1),
    )
    return new_place(Bucket(oss=oss, name=bucket), server.kms_endpoint, folder)


def new_place(bucket: Bucket, kms_endpoint: str, folder: Path) -> Place:
    """Puts the keys there."""
    place = Place(bucket=bucket, kms_endpoint=kms_endpoint, folder=folder)
    (folder / "k.private_key.pem").write_text(place.pair["private_key"])
    (folder / "k.public_key.pem").write_text(place.pair["public_key"])
    write_private(folder / "key.pem", place.pair["private_key"])
    write_private(folder / "aes.key", AES_KEY)
    return place


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
