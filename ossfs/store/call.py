"""One request to a bucket as a value, and one function per operation that makes it. No I/O.

Names of operations, headers and query parameters are those of the OSS API reference.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from ossfs.store import rules, xml
from ossfs.store.base import Part, PutOptions, ServerEncryption
from ossfs.store.signing import escape
from ossfs.types import Buffer, ETag, ObjectKey

PUT_LIMIT = 5 * 2**30
_DOCUMENT_BYTES = 1 << 20
# A thousand keys of 1,023 bytes, each of them percent-encoded, take a little more than 3 MB.
_LONG_DOCUMENT_BYTES = 8 << 20
_DELETE_KEYS = 1000
_DELETE_BYTES = 1_900_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to the bucket, or to an object in it.

    operation: the vendor's name, for the log; key "": the bucket; repeatable: sending it twice has
    the effect of sending it once, and the same answer; once: it is not sent twice all the same;
    max_body: bytes of the answer; is_document: the answer is XML, if anything.
    """

    operation: str
    method: str
    key: str = ""
    query: tuple[tuple[str, str | None], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Buffer = b""
    repeatable: bool = True
    once: bool = False
    slow: bool = False
    max_body: int = _DOCUMENT_BYTES
    is_document: bool = True


def head(key: ObjectKey) -> Call:
    """HeadObject."""
    return Call(operation="HeadObject", method="HEAD", key=key)


def get(key: ObjectKey, start: int, length: int | None, if_match: ETag | None) -> Call:
    """GetObject; without a range if it would be the whole object."""
    headers = {} if if_match is None else {"if-match": f'"{if_match}"'}
    if start or length is not None:
        last = "" if length is None else start + length - 1
        headers["range"] = f"bytes={start}-{last}"
        headers["x-oss-range-behavior"] = "standard"
    return Call(
        operation="GetObject",
        method="GET",
        key=key,
        headers=headers,
        # A refusal of a short range may be longer than the range.
        max_body=PUT_LIMIT if length is None else length + _DOCUMENT_BYTES,
        is_document=False,
    )


def _tagging(tags: Mapping[str, str]) -> str:
    return "&".join(f"{escape(name)}={escape(value)}" for name, value in tags.items())


def _storage(
    encryption: ServerEncryption | None, storage_class: str | None, forbid_overwrite: bool
) -> dict[str, str]:
    headers = {}
    if encryption is not None:
        headers["x-oss-server-side-encryption"] = encryption.algorithm
        if encryption.key_id is not None:
            headers["x-oss-server-side-encryption-key-id"] = encryption.key_id
        if encryption.data_algorithm is not None:
            headers["x-oss-server-side-data-encryption"] = encryption.data_algorithm
    if storage_class is not None:
        headers["x-oss-storage-class"] = storage_class
    if forbid_overwrite:
        headers["x-oss-forbid-overwrite"] = "true"
    return headers


def _version(options: PutOptions) -> dict[str, str]:
    """Headers of a new version. Raises RefusedByServer for metadata that headers cannot carry."""
    rules.check_metadata(options.metadata)
    headers = {f"x-oss-meta-{name}": value for name, value in options.metadata.items()}
    headers |= options.web_headers
    headers["content-type"] = options.content_type
    if options.tags:
        headers["x-oss-tagging"] = _tagging(options.tags)
    return headers | _storage(options.encryption, options.storage_class, options.forbid_overwrite)


def _acl(acl: str | None) -> dict[str, str]:
    return {} if acl is None else {"x-oss-object-acl": acl}


def put(key: ObjectKey, body: Buffer, options: PutOptions) -> Call:
    """PutObject."""
    return Call(
        operation="PutObject",
        method="PUT",
        key=key,
        headers=_version(options) | _acl(options.acl),
        body=body,
        repeatable=not options.forbid_overwrite,
    )


def initiate(key: ObjectKey, options: PutOptions) -> Call:
    """InitiateMultipartUpload; one too many costs nothing."""
    return Call(
        operation="InitiateMultipartUpload",
        method="POST",
        key=key,
        query=(("uploads", None), ("encoding-type", "url")),
        headers=_version(options),
    )


def put_part(key: ObjectKey, upload_id: str, number: int, body: Buffer) -> Call:
    """UploadPart."""
    query = (("partNumber", str(number)), ("uploadId", upload_id))
    return Call(operation="UploadPart", method="PUT", key=key, query=query, body=body)


def complete(
    key: ObjectKey, upload_id: str, parts: Sequence[Part], *, forbid_overwrite: bool
) -> Call:
    """CompleteMultipartUpload."""
    return Call(
        operation="CompleteMultipartUpload",
        method="POST",
        key=key,
        query=(("uploadId", upload_id), ("encoding-type", "url")),
        headers={"content-type": "application/xml"} | _storage(None, None, forbid_overwrite),
        body=xml.complete_body(parts),
        repeatable=False,
        slow=True,
    )


def abort(key: ObjectKey, upload_id: str) -> Call:
    """AbortMultipartUpload."""
    query = (("uploadId", upload_id),)
    return Call(operation="AbortMultipartUpload", method="DELETE", key=key, query=query)


def copy(
    bucket: str,
    source: ObjectKey,
    target: ObjectKey,
    *,
    if_match: ETag | None,
    tags: Mapping[str, str] | None,
    encryption: ServerEncryption | None,
    storage_class: str | None,
    acl: str | None,
    forbid_overwrite: bool,
    once: bool,
) -> Call:
    """CopyObject within *bucket*."""
    headers = {"x-oss-copy-source": quote(f"/{bucket}/{source}", safe="/")}
    headers |= _storage(encryption, storage_class, forbid_overwrite) | _acl(acl)
    if if_match is not None:
        headers["x-oss-copy-source-if-match"] = f'"{if_match}"'
    if tags is not None:
        headers["x-oss-tagging-directive"] = "Replace"
        headers["x-oss-tagging"] = _tagging(tags)
    return Call(
        operation="CopyObject",
        method="PUT",
        key=target,
        headers=headers,
        repeatable=not forbid_overwrite,
        once=once,
        slow=True,
    )


def restate(bucket: str, key: ObjectKey, options: PutOptions, *, if_match: ETag) -> Call:
    """CopyObject of *key* onto itself, which keeps the tags and replaces all other headers."""
    asked = replace(options, tags={}, forbid_overwrite=False)
    return Call(
        operation="CopyObject",
        method="PUT",
        key=key,
        headers=_version(asked)
        | _acl(options.acl)
        | {
            "x-oss-copy-source": quote(f"/{bucket}/{key}", safe="/"),
            "x-oss-copy-source-if-match": f'"{if_match}"',
            "x-oss-metadata-directive": "REPLACE",
            "x-oss-tagging-directive": "Copy",
        },
        slow=True,
    )


def delete(key: ObjectKey) -> Call:
    """DeleteObject."""
    return Call(operation="DeleteObject", method="DELETE", key=key)


def delete_many(keys: Sequence[ObjectKey]) -> Iterator[Call]:
    """DeleteMultipleObjects, as many as its limits of 1,000 keys and 2 MB demand.

    A key that XML cannot express gets a DeleteObject of its own.
    """
    batch: list[ObjectKey] = []
    size = 0
    for key in keys:
        if not xml.has_xml_form(key):
            yield delete(key)
            continue
        # "&" takes the most room, five times its own, and the elements around a key take 30.
        needed = 5 * len(key.encode()) + 30
        if len(batch) == _DELETE_KEYS or size + needed > _DELETE_BYTES:
            yield _delete_batch(batch)
            batch, size = [], 0
        batch.append(key)
        size += needed
    if batch:
        yield _delete_batch(batch)


def _delete_batch(keys: Sequence[ObjectKey]) -> Call:
    body = xml.delete_body(keys)
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    return Call(
        operation="DeleteMultipleObjects",
        method="POST",
        query=(("delete", None), ("encoding-type", "url")),
        headers={"content-md5": digest, "content-type": "application/xml"},
        body=body,
        max_body=_LONG_DOCUMENT_BYTES,
    )


def list_page(
    prefix: str, *, delimiter: str, token: str | None, start_after: str, max_keys: int
) -> Call:
    """ListObjectsV2."""
    optional = {
        "prefix": prefix,
        "delimiter": delimiter,
        "continuation-token": token or "",
        "start-after": start_after,
    }
    return Call(
        operation="ListObjectsV2",
        method="GET",
        query=(
            ("list-type", "2"),
            ("encoding-type", "url"),
            ("max-keys", str(max_keys)),
            *((name, value) for name, value in optional.items() if value),
        ),
        max_body=_LONG_DOCUMENT_BYTES,
    )


def get_tags(key: ObjectKey) -> Call:
    """GetObjectTagging."""
    query = (("tagging", None),)
    return Call(operation="GetObjectTagging", method="GET", key=key, query=query)


def put_tags(key: ObjectKey, tags: Mapping[str, str]) -> Call:
    """PutObjectTagging, or DeleteObjectTagging where there are none."""
    query = (("tagging", None),)
    if not tags:
        return Call(operation="DeleteObjectTagging", method="DELETE", key=key, query=query)
    return Call(
        operation="PutObjectTagging",
        method="PUT",
        key=key,
        query=query,
        headers={"content-type": "application/xml"},
        body=xml.tagging_body(tags),
    )


def bucket_info() -> Call:
    """GetBucketInfo."""
    return Call(operation="GetBucketInfo", method="GET", query=(("bucketInfo", None),))
