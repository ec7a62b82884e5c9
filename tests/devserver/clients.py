"""Clients for the embedded server: both official SDKs, and requests signed here for httpx."""

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import alibabacloud_oss_v2 as oss
import httpx
import oss2

from ossfs.devserver import Credential, RunningServer, ServerConfig

STS_ID, STS_SECRET, STS_TOKEN = "STS.valid", "sts-secret", "sts-token"
EXPIRED_ID = "STS.expired"


@dataclass
class Clock:
    """Seconds since the epoch, shifted at will."""

    shift: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.shift


def settings(root: Path, **changes: Any) -> ServerConfig:
    """A server with one long-term key, one STS token and one that has expired."""
    values: dict[str, Any] = {
        "root": root,
        "credentials": {
            "test-id": Credential(secret="test-secret"),
            STS_ID: Credential(secret=STS_SECRET, token=STS_TOKEN),
            EXPIRED_ID: Credential(secret=STS_SECRET, token=STS_TOKEN, token_expires=1.0),
        },
    }
    return ServerConfig(**(values | changes))


@dataclass
class Clients:
    """The clients of one server and its bucket `bkt`."""

    server: RunningServer
    bucket_name: str = "bkt"
    _cache: dict[str, Any] = field(default_factory=dict)

    def oss2(self, auth: Any = None, bucket: str | None = None) -> Any:
        """oss2.Bucket with V4 signatures."""
        auth = auth or oss2.AuthV4(self.server.access_key_id, self.server.access_key_secret)
        name = bucket or self.bucket_name
        return oss2.Bucket(auth, self.server.endpoint, name, region=self.server.region)

    @property
    def bucket(self) -> Any:
        """The usual oss2.Bucket."""
        if "bucket" not in self._cache:
            self._cache["bucket"] = self.oss2()
        return self._cache["bucket"]

    def v2(self, *, key_id: str = "", secret: str = "", token: str | None = None) -> Any:
        """alibabacloud_oss_v2.Client that does not repeat requests."""
        config = oss.config.load_default()
        config.credentials_provider = oss.credentials.StaticCredentialsProvider(
            key_id or self.server.access_key_id, secret or self.server.access_key_secret, token
        )
        config.region = self.server.region
        config.endpoint = self.server.endpoint
        config.retry_max_attempts = 1
        return oss.Client(config)

    @property
    def client(self) -> Any:
        """The usual alibabacloud_oss_v2.Client."""
        if "client" not in self._cache:
            self._cache["client"] = self.v2()
        return self._cache["client"]

    def invoke(
        self,
        method: str,
        key: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        bucket: str | None = None,
    ) -> Any:
        """Any request at all, through the generic operation of alibabacloud_oss_v2."""
        return self.client.invoke_operation(
            oss.OperationInput(
                op_name="Test",
                method=method,
                headers=dict(headers or {}),
                parameters=dict(query or {}),
                body=body,
                bucket=bucket or self.bucket_name,
                key=key,
            )
        )

    def raw(
        self,
        method: str,
        key: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        content: Any = None,
    ) -> httpx.Response:
        """One request over httpx, signed here."""
        path, sent = self.signed(method, key, headers=headers, query=query)
        return httpx.request(method, self.server.endpoint + path, headers=sent, content=content)

    def signed(
        self,
        method: str,
        key: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        separator: str = ",",
        additional: tuple[str, ...] = (),
        changes: Mapping[str, str] | None = None,
    ) -> tuple[str, dict[str, str]]:
        """Path and headers of a request signed with V4; changes are made after signing."""
        server = self.server
        date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        sent |= {"x-oss-date": date, "x-oss-content-sha256": "UNSIGNED-PAYLOAD"}
        pairs = sorted((quote(k, safe=""), quote(v, safe="")) for k, v in (query or {}).items())
        text = "&".join(f"{name}={value}" if value else name for name, value in pairs)
        path = quote(f"/{self.bucket_name}/{key}", safe="/")
        signed = sorted(
            name
            for name in sent
            if name.startswith("x-oss-") or name in {"content-type", "content-md5", *additional}
        )
        canonical = "\n".join(
            (
                method,
                path,
                text,
                "".join(f"{name}:{sent[name]}\n" for name in signed),
                ";".join(additional),
                "UNSIGNED-PAYLOAD",
            )
        )
        scope = f"{date[:8]}/{server.region}/oss/aliyun_v4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        secret = b"aliyun_v4" + server.access_key_secret.encode()
        for step in scope.split("/"):
            secret = hmac.digest(secret, step.encode(), "sha256")
        signature = hmac.digest(
            secret, f"OSS4-HMAC-SHA256\n{date}\n{scope}\n{digest}".encode(), "sha256"
        ).hex()
        fields = [f"Credential={server.access_key_id}/{scope}"]
        fields += [f"AdditionalHeaders={';'.join(additional)}"] if additional else []
        fields += [f"Signature={signature}"]
        sent["authorization"] = "OSS4-HMAC-SHA256 " + separator.join(fields)
        sent |= changes or {}
        return path + (f"?{text}" if text else ""), sent
