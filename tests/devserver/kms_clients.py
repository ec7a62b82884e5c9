"""Clients for the embedded KMS: the vendor's RPC SDK, oss2's provider, and calls signed here."""

import base64
import hashlib
import hmac
import importlib
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import httpx
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.credentials import AccessKeyCredential, StsTokenCredential
from aliyunsdkcore.client import AcsClient
from oss2.crypto import AliKMSProvider

from ossfs.devserver import RunningServer
from tests.devserver.clients import EXPIRED_ID, STS_ID, STS_SECRET, STS_TOKEN

HTTP = httpx.Client(verify=False, limits=httpx.Limits(max_keepalive_connections=0))
VERSION = "2016-01-20"
DEMO = "alias/ossfs-demo"


class KmsRefusal(Exception):
    """What the KMS said instead of doing it."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code


def escaped(text: str) -> str:
    return quote(text, safe="")


def canonical(parameters: Mapping[str, str]) -> str:
    return "&".join(f"{escaped(k)}={escaped(v)}" for k, v in sorted(parameters.items()))


def rpc_signature(method: str, parameters: Mapping[str, str], secret: str) -> str:
    """Signature of RPC V1, written down a second time here."""
    text = f"{method}&%2F&{escaped(canonical(parameters))}"
    return base64.b64encode(hmac.digest(f"{secret}&".encode(), text.encode(), "sha1")).decode()


def acs3_authorization(
    method: str, parameters: Mapping[str, str], headers: Mapping[str, str], key_id: str, secret: str
) -> str:
    """Authorization of ACS3-HMAC-SHA256 that signs all of *headers*."""
    names = sorted(headers)
    request = "\n".join(
        (
            method,
            "/",
            canonical(parameters),
            "".join(f"{name}:{headers[name]}\n" for name in names),
            ";".join(names),
            headers["x-acs-content-sha256"],
        )
    )
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.digest(secret.encode(), text.encode(), "sha256").hex()
    return (
        f"ACS3-HMAC-SHA256 Credential={key_id},SignedHeaders={';'.join(names)},"
        f"Signature={signature}"
    )


def now_text(shift: float = 0) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + shift))


def answer_of(response: httpx.Response) -> Any:
    """The answer; raises KmsRefusal, after a look at the form of the error."""
    content = response.json()
    if response.status_code == 200:
        return content
    assert set(content) == {"HttpStatus", "Code", "Message", "RequestId", "HostId"}
    assert content["HttpStatus"] == response.status_code
    raise KmsRefusal(response.status_code, content["Code"])


@dataclass
class KmsClients:
    """The clients of one server; each call is one request, never repeated."""

    server: RunningServer
    _sdk: dict[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return self.server.kms_endpoint.removeprefix("http://")

    def acs(self, key_id: str = "", secret: str = "", token: str | None = None) -> Any:
        """aliyunsdkcore.client.AcsClient whose requests all go to the server."""
        key_id, secret = key_id or self.server.access_key_id, secret or self.secret
        credential = (
            StsTokenCredential(key_id, secret, token)
            if token
            else AccessKeyCredential(key_id, secret)
        )
        client = AcsClient(region_id="cn-hangzhou", credential=credential, auto_retry=False)
        direct(client, self.address)
        return client

    @property
    def secret(self) -> str:
        return self.server.access_key_secret

    def sdk(self, action: str, client: Any = None, **parameters: Any) -> Any:
        """One call through the SDK's own request class. Raises KmsRefusal."""
        module = importlib.import_module(f"aliyunsdkkms.request.v20160120.{action}Request")
        request = getattr(module, f"{action}Request")()
        request.set_accept_format("json")
        for name, value in parameters.items():
            getattr(request, f"set_{name}")(value)
        if client is None:
            client = self._sdk.setdefault("client", self.acs())
        try:
            return json.loads(client.do_action_with_exception(request))
        except ServerException as refusal:
            raise KmsRefusal(refusal.http_status, refusal.error_code) from refusal

    def provider(self, key: str = DEMO, **fields: Any) -> Any:
        """oss2.crypto.AliKMSProvider."""
        provider = AliKMSProvider(
            self.server.access_key_id, self.secret, "cn-hangzhou", key, **fields
        )
        direct(provider.kms_client, self.address)
        return provider

    def rpc_parameters(self, action: str, **parameters: str) -> dict[str, str]:
        """All parameters of a call but the signature; given ones win."""
        return {
            "Action": action,
            "Version": VERSION,
            "Format": "JSON",
            "AccessKeyId": self.server.access_key_id,
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "SignatureNonce": str(uuid.uuid4()),
            "Timestamp": now_text(),
            **parameters,
        }

    def rpc(
        self,
        action: str,
        *,
        method: str = "POST",
        form: bool = False,
        secret: str | None = None,
        changes: Mapping[str, str | None] | None = None,
        **parameters: str,
    ) -> Any:
        """One call signed with RPC V1; changes are made after signing, None removes."""
        signed = self.rpc_parameters(action, **parameters)
        signed["Signature"] = rpc_signature(method, signed, secret or self.secret)
        for name, value in (changes or {}).items():
            if value is None:
                signed.pop(name, None)
            else:
                signed[name] = value
        body = urlencode(signed).encode() if form else b""
        url = self.server.kms_endpoint + "/" + ("" if form else f"?{canonical(signed)}")
        headers = {"content-type": "application/x-www-form-urlencoded"} if form else {}
        return answer_of(HTTP.request(method, url, content=body, headers=headers))

    def acs3(
        self,
        action: str,
        *,
        method: str = "POST",
        form: bool = False,
        headers: Mapping[str, str] | None = None,
        changes: Mapping[str, str | None] | None = None,
        key_id: str = "",
        secret: str = "",
        **parameters: str,
    ) -> Any:
        """One call signed with ACS3; changes are made after signing, None removes."""
        body = urlencode(parameters).encode() if form else b""
        query = {} if form else parameters
        sent: dict[str, str] = {
            "host": self.address,
            "x-acs-action": action,
            "x-acs-version": VERSION,
            "x-acs-date": now_text(),
            "x-acs-signature-nonce": uuid.uuid4().hex,
            "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
            **(headers or {}),
        }
        sent["authorization"] = acs3_authorization(
            method, query, sent, key_id or self.server.access_key_id, secret or self.secret
        )
        for name, value in (changes or {}).items():
            if value is None:
                sent.pop(name, None)
            else:
                sent[name] = value
        url = f"{self.server.kms_endpoint}/?{canonical(query)}"
        return answer_of(HTTP.request(method, url, content=body, headers=sent))


def direct(client: Any, address: str) -> None:
    """Sends whatever the client sends to *address*, without TLS; leaves no socket behind."""
    send = client.do_action_with_exception

    def send_there(request: Any) -> Any:
        request.set_endpoint(address)
        request.set_protocol_type("http")
        try:
            return send(request)
        finally:
            client.session.close()

    client.do_action_with_exception = send_there


STS = {"key_id": STS_ID, "secret": STS_SECRET, "token": STS_TOKEN}
EXPIRED = {"key_id": EXPIRED_ID, "secret": STS_SECRET, "token": STS_TOKEN}
