"""Both signatures of the KMS are those of the vendor's own clients."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from ossfs.keys.kms_signing import (
    KmsRequest,
    acs3,
    acs3_authorization,
    acs3_canonical_request,
    acs3_string_to_sign,
    rpc_v1,
    rpc_v1_signature,
    rpc_v1_string_to_sign,
)

_VECTORS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "kms_sign.json").read_text()
)
# The vectors leave the secret out.
_SECRET = "secretexample"


@dataclass(frozen=True)
class Key:
    access_key_id: str
    access_key_secret: str
    token: str | None = None


def named(prefix: str) -> list[Any]:
    return [pytest.param(v, id=name) for name, v in _VECTORS.items() if name.startswith(prefix)]


@pytest.mark.parametrize("vector", named("rpc_v1"))
def test_rpc_v1_is_that_of_the_official_client(vector: dict[str, Any]) -> None:
    parameters = {name: str(value) for name, value in vector["params"].items()}
    to_sign = rpc_v1_string_to_sign(parameters)
    assert to_sign == vector["string_to_sign"]
    key = Key(parameters["AccessKeyId"], _SECRET)
    assert rpc_v1_signature(key, to_sign) == vector["signature"]


@pytest.mark.parametrize("vector", named("acs3"))
def test_acs3_is_that_of_the_documentation(vector: dict[str, Any]) -> None:
    lines = vector["canonical_request"].split("\n")
    headers = dict(line.split(":", 1) for line in lines[3 : lines.index("", 3)])
    assert acs3_canonical_request(lines[2], headers) == vector["canonical_request"]
    assert acs3_string_to_sign(vector["canonical_request"]) == vector["string_to_sign"]
    found = re.search("Credential=([^,]*)", vector["authorization"])
    assert found is not None
    of_the_page = found.group(1) == "YourAccessKeyId"
    key = Key(found.group(1), "YourAccessKeySecret" if of_the_page else _SECRET)
    assert acs3_authorization(key, lines[2], headers) == vector["authorization"]


REQUEST = KmsRequest(
    action="Encrypt",
    parameters={"KeyId": "alias/a b*~", "Plaintext": "oKG+/w=="},
    host="kms.cn-hangzhou.aliyuncs.com",
    when=1767323045.9,
    nonce="3ee8c1b8",
)


def test_acs3_sends_the_parameters_in_a_body_whose_digest_is_signed() -> None:
    body, headers = acs3(Key("id", "secret", "token"), REQUEST)
    assert dict(parse_qsl(body.decode())) == REQUEST.parameters
    assert headers["x-acs-content-sha256"] == hashlib.sha256(body).hexdigest()
    assert headers["x-acs-security-token"] == "token"
    assert headers["x-acs-date"] == "2026-01-02T03:04:05Z"
    signed = re.search("SignedHeaders=([^,]*)", headers["authorization"])
    assert signed is not None
    assert set(signed.group(1).split(";")) == set(headers) - {"authorization", "accept"}


def test_rpc_v1_signs_every_parameter_and_the_token() -> None:
    key = Key("id", "secret", "token")
    body, _ = rpc_v1(key, REQUEST)
    sent = dict(parse_qsl(body.decode()))
    assert sent["SecurityToken"] == "token"
    signature = sent.pop("Signature")
    assert signature == rpc_v1_signature(key, rpc_v1_string_to_sign(sent))


def test_a_request_shows_no_parameter() -> None:
    assert "oKG" not in repr(REQUEST)
