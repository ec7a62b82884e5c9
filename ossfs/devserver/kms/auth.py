"""Checks who signed a request to the KMS: RPC V1 (HMAC-SHA1) or ACS3-HMAC-SHA256.

Facts: the signature pages of the vendor's RPC API; both algorithms are reproduced in the tests. A
nonce is accepted once, a timestamp within 15 minutes of the clock of the server.
"""

import base64
import datetime as dt
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from ossfs.devserver.config import Credential
from ossfs.devserver.kms.errors import KmsError, invalid, missing

_ACS3 = "ACS3-HMAC-SHA256"
_MAX_SKEW_SECONDS = 900
_FORGET_EVERY = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """A request as it is signed. query: decoded parameters of the URL; form: those of the body."""

    method: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """What a signature says of itself."""

    access_key_id: str
    timestamp: str
    nonce: str
    token: str | None
    signature: str
    string_to_sign: str
    algorithm: str
    suffix: str

    def expected(self, secret: str) -> str:
        """The signature that *secret* makes."""
        digest = hmac.digest(
            (secret + self.suffix).encode(),
            self.string_to_sign.encode("utf-8", "surrogateescape"),
            self.algorithm,
        )
        return digest.hex() if self.algorithm == "sha256" else base64.b64encode(digest).decode()


def _escaped(text: str) -> str:
    return quote(text, safe="", errors="surrogateescape")


def canonical_query(parameters: Mapping[str, str]) -> str:
    """Escaped `name=value` pairs in order, joined by &."""
    return "&".join(
        f"{_escaped(name)}={_escaped(value)}" for name, value in sorted(parameters.items())
    )


def rpc_string_to_sign(method: str, parameters: Mapping[str, str]) -> str:
    """What RPC V1 signs; *parameters* without Signature."""
    return f"{method}&%2F&{_escaped(canonical_query(parameters))}"


def acs3_canonical_request(request: SignedRequest, signed: list[str]) -> str:
    """What ACS3 takes the digest of; *signed*: names of the signed headers in order."""
    headers = "".join(f"{name}:{request.headers.get(name, '')}\n" for name in signed)
    return "\n".join(
        (
            request.method,
            "/",
            canonical_query(request.query),
            headers,
            ";".join(signed),
            request.headers.get("x-acs-content-sha256", ""),
        )
    )


def _rpc_claim(request: SignedRequest) -> _Claim:
    parameters = {**request.query, **request.form}
    signature = parameters.pop("Signature", "")
    for name in ("AccessKeyId", "SignatureNonce"):
        if not parameters.get(name):
            raise missing(name)
    fixed = {"SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0"}
    if not signature or any(parameters.get(name) != value for name, value in fixed.items()):
        raise KmsError("IncompleteSignature")
    return _Claim(
        access_key_id=parameters["AccessKeyId"],
        timestamp=parameters.get("Timestamp", ""),
        nonce=parameters["SignatureNonce"],
        token=parameters.get("SecurityToken"),
        signature=signature,
        string_to_sign=rpc_string_to_sign(request.method, parameters),
        algorithm="sha1",
        suffix="&",
    )


def _fields(text: str) -> dict[str, str]:
    pairs = (field.strip().partition("=") for field in text.split(","))
    return {name: value for name, _, value in pairs}


def _acs3_claim(request: SignedRequest, rest: str) -> _Claim:
    fields, headers = _fields(rest), request.headers
    signed = [name for name in fields.get("SignedHeaders", "").split(";") if name]
    due = {name for name in headers if name.startswith("x-acs-")} | {"host"}
    in_order = signed == sorted(set(signed)) and due.issubset(signed)
    if not fields.get("Credential") or not fields.get("Signature") or not in_order:
        raise KmsError("IncompleteSignature")
    if not headers.get("x-acs-signature-nonce"):
        raise missing("x-acs-signature-nonce")
    if headers.get("x-acs-content-sha256") != hashlib.sha256(request.body).hexdigest():
        raise invalid("x-acs-content-sha256")
    canonical = acs3_canonical_request(request, signed)
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return _Claim(
        access_key_id=fields["Credential"],
        timestamp=headers.get("x-acs-date", ""),
        nonce=headers["x-acs-signature-nonce"],
        token=headers.get("x-acs-security-token"),
        signature=fields["Signature"],
        string_to_sign=f"{_ACS3}\n{digest}",
        algorithm="sha256",
        suffix="",
    )


def _claim(request: SignedRequest) -> _Claim:
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    if scheme == _ACS3:
        return _acs3_claim(request, rest)
    if scheme:
        raise KmsError("IncompleteSignature")
    return _rpc_claim(request)


class KmsAuthenticator:
    """Verifies signatures against the credentials of one server; used from one thread."""

    def __init__(self, credentials: Mapping[str, Credential], clock: Callable[[], float]) -> None:
        self._credentials = credentials
        self._clock = clock
        self._nonces: dict[tuple[str, str], float] = {}

    def check(self, request: SignedRequest) -> Credential:
        """The credential that signed the request.

        Raises KmsError: IncompleteSignature, MissingParameter, InvalidParameter, IllegalTimestamp,
        InvalidAccessKeyId.NotFound, InvalidSecurityToken.Expired or .MismatchWithAccessKey,
        SignatureDoesNotMatch, SignatureNonceUsed.
        """
        claim = _claim(request)
        self._check_time(claim)
        credential = self._credentials.get(claim.access_key_id)
        if credential is None:
            raise KmsError("InvalidAccessKeyId.NotFound")
        # An empty token is what clients send that always send the parameter.
        if (claim.token or None) != credential.token:
            raise KmsError("InvalidSecurityToken.MismatchWithAccessKey")
        if credential.token_expires is not None and self._clock() >= credential.token_expires:
            raise KmsError("InvalidSecurityToken.Expired")
        expected = claim.expected(credential.secret)
        given = claim.signature.encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(expected.encode(), given):
            raise KmsError(
                "SignatureDoesNotMatch",
                "Specified signature is not matched with our calculation. server string to sign"
                f" is:{claim.string_to_sign}",
            )
        self._use_nonce(claim)
        return credential

    def _check_time(self, claim: _Claim) -> None:
        try:
            moment = dt.datetime.strptime(claim.timestamp + "+0000", "%Y-%m-%dT%H:%M:%SZ%z")
        except ValueError:
            raise KmsError("IllegalTimestamp") from None
        if abs(self._clock() - moment.timestamp()) > _MAX_SKEW_SECONDS:
            raise KmsError("IllegalTimestamp")

    def _use_nonce(self, claim: _Claim) -> None:
        """A nonce is remembered for as long as its timestamp can pass."""
        now = self._clock()
        if len(self._nonces) % _FORGET_EVERY == _FORGET_EVERY - 1:
            self._nonces = {used: end for used, end in self._nonces.items() if end >= now}
        used = (claim.access_key_id, claim.nonce)
        if self._nonces.get(used, now - 1) >= now:
            raise KmsError("SignatureNonceUsed")
        self._nonces[used] = now + 2 * _MAX_SKEW_SECONDS
