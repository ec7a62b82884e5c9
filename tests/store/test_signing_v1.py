import calendar
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from ossfs.store.base import PutOptions
from ossfs.store.credentials import Credentials, EnvironmentCredentials
from ossfs.store.oss import OssStore
from ossfs.store.signing_v1 import canonical_resource, sign_v1, string_to_sign
from ossfs.types import ObjectKey

_FILE = json.loads((Path(__file__).parents[1] / "vectors" / "sign.json").read_text())
_REQUESTS = {vector["name"]: vector for vector in _FILE["v4"]}


# Of the official clients, the one that made the vectors does not sign this parameter; oss2 does.
_UNSIGNED_THERE = {"GetBucketEncryption"}
_VECTORS = [vector for vector in _FILE["v1"] if vector["name"] not in _UNSIGNED_THERE]


@pytest.mark.parametrize("vector", _VECTORS, ids=lambda vector: vector["name"])
def test_the_signature_is_that_of_the_official_client(vector: dict[str, Any]) -> None:
    request = _REQUESTS[vector["name"]]
    when = calendar.timegm(time.strptime(request["date"], "%Y%m%dT%H%M%SZ"))
    resource = canonical_resource(request["bucket"], request["key"] or "", request["query"])
    signed = sign_v1(
        # That client leaves the token unsigned, under another name than the documented one.
        Credentials(access_key_id=request["ak"], access_key_secret=request["sk"]),
        method=request["method"],
        resource=resource,
        headers=request["headers"],
        when=when + 0.9,
    )
    assert string_to_sign(request["method"], resource, signed) == vector["string_to_sign"]
    assert signed["authorization"] == vector["authorization"]


def test_a_token_is_sent_and_signed() -> None:
    credentials = Credentials(access_key_id="id", access_key_secret="secret", token="token")
    signed = sign_v1(credentials, method="GET", resource="/b/", headers={}, when=0)
    assert signed["x-oss-security-token"] == "token"
    to_sign = string_to_sign("GET", "/b/", signed)
    assert to_sign == "GET\n\n\nThu, 01 Jan 1970 00:00:00 GMT\nx-oss-security-token:token\n/b/"


async def test_the_client_signs_with_the_version_that_was_asked_for() -> None:
    seen: list[str] = []

    def answers(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, headers={"etag": "E"})

    for signature in ("v1", "v4"):
        store = OssStore(
            "bucket",
            region="cn-hangzhou",
            credentials=EnvironmentCredentials(
                {"OSS_ACCESS_KEY_ID": "id", "OSS_ACCESS_KEY_SECRET": "secret"}
            ),
            signature=signature,
            transport=httpx.MockTransport(answers),
        )
        await store.put(ObjectKey("key"), b"", PutOptions())
    assert seen[0].startswith("OSS id:")
    assert seen[1].startswith("OSS4-HMAC-SHA256 ")
