"""The two signatures of the KMS, without any I/O: RPC V1 and ACS3-HMAC-SHA256.

    body, headers = acs3(access_key, request)
    body, headers = rpc_v1(access_key, request)

Either way the parameters travel in the body as a form, never in the address, where they would stand
in logs of whatever lies between. ACS3 signs a digest of the body, RPC V1 the parameters themselves.

Source: "Request structure and signature" of the Alibaba Cloud OpenAPI documentation, RPC style.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote

API_VERSION = "2016-01-20"
_ALGORITHM = "ACS3-HMAC-SHA256"
_FORM = "application/x-www-form-urlencoded"


class AccessKey(Protocol):
    """What signs: an access key, with a token if it is a temporary one (STS)."""

    @property
    def access_key_id(self) -> str:
        """Sent in clear."""

    @property
    def access_key_secret(self) -> str:
        """Never sent."""

    @property
    def token(self) -> str | None:
        """Sent in clear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KmsRequest:
    """One attempt at one action.

    host: the Host header; when: seconds since the epoch by the clock of the server; nonce: unique
    to the attempt.
    """

    action: str
    parameters: Mapping[str, str] = field(repr=False)
    host: str
    when: float
    nonce: str


Sign = Callable[[AccessKey, KmsRequest], tuple[bytes, dict[str, str]]]
"""Makes the body and the headers, names in lower case, of a POST to the path /."""


def escape(text: str) -> str:
    """RFC 3986 escape of one name or value."""
    return quote(text, safe="")


def form_of(parameters: Mapping[str, str]) -> str:
    """The parameters in the one form that is signed and sent."""
    return "&".join(f"{escape(k)}={escape(v)}" for k, v in sorted(parameters.items()))


def _timestamp(when: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))


# --- ACS3-HMAC-SHA256 ---------------------------------------------------------------------------


def acs3(access_key: AccessKey, request: KmsRequest) -> tuple[bytes, dict[str, str]]:
    """As `Sign`, with ACS3-HMAC-SHA256."""
    body = form_of(request.parameters).encode("ascii")
    headers = {
        "host": request.host,
        "content-type": _FORM,
        "x-acs-action": request.action,
        "x-acs-version": API_VERSION,
        "x-acs-date": _timestamp(request.when),
        "x-acs-signature-nonce": request.nonce,
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
    }
    if access_key.token is not None:
        headers["x-acs-security-token"] = access_key.token
    headers["authorization"] = acs3_authorization(access_key, "", headers)
    return body, headers | {"accept": "application/json"}


def acs3_authorization(access_key: AccessKey, query: str, headers: Mapping[str, str]) -> str:
    """The Authorization header of a POST to / with these headers, all of which it signs."""
    canonical = acs3_canonical_request(query, headers)
    to_sign = acs3_string_to_sign(canonical).encode()
    signature = hmac.digest(access_key.access_key_secret.encode(), to_sign, "sha256").hex()
    return (
        f"{_ALGORITHM} Credential={access_key.access_key_id},"
        f"SignedHeaders={';'.join(sorted(headers))},Signature={signature}"
    )


def acs3_canonical_request(query: str, headers: Mapping[str, str]) -> str:
    """The text whose digest is signed; headers must have x-acs-content-sha256."""
    lines = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
    digest = headers["x-acs-content-sha256"]
    return f"POST\n/\n{query}\n{lines}\n{';'.join(sorted(headers))}\n{digest}"


def acs3_string_to_sign(canonical: str) -> str:
    """What the secret is applied to."""
    return f"{_ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"


# --- RPC V1 -------------------------------------------------------------------------------------


def rpc_v1(access_key: AccessKey, request: KmsRequest) -> tuple[bytes, dict[str, str]]:
    """As `Sign`, with the older signature: HMAC-SHA1 over all parameters."""
    parameters = {
        **request.parameters,
        "Action": request.action,
        "Version": API_VERSION,
        "Format": "JSON",
        "AccessKeyId": access_key.access_key_id,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": request.nonce,
        "Timestamp": _timestamp(request.when),
    }
    if access_key.token is not None:
        parameters["SecurityToken"] = access_key.token
    parameters["Signature"] = rpc_v1_signature(access_key, rpc_v1_string_to_sign(parameters))
    body = form_of(parameters).encode("ascii")
    return body, {"host": request.host, "content-type": _FORM}


def rpc_v1_string_to_sign(parameters: Mapping[str, str]) -> str:
    """What the secret is applied to, for a POST with all parameters but the signature."""
    return f"POST&%2F&{escape(form_of(parameters))}"


def rpc_v1_signature(access_key: AccessKey, to_sign: str) -> str:
    """The parameter Signature; the signature fixes SHA-1, which HMAC does not weaken."""
    secret = f"{access_key.access_key_secret}&".encode()
    return base64.b64encode(hmac.digest(secret, to_sign.encode(), "sha1")).decode("ascii")
