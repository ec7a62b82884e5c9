"""A KMS of a few lines, played by an httpx transport: no cryptography, every answer scriptable."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import httpx

from ossfs.keys.kms_client import KmsClient
from ossfs.keys.kms_signing import Sign, acs3
from ossfs.store.credentials import Credentials

VERSION = "5b819435-90e1-45fe-a775-43078c83d0c5"
REGION_ENDPOINT = "https://kms.cn-hangzhou.aliyuncs.com"


class Always:
    """Credentials that never change."""

    def __init__(self, token: str | None = None) -> None:
        self._credentials = Credentials(access_key_id="id", access_key_secret="secret", token=token)

    async def get(self) -> Credentials:
        return self._credentials


@dataclass
class MockKms:
    """Blobs hold plaintext and context in clear, behind the id of a key version.

    answers: what is answered instead, first to last; calls: (action, parameters) as they came.
    """

    answers: list[httpx.Response | Exception] = field(default_factory=list)
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    state: str = "Enabled"
    key_id: str = "0c6b4e0e-3a2c-4a5e-9d3c-6f6f2ad44c9b"

    def __call__(self, request: httpx.Request) -> httpx.Response:
        parameters = dict(parse_qsl(request.content.decode(), keep_blank_values=True))
        action = request.headers.get("x-acs-action") or parameters["Action"]
        self.calls.append((action, parameters))
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return httpx.Response(200, json=getattr(self, action)(parameters) | {"RequestId": "R"})

    def Encrypt(self, parameters: dict[str, str]) -> dict[str, Any]:
        context = json.loads(parameters.get("EncryptionContext", "{}"))
        held = json.dumps([parameters["Plaintext"], context])
        blob = base64.b64encode(f"{VERSION}{held}".encode()).decode()
        return {"CiphertextBlob": blob, "KeyId": self.key_id}

    def Decrypt(self, parameters: dict[str, str]) -> dict[str, Any]:
        raw = base64.b64decode(parameters["CiphertextBlob"]).decode()
        plaintext, _ = json.loads(raw.removeprefix(VERSION))
        return {"Plaintext": plaintext, "KeyId": self.key_id}

    def DescribeKey(self, parameters: dict[str, str]) -> dict[str, Any]:
        return {"KeyMetadata": {"KeyId": self.key_id, "KeyState": self.state}}

    def client(self, *, sign: Sign = acs3, retries: int = 2, **options: Any) -> KmsClient:
        return KmsClient(
            REGION_ENDPOINT,
            credentials=options.pop("credentials", Always()),
            transport=httpx.MockTransport(self),
            sign=sign,
            pause=options.pop("pause", max),
            retries=retries,
            **options,
        )


def refusal(code: str, status: int, **headers: str) -> httpx.Response:
    """An error document of the KMS, with a message that must never come out anywhere."""
    document = {"Code": code, "Message": "server string to sign is: SECRET", "RequestId": "R-1"}
    return httpx.Response(status, json=document, headers=headers)
