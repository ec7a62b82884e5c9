"""CopyObject and UploadPartCopy."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import trio

from ossfs.devserver import conditions, cse, names, ranges, sse, tags
from ossfs.devserver.bodies import Segment, WrittenBody
from ossfs.devserver.documents import iso_time, leaf
from ossfs.devserver.errors import OssError
from ossfs.devserver.exchange import ARCHIVED, Exchange, xml_response
from ossfs.devserver.multipart import answer_part, existing_upload, part_number, store_part
from ossfs.devserver.objects import SYMLINK_TARGET, encryption_headers, stored_headers
from ossfs.devserver.storage import StoredObject
from ossfs.devserver.wire import Response


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    bucket: str
    key: bytes
    item: StoredObject


def _source(exchange: Exchange) -> _Source:
    """The object to copy, once its conditions hold."""
    header = exchange.headers["x-oss-copy-source"]
    path = unquote_to_bytes(header.removeprefix("/")).decode("utf-8", "surrogateescape")
    bucket, slash, key = path.partition("/")
    if not slash or "?" in header:
        raise OssError("InvalidArgument", "Copy Source must be a valid /bucket/key.")
    encoded = names.key_bytes(key)
    exchange.existing_bucket(bucket)
    item = exchange.existing(bucket, encoded)
    if item.storage_class in ARCHIVED:
        raise OssError("InvalidObjectState", Key=key)
    conditions.check(
        exchange.headers, "x-oss-copy-source-if-", etag=item.etag, modified=item.modified
    )
    return _Source(bucket=bucket, key=encoded, item=item)


def _directive(headers: Mapping[str, str], name: str) -> bool:
    """Whether the directive says to replace; raises OssError InvalidArgument."""
    value = headers.get(name, "COPY").upper()
    if value not in {"COPY", "REPLACE"}:
        raise OssError("InvalidArgument", f"The value of {name} is invalid.")
    return value == "REPLACE"


def _metadata(exchange: Exchange, source: _Source) -> dict[str, str]:
    """Headers of the copy. A copy onto itself replaces them, whatever the directive says."""
    onto_itself = (source.bucket, source.key) == (exchange.bucket, exchange.key())
    replace = _directive(exchange.headers, "x-oss-metadata-directive") or onto_itself
    cse.check_copy(source.item.headers, metadata_changes=replace)
    if replace:
        cse.check_envelope(exchange.headers)
        replaced = stored_headers(exchange.headers, exchange.bucket)
        if source.item.kind == "Symlink":
            replaced[SYMLINK_TARGET] = source.item.headers[SYMLINK_TARGET]
        return replaced
    copied = {name: value for name, value in source.item.headers.items() if name not in sse.HEADERS}
    return copied | sse.requested(exchange.headers, exchange.bucket)


def _check_size(exchange: Exchange, source: _Source, headers: Mapping[str, str], to: str) -> None:
    """Raises OssError EntityTooLarge where a large copy would have to move the bytes."""
    in_place = (
        source.bucket == exchange.bucket
        and source.item.storage_class == to
        and encryption_headers(source.item.headers) == encryption_headers(headers)
    )
    if not in_place and source.item.size > exchange.config.max_copy_bytes:
        raise OssError("EntityTooLarge", "The object is too large to be copied in one request.")


async def copy_object(exchange: Exchange) -> Response:
    """CopyObject; storage class and server-side encryption are not inherited."""
    key = exchange.key()
    conditions.refuse_on_write(exchange.headers)
    source = _source(exchange)
    headers = _metadata(exchange, source)
    storage_class = exchange.storage_class()
    _check_size(exchange, source, headers, storage_class)
    exchange.forbid_overwrite(key)
    tag_set = source.item.tags
    if _directive(exchange.headers, "x-oss-tagging-directive"):
        tag_set = tags.from_header(exchange.headers.get("x-oss-tagging"))
    item = StoredObject(
        size=source.item.size,
        modified=exchange.now,
        etag=source.item.etag,
        kind=source.item.kind,
        storage_class=storage_class,
        crc64=source.item.crc64,
        tags=tag_set,
        segments=exchange.store.bodies.link(source.item.segments),
        headers=headers,
    )
    exchange.store.put(exchange.bucket, key, item)
    answer = xml_response(
        "CopyObjectResult",
        leaf("ETag", f'"{item.etag}"'),
        leaf("LastModified", iso_time(item.modified)),
    )
    answer.headers |= encryption_headers(headers)
    answer.headers["ETag"] = f'"{item.etag}"'
    if item.crc64 is not None:
        answer.headers["x-oss-hash-crc64ecma"] = str(item.crc64)
    return answer


async def _copied_body(
    exchange: Exchange, segments: tuple[Segment, ...], start: int, length: int
) -> WrittenBody:
    """A body of its own with these bytes; other requests go on meanwhile."""
    writer = exchange.store.bodies.writer()
    reading = exchange.store.bodies.read(segments, start, length)
    try:
        for piece in reading.pieces():
            writer.write(piece)
            await trio.lowlevel.checkpoint()
        return writer.finish()
    except BaseException:
        writer.discard()
        raise
    finally:
        reading.close()


async def upload_part_copy(exchange: Exchange) -> Response:
    """UploadPartCopy; a range that does not fit copies the whole source."""
    number = part_number(exchange)
    upload = existing_upload(exchange)
    source = _source(exchange)
    cse.check_part_copy(source.item.headers)
    if source.item.kind == "Symlink":
        raise OssError("InvalidTargetType")
    wanted = ranges.resolve(
        exchange.headers.get("x-oss-copy-source-range"), source.item.size, standard=False
    )
    start, length = wanted or (0, source.item.size)
    if length > exchange.config.max_put_bytes:
        raise OssError("EntityTooLarge")
    body = await _copied_body(exchange, source.item.segments, start, length)
    part = store_part(exchange, upload, number, body)
    answer = answer_part(part)
    document = xml_response(
        "CopyPartResult",
        leaf("LastModified", iso_time(part.modified)),
        leaf("ETag", f'"{part.etag}"'),
    )
    document.headers |= answer.headers
    return document
