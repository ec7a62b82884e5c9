"""Finds out what a request is about: bucket, key, query, and the name of the operation."""

import functools
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from ossfs.devserver.errors import OssError
from ossfs.devserver.wire import Head

_SERVICE_HOST = re.compile(r"[^.]*|(oss(-[a-z0-9-]+)?|[a-z0-9-]+\.oss)\.aliyuncs\.com")
_LATER = frozenset(
    {
        "accessmonitor", "append", "callback", "cname", "cors", "inventory", "lifecycle",
        "logging", "meta-query", "objectWorm", "policy", "publicAccessBlock",
        "referer", "replication", "requestPayment", "resourceGroup", "restore", "sequential",
        "transferAcceleration", "versionId", "versioning", "versions", "website", "worm",
        "x-oss-async-process", "x-oss-process", "x-oss-rename", "x-oss-traffic-limit",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a request addresses; bucket and key are empty where it names none.

    Bytes that are not UTF-8 stand in the strings as surrogates.
    """

    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


def _text(encoded: bytes) -> str:
    return unquote_to_bytes(encoded).decode("utf-8", "surrogateescape")


def query_of(raw: bytes) -> dict[str, str]:
    """Reads `name=value` pairs joined by &; the last one of a name wins."""
    query = {}
    for pair in raw.split(b"&"):
        if pair:
            name, _, value = pair.replace(b"+", b" ").partition(b"=")
            query[_text(name)] = _text(value)
    return query


@functools.lru_cache(maxsize=1024)
def _bucket_in_host(host: str) -> str:
    """The bucket of a virtual-host address, empty for an IP address or the host of the service."""
    if host.startswith("["):
        return ""
    name = host.rpartition(":")[0] or host
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "" if _SERVICE_HOST.fullmatch(name) else name.partition(".")[0]
    return ""


def target_of(head: Head) -> Target:
    """Reads the address of a request, in path style or virtual-host style."""
    target = head.target
    if not target.startswith(b"/"):
        # The absolute form, which clients send to proxies.
        target = b"/" + target.partition(b"//")[2].partition(b"/")[2]
    path, _, raw_query = target.partition(b"?")
    bucket = _bucket_in_host(head.headers.get("host", ""))
    key = _text(path[1:])
    if not bucket:
        bucket, _, key = key.partition("/")
    return Target(
        method=head.method,
        bucket=bucket,
        key=key,
        query=query_of(raw_query),
        headers=head.headers,
    )


def _bucket_operation(target: Target) -> str:
    query = target.query
    if target.method == "GET":
        if query.get("list-type") == "2":
            return "ListObjectsV2"
        for name, operation in (
            ("acl", "GetBucketAcl"),
            ("encryption", "GetBucketEncryption"),
            ("uploads", "ListMultipartUploads"),
            ("bucketInfo", "GetBucketInfo"),
            ("stat", "GetBucketStat"),
            ("location", "GetBucketLocation"),
        ):
            if name in query:
                return operation
        return "ListObjects"
    if target.method == "POST" and "delete" in query:
        return "DeleteMultipleObjects"
    if "encryption" in query:
        named = {"PUT": "PutBucketEncryption", "DELETE": "DeleteBucketEncryption"}
        return named.get(target.method, "")
    return {"PUT": "PutBucket", "DELETE": "DeleteBucket"}.get(target.method, "")


def _put_operation(target: Target) -> str:
    copy = "x-oss-copy-source" in target.headers
    if "tagging" in target.query:
        return "PutObjectTagging"
    if "acl" in target.query:
        return "PutObjectACL"
    if "symlink" in target.query:
        return "PutSymlink"
    if "partNumber" in target.query or "uploadId" in target.query:
        return "UploadPartCopy" if copy else "UploadPart"
    return "CopyObject" if copy else "PutObject"


def _by_subresource(target: Target, named: Mapping[str, str], otherwise: str) -> str:
    for name, operation in named.items():
        if name in target.query:
            return operation
    return otherwise


def _object_operation(target: Target) -> str:
    match target.method:
        case "PUT":
            return _put_operation(target)
        case "GET":
            named = {
                "tagging": "GetObjectTagging",
                "acl": "GetObjectACL",
                "symlink": "GetSymlink",
                "uploadId": "ListParts",
            }
            return _by_subresource(target, named, "GetObject")
        case "HEAD":
            return _by_subresource(target, {"objectMeta": "GetObjectMeta"}, "HeadObject")
        case "DELETE":
            named = {"tagging": "DeleteObjectTagging", "uploadId": "AbortMultipartUpload"}
            return _by_subresource(target, named, "DeleteObject")
        case "POST":
            named = {"uploads": "InitiateMultipartUpload", "uploadId": "CompleteMultipartUpload"}
            return _by_subresource(target, named, "")
    return ""


def _is_acl_of_bucket(target: Target) -> bool:
    """Buckets of this server are private and stay so."""
    return "acl" in target.query and not target.key and target.method == "PUT"


def operation_of(target: Target) -> str:
    """Name of the operation, as the vendor's documentation has it.

    Raises OssError NotImplemented (known to OSS, not to this server) or MethodNotAllowed.
    """
    if not _LATER.isdisjoint(target.query) or _is_acl_of_bucket(target):
        raise OssError("NotImplemented")
    if not target.bucket:
        operation = "ListBuckets" if target.method == "GET" else ""
    elif target.key:
        operation = _object_operation(target)
    else:
        operation = _bucket_operation(target)
    if not operation:
        raise OssError("MethodNotAllowed")
    return operation
