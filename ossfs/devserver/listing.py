"""ListObjects, ListObjectsV2 and ListMultipartUploads: pages in the byte order of UTF-8."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass

from ossfs.devserver.documents import OWNER, Names, flag, iso_time, leaf
from ossfs.devserver.errors import OssError
from ossfs.devserver.exchange import Exchange, xml_response
from ossfs.devserver.storage import ListedObject, Store
from ossfs.devserver.uploads import Upload
from ossfs.devserver.wire import Response

_BATCH = 256


def _behind(prefix: bytes) -> bytes | None:
    """The first key that is greater than every key with this prefix; None if there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,)) if stem else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page; last is the greatest key or common prefix in it, where the next page goes on."""

    objects: list[ListedObject]
    prefixes: list[bytes]
    truncated: bool
    last: bytes


def _common_prefix(key: bytes, prefix: bytes, delimiter: bytes) -> bytes | None:
    if not delimiter:
        return None
    at = key.find(delimiter, len(prefix))
    return None if at < 0 else key[: at + len(delimiter)]


def page_of(
    store: Store, bucket: str, *, prefix: bytes, delimiter: bytes, after: bytes, limit: int
) -> Page:
    """At most *limit* keys and common prefixes together, all of them greater than *after*.

    A common prefix costs one look-up however many keys stand behind it.
    """
    objects: list[ListedObject] = []
    prefixes: list[bytes] = []
    last = b""
    end = _behind(prefix)
    start: bytes | None = max(prefix, after + b"\0") if after else prefix
    while start is not None:
        left = limit - len(objects) - len(prefixes)
        batch = store.scan(bucket, start, end, min(left + 1, _BATCH))
        start = None
        for item in batch:
            common = _common_prefix(item.key, prefix, delimiter)
            if common is not None and common <= after:
                start = _behind(common)
                break
            if len(objects) + len(prefixes) == limit:
                return Page(objects=objects, prefixes=prefixes, truncated=True, last=last)
            if common is not None:
                prefixes.append(common)
                last, start = common, _behind(common)
                break
            objects.append(item)
            last, start = item.key, item.key + b"\0"
    return Page(objects=objects, prefixes=prefixes, truncated=False, last=last)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")


def _to_token(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode().rstrip("=")


def _from_token(token: str) -> bytes:
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise OssError("InvalidArgument", "The continuation-token is invalid.") from None


def _contents(page: Page, shown: Names, owner: bool) -> str:
    shown_owner = OWNER if owner else ""
    items = (
        f"<Contents>{shown.leaf('Key', _text(item.key))}"
        f"<LastModified>{iso_time(item.modified)}</LastModified>"
        f'<ETag>"{item.etag}"</ETag><Type>{item.kind}</Type><Size>{item.size}</Size>'
        f"<StorageClass>{item.storage_class}</StorageClass>{shown_owner}</Contents>"
        for item in page.objects
    )
    return "".join(items) + _prefix_elements(page.prefixes, shown)


def _prefix_elements(prefixes: Iterable[bytes], shown: Names) -> str:
    return "".join(
        f"<CommonPrefixes>{shown.leaf('Prefix', _text(prefix))}</CommonPrefixes>"
        for prefix in prefixes
    )


def _page(exchange: Exchange, after: str | bytes, limit: int) -> Page:
    return page_of(
        exchange.store,
        exchange.bucket,
        prefix=_bytes(exchange.query.get("prefix", "")),
        delimiter=_bytes(exchange.query.get("delimiter", "")),
        after=after if isinstance(after, bytes) else _bytes(after),
        limit=limit,
    )


async def list_objects_v2(exchange: Exchange) -> Response:
    """ListObjectsV2."""
    query = exchange.query
    shown = Names(query.get("encoding-type"))
    limit = exchange.number("max-keys", 100, 1, 1000)
    token, start_after = query.get("continuation-token", ""), query.get("start-after", "")
    page = _page(exchange, _from_token(token) if token else start_after, limit)
    return xml_response(
        "ListBucketResult",
        leaf("Name", exchange.bucket),
        shown.leaf("Prefix", query.get("prefix", "")),
        leaf("MaxKeys", limit),
        shown.leaf("Delimiter", query.get("delimiter", "")),
        shown.leaf("StartAfter", start_after),
        leaf("ContinuationToken", token) if token else "",
        shown.declaration(),
        flag("IsTruncated", page.truncated),
        leaf("NextContinuationToken", _to_token(page.last)) if page.truncated else "",
        leaf("KeyCount", len(page.objects) + len(page.prefixes)),
        _contents(page, shown, owner=query.get("fetch-owner") == "true"),
    )


async def list_objects(exchange: Exchange) -> Response:
    """ListObjects, the first version."""
    query = exchange.query
    shown = Names(query.get("encoding-type"))
    limit = exchange.number("max-keys", 100, 1, 1000)
    page = _page(exchange, query.get("marker", ""), limit)
    return xml_response(
        "ListBucketResult",
        leaf("Name", exchange.bucket),
        shown.leaf("Prefix", query.get("prefix", "")),
        shown.leaf("Marker", query.get("marker", "")),
        leaf("MaxKeys", limit),
        shown.leaf("Delimiter", query.get("delimiter", "")),
        shown.declaration(),
        flag("IsTruncated", page.truncated),
        shown.leaf("NextMarker", _text(page.last)) if page.truncated else "",
        _contents(page, shown, owner=True),
    )


def _wanted_uploads(exchange: Exchange) -> list[Upload]:
    """The uploads behind both markers, in order."""
    query = exchange.query
    prefix = _bytes(query.get("prefix", ""))
    key_marker, id_marker = _bytes(query.get("key-marker", "")), query.get("upload-id-marker", "")
    return [
        upload
        for upload in exchange.uploads.of_bucket(exchange.bucket)
        if upload.key.startswith(prefix)
        and (
            upload.key > key_marker
            or (upload.key == key_marker and id_marker and upload.id > id_marker)
        )
    ]


def _upload_element(upload: Upload, shown: Names) -> str:
    return (
        f"<Upload>{shown.leaf('Key', _text(upload.key))}{leaf('UploadId', upload.id)}"
        f"{leaf('StorageClass', upload.storage_class)}"
        f"{leaf('Initiated', iso_time(upload.initiated))}</Upload>"
    )


async def list_multipart_uploads(exchange: Exchange) -> Response:
    """ListMultipartUploads."""
    query = exchange.query
    shown = Names(query.get("encoding-type"))
    limit = exchange.number("max-uploads", 1000, 1, 1000)
    prefix, delimiter = _bytes(query.get("prefix", "")), _bytes(query.get("delimiter", ""))
    after = _bytes(query.get("key-marker", ""))
    uploads: list[Upload] = []
    prefixes: list[bytes] = []
    next_key, next_id, truncated = b"", "", False
    for upload in _wanted_uploads(exchange):
        common = _common_prefix(upload.key, prefix, delimiter)
        if common is not None and (common <= after or common in prefixes):
            continue
        if len(uploads) + len(prefixes) == limit:
            truncated = True
            break
        if common is not None:
            prefixes.append(common)
            next_key, next_id = common, ""
        else:
            uploads.append(upload)
            next_key, next_id = upload.key, upload.id
    return xml_response(
        "ListMultipartUploadsResult",
        leaf("Bucket", exchange.bucket),
        shown.declaration(),
        shown.leaf("KeyMarker", query.get("key-marker", "")),
        leaf("UploadIdMarker", query.get("upload-id-marker", "")),
        shown.leaf("NextKeyMarker", _text(next_key)),
        leaf("NextUploadIdMarker", next_id),
        shown.leaf("Delimiter", query.get("delimiter", "")),
        shown.leaf("Prefix", query.get("prefix", "")),
        leaf("MaxUploads", limit),
        flag("IsTruncated", truncated),
        *(_upload_element(upload, shown) for upload in uploads),
        _prefix_elements(prefixes, shown),
    )
