"""Version 1 of the signature: HMAC-SHA1 over a few headers, the key and its sub-resources."""

import datetime as dt
import email.utils
import functools
from collections.abc import Mapping

from ossfs.devserver.claims import Claim, malformed
from ossfs.devserver.errors import OssError
from ossfs.devserver.routing import Target

SCHEME = "OSS"
ACCESS_KEY_ID = "OSSAccessKeyId"
_MISMATCH_EC = "0002-00000040"
# Query parameters that are signed: what the official SDKs sign between them.
SUBRESOURCES = frozenset(
    {
        "accessPoint", "accessPointPolicy", "acl", "append", "asyncFetch",
        "bucketArchiveDirectRead", "bucketInfo", "callback", "callback-var", "cloudboxes", "cname",
        "comp", "continuation-token", "cors", "delete", "encryption", "endTime", "group",
        "httpsConfig", "inventory", "inventoryId", "lifecycle", "link", "live", "location",
        "logging", "metaQuery", "objectInfo", "objectMeta", "partNumber", "policy", "position",
        "publicAccessBlock", "qos", "qosInfo", "qosRequester", "redundancyTransition", "referer",
        "regionList", "replication", "replicationLocation", "replicationProgress",
        "requestPayment", "requesterQosInfo", "resourceGroup", "resourcePool",
        "resourcePoolBuckets", "resourcePoolInfo", "response-cache-control",
        "response-content-disposition", "response-content-encoding", "response-content-language",
        "response-content-type", "response-expires", "restore", "security-token", "sequential",
        "startTime", "stat", "status", "style", "styleName", "symlink", "tagging",
        "transferAcceleration", "uploadId", "uploads", "versionId", "versioning", "versions", "vod",
        "website", "worm", "wormExtend", "wormId", "x-oss-ac-forward-allow", "x-oss-ac-source-ip",
        "x-oss-ac-subnet-mask", "x-oss-ac-vpc-id", "x-oss-access-point-name",
        "x-oss-async-process", "x-oss-process", "x-oss-redundancy-transition-taskid",
        "x-oss-request-payer", "x-oss-target-redundancy-type", "x-oss-traffic-limit",
        "x-oss-write-get-object-response",
    }
)  # fmt: skip


def _resource(target: Target) -> str:
    path = f"/{target.bucket}/{target.key}" if target.bucket else "/"
    signed = sorted((name, value) for name, value in target.query.items() if name in SUBRESOURCES)
    query = "&".join(f"{name}={value}" if value else name for name, value in signed)
    return f"{path}?{query}" if query else path


def string_to_sign(target: Target, date: str) -> str:
    """What is signed; *date*: as the request has it, or when a presigned URL expires."""
    headers: Mapping[str, str] = target.headers
    canonical = "".join(
        f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-oss-")
    )
    return "\n".join(
        (
            target.method,
            headers.get("content-md5", ""),
            headers.get("content-type", ""),
            date,
            canonical + _resource(target),
        )
    )


def _no_date(ec: str) -> OssError:
    return OssError("AccessDenied", "OSS authentication requires a valid Date.", ec=ec)


@functools.lru_cache(maxsize=64)
def _seconds_of(date: str) -> float:
    """The ISO form is that of x-oss-date, the other one that of Date. Raises OssError."""
    if not date:
        raise _no_date("0002-00000503")
    try:
        if date.endswith("Z"):
            return dt.datetime.strptime(date + "+0000", "%Y%m%dT%H%M%SZ%z").timestamp()
        return email.utils.parsedate_to_datetime(date).timestamp()
    except ValueError:
        raise _no_date("0002-00000502") from None


def claim_of_header(target: Target, rest: str) -> Claim:
    """Reads `Authorization: OSS id:signature`; *rest* is what follows the scheme.

    Raises OssError InvalidArgument, or AccessDenied without a valid date.
    """
    access_key_id, colon, signature = rest.strip().partition(":")
    if not colon or not access_key_id or not signature:
        raise malformed("Authorization header is invalid.")
    headers = target.headers
    date = headers.get("x-oss-date") or headers.get("date", "")
    return Claim(
        access_key_id=access_key_id,
        # Where each of the official SDKs puts it.
        token=headers.get("x-oss-security-token") or headers.get("security-token"),
        signed_at=_seconds_of(date),
        expires_at=None,
        signature=signature,
        string_to_sign=string_to_sign(target, date),
        mismatch_ec=_MISMATCH_EC,
    )


def claim_of_query(target: Target) -> Claim:
    """Reads a presigned URL. Raises OssError InvalidArgument."""
    query = target.query
    expires, signature = query.get("Expires", ""), query.get("Signature", "")
    if not signature or not expires.isdecimal() or len(expires) > 12:
        raise malformed("The signature in the query is invalid.")
    return Claim(
        access_key_id=query[ACCESS_KEY_ID],
        token=query.get("security-token"),
        signed_at=None,
        expires_at=float(expires),
        signature=signature,
        string_to_sign=string_to_sign(target, expires),
        mismatch_ec=_MISMATCH_EC,
    )
