"""PutObject, GetObject, HeadObject, GetObjectMeta, DeleteObject, and symbolic links."""

import base64
import email.utils
import hashlib
import mimetypes
from collections.abc import Mapping
from urllib.parse import quote, unquote

from ossfs.devserver import conditions, cse, names, ranges, sse, tags
from ossfs.devserver.bodies import WrittenBody
from ossfs.devserver.errors import OssError
from ossfs.devserver.exchange import ARCHIVED, Exchange
from ossfs.devserver.sse import Encryption
from ossfs.devserver.storage import StoredObject
from ossfs.devserver.wire import Response

SYMLINK_TARGET = "x-oss-symlink-target"
_STANDARD_HEADERS = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
)
# Those of the library alone: what the machine knows beside them differs from one to the next.
_TYPES = mimetypes.MimeTypes(filenames=())


def stored_headers(exchange: Exchange, encryption: Encryption | None) -> dict[str, str]:
    """What of a request's headers is kept with the object. Raises the Refusals of its rules."""
    headers = exchange.headers
    kept = {name: headers[name] for name in _STANDARD_HEADERS if headers.get(name)}
    if "content-type" not in kept:
        guessed, _ = _TYPES.guess_type(exchange.target.key)
        kept["content-type"] = guessed or "application/octet-stream"
    return kept | names.user_metadata(headers) | (encryption.headers() if encryption else {})


def etag_of(md5: bytes) -> str:
    """ETag of a body written in one piece."""
    return md5.hex().upper()


async def put_object(exchange: Exchange) -> Response:
    """PutObject."""
    key, headers = exchange.key(), exchange.headers
    conditions.refuse_on_write(headers)
    encryption = exchange.encryption()
    kept = stored_headers(exchange, encryption)
    cse.check_envelope(headers)
    tag_set = tags.from_header(headers.get("x-oss-tagging"))
    storage_class, acl = exchange.storage_class(), exchange.acl()
    exchange.forbid_overwrite(key)
    data_key = exchange.new_data_key(encryption)
    body = await exchange.write_body(data_key)
    try:
        # Another request may have created the object while the body arrived.
        exchange.forbid_overwrite(key)
        exchange.existing_bucket(exchange.bucket)
    except OssError:
        exchange.store.bodies.remove(body.segments)
        raise
    exchange.store.put(
        exchange.bucket,
        key,
        StoredObject(
            size=body.size,
            modified=exchange.now,
            etag=etag_of(body.md5),
            kind="Normal",
            storage_class=storage_class,
            crc64=body.crc64,
            tags=tag_set,
            segments=body.segments,
            headers=kept,
            data_key=data_key.wrapped,
            acl=acl,
        ),
    )
    return Response(headers=_put_answer(body) | sse.told(kept))


def _put_answer(body: WrittenBody) -> dict[str, str]:
    return {
        "ETag": f'"{etag_of(body.md5)}"',
        "x-oss-hash-crc64ecma": str(body.crc64),
        "Content-MD5": base64.b64encode(body.md5).decode(),
    }


def _resolved(exchange: Exchange) -> tuple[StoredObject, str]:
    """The object that is read, through at most one link, and the type to report."""
    found = exchange.existing(exchange.bucket, exchange.key())
    if found.kind != "Symlink":
        return found, found.kind
    target = unquote(found.headers[SYMLINK_TARGET]).encode("utf-8", "surrogateescape")
    real = exchange.store.object(exchange.bucket, target)
    if real is None:
        raise OssError("SymlinkTargetNotExist", Key=exchange.target.key)
    if real.kind == "Symlink":
        raise OssError("InvalidTargetType", Key=exchange.target.key)
    return real, "Symlink"


def _identity(item: StoredObject) -> dict[str, str]:
    return {
        "ETag": f'"{item.etag}"',
        "Last-Modified": email.utils.formatdate(item.modified, usegmt=True),
    }


def _described(item: StoredObject, kind: str) -> dict[str, str]:
    headers = _identity(item) | {
        "Accept-Ranges": "bytes",
        "x-oss-object-type": kind,
        "x-oss-storage-class": item.storage_class,
    }
    if item.crc64 is not None:
        headers["x-oss-hash-crc64ecma"] = str(item.crc64)
    if item.kind == "Normal":
        headers["Content-MD5"] = base64.b64encode(bytes.fromhex(item.etag)).decode()
    if item.tags:
        headers["x-oss-tagging-count"] = str(len(item.tags))
    headers.update(
        (name.title(), item.headers[name]) for name in _STANDARD_HEADERS if name in item.headers
    )
    headers.update(
        (name, value) for name, value in item.headers.items() if name not in _STANDARD_HEADERS
    )
    return headers


def _overrides(query: Mapping[str, str]) -> dict[str, str]:
    return {
        name.title(): query[f"response-{name}"]
        for name in _STANDARD_HEADERS
        if f"response-{name}" in query
    }


async def get_object(exchange: Exchange) -> Response:
    """GetObject."""
    item, kind = _resolved(exchange)
    if item.storage_class in ARCHIVED:
        raise OssError("InvalidObjectState", Key=exchange.target.key)
    conditions.check(exchange.headers, "if-", etag=item.etag, modified=item.modified)
    standard = exchange.headers.get("x-oss-range-behavior", "") == "standard"
    part = ranges.resolve(exchange.headers.get("range"), item.size, standard=standard)
    data_key = exchange.data_key(item.data_key)
    headers = _described(item, kind) | _overrides(exchange.query)
    start, length = part or (0, item.size)
    headers["Content-Length"] = str(length)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{item.size}"
    return Response(
        status=200 if part is None else 206,
        headers=headers,
        body=exchange.store.bodies.read(item.segments, start, length, data_key.clear),
    )


async def head_object(exchange: Exchange) -> Response:
    """HeadObject."""
    item, kind = _resolved(exchange)
    conditions.check(exchange.headers, "if-", etag=item.etag, modified=item.modified)
    return Response(headers=_described(item, kind) | {"Content-Length": str(item.size)})


async def get_object_meta(exchange: Exchange) -> Response:
    """GetObjectMeta: no user metadata."""
    item, _ = _resolved(exchange)
    headers = _identity(item) | {"Content-Length": str(item.size)}
    if item.crc64 is not None:
        headers["x-oss-hash-crc64ecma"] = str(item.crc64)
    return Response(headers=headers)


async def delete_object(exchange: Exchange) -> Response:
    """DeleteObject; 204 also where nothing was."""
    exchange.store.delete(exchange.bucket, exchange.key())
    return Response(status=204)


async def put_symlink(exchange: Exchange) -> Response:
    """PutSymlink: stores the name of the target, which need not exist."""
    key, headers = exchange.key(), exchange.headers
    conditions.refuse_on_write(headers)
    target = headers.get(SYMLINK_TARGET, "")
    names.key_bytes(unquote(target))
    exchange.forbid_overwrite(key)
    item = StoredObject(
        size=0,
        modified=exchange.now,
        etag=etag_of(hashlib.md5(target.encode(), usedforsecurity=False).digest()),
        kind="Symlink",
        storage_class=exchange.storage_class(),
        crc64=None,
        tags=tags.from_header(headers.get("x-oss-tagging")),
        segments=(),
        headers=stored_headers(exchange, None) | {SYMLINK_TARGET: quote(unquote(target))},
        acl=exchange.acl(),
    )
    exchange.store.put(exchange.bucket, key, item)
    return Response(headers={"ETag": f'"{item.etag}"'})


async def get_symlink(exchange: Exchange) -> Response:
    """GetSymlink: the name of the target."""
    item = exchange.existing(exchange.bucket, exchange.key())
    if item.kind != "Symlink":
        raise OssError("NotSymlink", Key=exchange.target.key)
    metadata = {
        name: value for name, value in item.headers.items() if name not in _STANDARD_HEADERS
    }
    return Response(headers=_identity(item) | metadata)
