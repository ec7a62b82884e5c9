"""Version 4 of the signature of OSS, without any I/O.

Source: "Include a V4 signature in the Authorization header" of the OSS documentation.
"""

import functools
import hashlib
import hmac
import time
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from ossfs.store.credentials import Credentials

_ALGORITHM = "OSS4-HMAC-SHA256"
_UNSIGNED = "UNSIGNED-PAYLOAD"
_TERMINATOR = "aliyun_v4_request"
_SIGNED = frozenset({"content-type", "content-md5"})


def escape(text: str) -> str:
    """RFC 3986 escape of one name or value of a query."""
    return quote(text, safe="")


def escape_path(path: str) -> str:
    """RFC 3986 escape of a path, slashes kept."""
    return quote(path, safe="/")


def canonical_query(query: Iterable[tuple[str, str | None]]) -> str:
    """The query in the one form that is signed, which is also the form that is sent."""
    pairs = sorted((escape(name), escape(value) if value else "") for name, value in query)
    return "&".join(f"{name}={value}" if value else name for name, value in pairs)


def canonical_request(
    method: str, path: str, query: str, headers: Mapping[str, str], additional: Sequence[str] = ()
) -> str:
    """The text whose digest is signed.

    path: escaped, always with the bucket; query: as `canonical_query` returns it; headers: names in
    lower case; additional: names, in lower case, that are signed beyond those that always are.
    """
    extra = sorted(additional)
    lines = "".join(
        [
            f"{name}:{headers[name].strip()}\n"
            for name in sorted(headers)
            if name.startswith("x-oss-") or name in _SIGNED or name in extra
        ]
    )
    return f"{method}\n{path}\n{query}\n{lines}\n{';'.join(extra)}\n{_UNSIGNED}"


@functools.lru_cache(maxsize=2)
def _timestamp(second: int) -> str:
    """As in x-oss-date; many requests share a second."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))


@functools.lru_cache(maxsize=8)
def _signing_key(secret: str, date: str, region: str) -> bytes:
    """Valid for one day, and four HMACs to make: worth keeping."""
    key = ("aliyun_v4" + secret).encode()
    for step in (date, region, "oss", _TERMINATOR):
        key = hmac.digest(key, step.encode(), "sha256")
    return key


def string_to_sign(canonical: str, timestamp: str, region: str) -> str:
    """What the signing key is applied to; timestamp as in x-oss-date."""
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return f"{_ALGORITHM}\n{timestamp}\n{timestamp[:8]}/{region}/oss/{_TERMINATOR}\n{digest}"


def sign(
    credentials: Credentials,
    region: str,
    *,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    when: float,
    additional: Sequence[str] = (),
) -> dict[str, str]:
    """*headers* with those of the signature added, all names in lower case.

    path, query, additional: as for `canonical_request`; when: seconds since the epoch by the clock
    of the server. Values must be free of line breaks.
    """
    timestamp = _timestamp(int(when))
    signed = {name.lower(): value for name, value in headers.items()}
    signed["x-oss-date"] = timestamp
    signed["x-oss-content-sha256"] = _UNSIGNED
    if credentials.token is not None:
        signed["x-oss-security-token"] = credentials.token
    canonical = canonical_request(method, path, query, signed, additional)
    key = _signing_key(credentials.access_key_secret, timestamp[:8], region)
    to_sign = string_to_sign(canonical, timestamp, region)
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    scope = f"{credentials.access_key_id}/{timestamp[:8]}/{region}/oss/{_TERMINATOR}"
    extra = f"AdditionalHeaders={';'.join(sorted(additional))}," if additional else ""
    signed["authorization"] = f"{_ALGORITHM} Credential={scope},{extra}Signature={signature}"
    return signed
