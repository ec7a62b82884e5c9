"""Checks who signed a request: version 4 is verified, `Authenticator._claim` refuses others."""

import datetime as dt
import functools
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from ossfs.devserver.config import Credential
from ossfs.devserver.documents import iso_time
from ossfs.devserver.errors import OssError
from ossfs.devserver.routing import Target

_V4 = "OSS4-HMAC-SHA256"
_UNSIGNED = "UNSIGNED-PAYLOAD"
_MAX_SKEW_SECONDS = 900
_MAX_EXPIRES_SECONDS = 7 * 24 * 3600
_ALWAYS_SIGNED = frozenset({"content-type", "content-md5"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """What a V4 signature says of itself, whether it came in a header or in the query."""

    access_key_id: str
    scope_date: str
    region: str
    date: str
    additional: tuple[str, ...]
    signature: str
    query: Mapping[str, str]
    expires: int | None


def _malformed(message: str, ec: str = "0002-00000061") -> OssError:
    return OssError("InvalidArgument", message, ec=ec)


def _credential_fields(value: str, region: str) -> tuple[str, str, str]:
    fields = value.split("/")
    if len(fields) != 5 or not fields[0]:
        raise _malformed("Invalid Credential in Authorization header.", "0002-00000213")
    access_key_id, date, signed_region, product, tail = fields
    if product != "oss":
        raise _malformed("Invalid signing product in Authorization header.", "0002-00000227")
    if tail != "aliyun_v4_request":
        raise _malformed("Invalid Credential in Authorization header.", "0002-00000213")
    if signed_region != region:
        ec = "0002-00000226" if signed_region.startswith("oss-") else "0002-00000228"
        raise _malformed("Invalid signing region in Authorization header.", ec)
    return access_key_id, date, signed_region


def _additional(value: str) -> tuple[str, ...]:
    return tuple(sorted({name.strip().lower() for name in value.split(";") if name.strip()}))


def _claim_of_header(target: Target, rest: str, region: str) -> _Claim:
    fields = {}
    for field in rest.split(","):
        name, equals, value = field.strip().partition("=")
        if not equals:
            raise _malformed("Authorization header is invalid.")
        fields[name] = value
    if not fields.get("Credential") or not fields.get("Signature"):
        raise _malformed("Authorization header is invalid.")
    if target.headers.get("x-oss-content-sha256") != _UNSIGNED:
        raise _malformed(
            "The value of x-oss-content-sha256 must be UNSIGNED-PAYLOAD.", "0002-00000214"
        )
    access_key_id, scope_date, signed_region = _credential_fields(fields["Credential"], region)
    return _Claim(
        access_key_id=access_key_id,
        scope_date=scope_date,
        region=signed_region,
        date=target.headers.get("x-oss-date", ""),
        additional=_additional(fields.get("AdditionalHeaders", "")),
        signature=fields["Signature"],
        query=target.query,
        expires=None,
    )


def _claim_of_query(target: Target, region: str) -> _Claim:
    query = dict(target.query)
    signature = query.pop("x-oss-signature", "")
    expires = query.get("x-oss-expires", "")
    if not signature or not expires.isdecimal() or not 0 < int(expires) <= _MAX_EXPIRES_SECONDS:
        raise _malformed("The signature in the query is invalid.")
    access_key_id, scope_date, signed_region = _credential_fields(
        query.get("x-oss-credential", ""), region
    )
    return _Claim(
        access_key_id=access_key_id,
        scope_date=scope_date,
        region=signed_region,
        date=query.get("x-oss-date", ""),
        additional=_additional(query.get("x-oss-additional-headers", "")),
        signature=signature,
        query=query,
        expires=int(expires),
    )


def _canonical_request(target: Target, claim: _Claim) -> str:
    path = f"/{target.bucket}/{target.key}" if target.bucket else "/"
    pairs = sorted(
        (
            quote(name, safe="", errors="surrogateescape"),
            quote(value, safe="", errors="surrogateescape"),
        )
        for name, value in claim.query.items()
    )
    signed = sorted(
        name
        for name in target.headers
        if name.startswith("x-oss-") or name in _ALWAYS_SIGNED or name in claim.additional
    )
    return "\n".join(
        (
            target.method,
            quote(path, safe="/", errors="surrogateescape"),
            "&".join(f"{name}={value}" if value else name for name, value in pairs),
            "".join(f"{name}:{target.headers[name]}\n" for name in signed),
            ";".join(claim.additional),
            _UNSIGNED,
        )
    )


@functools.lru_cache(maxsize=64)
def _seconds_of(date: str) -> float:
    """Requests of one second share the result, since strptime is slow."""
    try:
        moment = dt.datetime.strptime(date + "+0000", "%Y%m%dT%H%M%SZ%z")
    except ValueError:
        raise _malformed("The date of the request is missing or invalid.") from None
    return moment.timestamp()


class Authenticator:
    """Verifies signatures against the credentials of one server; used from one thread."""

    def __init__(
        self, credentials: Mapping[str, Credential], region: str, clock: Callable[[], float]
    ) -> None:
        self._credentials = credentials
        self._region = region
        self._clock = clock
        self._signing_keys: dict[tuple[str, str], bytes] = {}

    def check(self, target: Target) -> None:
        """Returns if the request is signed by one of the credentials.

        Raises OssError: AccessDenied (no signature), InvalidArgument (malformed), NotImplemented
        (another version of the signature), InvalidAccessKeyId, SignatureDoesNotMatch,
        RequestTimeTooSkewed, InvalidSecurityToken, SecurityTokenExpired.
        """
        claim = self._claim(target)
        credential = self._credentials.get(claim.access_key_id)
        if credential is None:
            raise OssError("InvalidAccessKeyId", OSSAccessKeyId=claim.access_key_id)
        self._check_time(claim)
        self._check_token(target, claim, credential)
        self._check_signature(target, claim, credential)

    def _claim(self, target: Target) -> _Claim:
        scheme, _, rest = target.headers.get("authorization", "").partition(" ")
        if scheme == _V4:
            return _claim_of_header(target, rest, self._region)
        if scheme in {"OSS", "OSS2"} or "OSSAccessKeyId" in target.query:
            raise OssError("NotImplemented", "This server verifies signatures of version 4 only.")
        if scheme:
            raise _malformed("Authorization header is invalid.")
        if target.query.get("x-oss-signature-version") == _V4:
            return _claim_of_query(target, self._region)
        raise OssError("AccessDenied")

    def _check_time(self, claim: _Claim) -> None:
        signed_at, now = _seconds_of(claim.date), self._clock()
        if claim.date[:8] != claim.scope_date:
            raise _malformed("Invalid Credential in Authorization header.", "0002-00000213")
        if claim.expires is None:
            skewed = abs(now - signed_at) > _MAX_SKEW_SECONDS
        else:
            skewed = signed_at - now > _MAX_SKEW_SECONDS
            if now > signed_at + claim.expires:
                raise OssError("AccessDenied", "Request has expired.", ec="0002-00000069")
        if skewed:
            raise OssError(
                "RequestTimeTooSkewed",
                MaxAllowedSkewMilliseconds=str(_MAX_SKEW_SECONDS * 1000),
                RequestTime=iso_time(int(signed_at)),
                ServerTime=iso_time(int(now)),
            )

    def _check_token(self, target: Target, claim: _Claim, credential: Credential) -> None:
        source = target.headers if claim.expires is None else claim.query
        if source.get("x-oss-security-token") != credential.token:
            raise OssError("InvalidSecurityToken")
        if credential.token_expires is not None and self._clock() >= credential.token_expires:
            raise OssError("SecurityTokenExpired")

    def _check_signature(self, target: Target, claim: _Claim, credential: Credential) -> None:
        canonical = _canonical_request(target, claim)
        digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
        scope = f"{claim.scope_date}/{claim.region}/oss/aliyun_v4_request"
        to_sign = f"{_V4}\n{claim.date}\n{scope}\n{digest}"
        key = self._signing_key(claim.access_key_id, claim.scope_date, credential)
        expected = hmac.digest(key, to_sign.encode(), "sha256").hex()
        if not hmac.compare_digest(expected.encode(), claim.signature.encode("utf-8", "replace")):
            raise OssError(
                "SignatureDoesNotMatch",
                OSSAccessKeyId=claim.access_key_id,
                SignatureProvided=claim.signature,
                StringToSign=to_sign,
                CanonicalRequest=canonical,
            )

    def _signing_key(self, access_key_id: str, date: str, credential: Credential) -> bytes:
        cached = self._signing_keys.get((access_key_id, date))
        if cached is None:
            cached = f"aliyun_v4{credential.secret}".encode()
            for step in (date, self._region, "oss", "aliyun_v4_request"):
                cached = hmac.digest(cached, step.encode(), "sha256")
            if len(self._signing_keys) >= 64:
                self._signing_keys.clear()
            self._signing_keys[access_key_id, date] = cached
        return cached
