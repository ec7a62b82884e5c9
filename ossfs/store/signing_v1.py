"""Version 1 of the signature of OSS, without any I/O: for servers that do not know version 4.

Source: "Include a V1 signature in the Authorization header" of the OSS documentation.
"""

import base64
import email.utils
import hmac
from collections.abc import Iterable, Mapping

from ossfs.store.credentials import Credentials

_SIGNED_PARAMETERS = frozenset(
    {
        "acl",
        "append",
        "bucketInfo",
        "callback",
        "callback-var",
        "cloudboxes",
        "continuation-token",
        "delete",
        "encryption",
        "location",
        "objectMeta",
        "partNumber",
        "position",
        "regionList",
        "resourceGroup",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "restore",
        "security-token",
        "sequential",
        "stat",
        "symlink",
        "tagging",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
    }
)
"""Parameters of a query that name what a request is about; the others are not signed."""


def canonical_resource(bucket: str, key: str, query: Iterable[tuple[str, str | None]]) -> str:
    """What a request is about, nothing of it escaped; key "" for the bucket itself."""
    signed = sorted((name, value or "") for name, value in query if name in _SIGNED_PARAMETERS)
    pairs = "&".join(f"{name}={value}" if value else name for name, value in signed)
    return f"/{bucket}/{key}?{pairs}" if pairs else f"/{bucket}/{key}"


def string_to_sign(method: str, resource: str, headers: Mapping[str, str]) -> str:
    """What the secret is applied to; headers: names in lower case, `date` among them."""
    lines = "".join(
        f"{name}:{value.strip()}\n"
        for name, value in sorted(headers.items())
        if name.startswith("x-oss-")
    )
    fixed = [headers.get(name, "") for name in ("content-md5", "content-type", "date")]
    return "\n".join([method, *fixed, lines + resource])


def sign_v1(
    credentials: Credentials,
    *,
    method: str,
    resource: str,
    headers: Mapping[str, str],
    when: float,
) -> dict[str, str]:
    """*headers* with those of the signature added, all names in lower case.

    resource: as `canonical_resource` returns it; when: seconds since the epoch by the clock of the
    server. Values must be free of line breaks. The signature fixes SHA-1, which HMAC does not
    weaken.
    """
    signed = {name.lower(): value for name, value in headers.items()}
    signed["date"] = email.utils.formatdate(when, usegmt=True)
    if credentials.token is not None:
        signed["x-oss-security-token"] = credentials.token
    to_sign = string_to_sign(method, resource, signed).encode()
    digest = hmac.digest(credentials.access_key_secret.encode(), to_sign, "sha1")
    signature = base64.b64encode(digest).decode("ascii")
    signed["authorization"] = f"OSS {credentials.access_key_id}:{signature}"
    return signed
