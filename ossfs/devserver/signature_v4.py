"""Version 4 of the signature: HMAC-SHA256 with a key derived for a day and a region."""

import datetime as dt
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from ossfs.devserver.claims import Claim, malformed
from ossfs.devserver.routing import Target

SCHEME = "OSS4-HMAC-SHA256"
_UNSIGNED = "UNSIGNED-PAYLOAD"
_MAX_EXPIRES_SECONDS = 7 * 24 * 3600
_ALWAYS_SIGNED = frozenset({"content-type", "content-md5"})
_MISMATCH_EC = "0002-00000201"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """The credential field: whose key, of which day and region."""

    access_key_id: str
    date: str
    region: str


def _scope_of(value: str, region: str) -> _Scope:
    fields = value.split("/")
    if len(fields) != 5 or not fields[0]:
        raise malformed("Invalid Credential in Authorization header.", "0002-00000213")
    access_key_id, date, signed_region, product, tail = fields
    if product != "oss":
        raise malformed("Invalid signing product in Authorization header.", "0002-00000227")
    if tail != "aliyun_v4_request":
        raise malformed("Invalid Credential in Authorization header.", "0002-00000213")
    if signed_region != region:
        ec = "0002-00000226" if signed_region.startswith("oss-") else "0002-00000228"
        raise malformed("Invalid signing region in Authorization header.", ec)
    return _Scope(access_key_id=access_key_id, date=date, region=signed_region)


def _additional(value: str) -> tuple[str, ...]:
    return tuple(sorted({name.strip().lower() for name in value.split(";") if name.strip()}))


@functools.lru_cache(maxsize=64)
def _seconds_of(date: str) -> float:
    """Requests of one second share the result, since strptime is slow."""
    try:
        moment = dt.datetime.strptime(date + "+0000", "%Y%m%dT%H%M%SZ%z")
    except ValueError:
        raise malformed("The date of the request is missing or invalid.") from None
    return moment.timestamp()


def _canonical_request(
    target: Target, query: Mapping[str, str], additional: tuple[str, ...]
) -> str:
    path = f"/{target.bucket}/{target.key}" if target.bucket else "/"
    pairs = sorted(
        (
            quote(name, safe="", errors="surrogateescape"),
            quote(value, safe="", errors="surrogateescape"),
        )
        for name, value in query.items()
    )
    signed = sorted(
        name
        for name in target.headers
        if name.startswith("x-oss-") or name in _ALWAYS_SIGNED or name in additional
    )
    return "\n".join(
        (
            target.method,
            quote(path, safe="/", errors="surrogateescape"),
            "&".join(f"{name}={value}" if value else name for name, value in pairs),
            "".join(f"{name}:{target.headers[name]}\n" for name in signed),
            ";".join(additional),
            _UNSIGNED,
        )
    )


def _claim(
    scope: _Scope,
    canonical_request: str,
    *,
    date: str,
    expires: int | None,
    token: str | None,
    signature: str,
) -> Claim:
    signed_at = _seconds_of(date)
    if date[:8] != scope.date:
        raise malformed("Invalid Credential in Authorization header.", "0002-00000213")
    digest = hashlib.sha256(canonical_request.encode("utf-8", "surrogateescape")).hexdigest()
    where = f"{scope.date}/{scope.region}/oss/aliyun_v4_request"
    return Claim(
        access_key_id=scope.access_key_id,
        token=token,
        signed_at=signed_at,
        expires_at=None if expires is None else signed_at + expires,
        signature=signature,
        string_to_sign=f"{SCHEME}\n{date}\n{where}\n{digest}",
        canonical_request=canonical_request,
        scope_date=scope.date,
        mismatch_ec=_MISMATCH_EC,
    )


def claim_of_header(target: Target, rest: str, region: str) -> Claim:
    """Reads an Authorization header; *rest* is what follows the scheme. Raises OssError."""
    fields = {}
    for field in rest.split(","):
        name, equals, value = field.strip().partition("=")
        if not equals:
            raise malformed("Authorization header is invalid.")
        fields[name] = value
    if not fields.get("Credential") or not fields.get("Signature"):
        raise malformed("Authorization header is invalid.")
    if target.headers.get("x-oss-content-sha256") != _UNSIGNED:
        raise malformed(
            "The value of x-oss-content-sha256 must be UNSIGNED-PAYLOAD.", "0002-00000214"
        )
    scope = _scope_of(fields["Credential"], region)
    additional = _additional(fields.get("AdditionalHeaders", ""))
    return _claim(
        scope,
        _canonical_request(target, target.query, additional),
        date=target.headers.get("x-oss-date", ""),
        expires=None,
        token=target.headers.get("x-oss-security-token"),
        signature=fields["Signature"],
    )


def claim_of_query(target: Target, region: str) -> Claim:
    """Reads a presigned URL. Raises OssError."""
    query = dict(target.query)
    signature = query.pop("x-oss-signature", "")
    expires = query.get("x-oss-expires", "")
    if not signature or not expires.isdecimal() or not 0 < int(expires) <= _MAX_EXPIRES_SECONDS:
        raise malformed("The signature in the query is invalid.")
    scope = _scope_of(query.get("x-oss-credential", ""), region)
    additional = _additional(query.get("x-oss-additional-headers", ""))
    return _claim(
        scope,
        _canonical_request(target, query, additional),
        date=query.get("x-oss-date", ""),
        expires=int(expires),
        token=query.get("x-oss-security-token"),
        signature=signature,
    )
