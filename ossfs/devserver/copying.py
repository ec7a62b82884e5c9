"""CopyObject and UploadPartCopy."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote_to_bytes

import trio

from ossfs.devserver import conditions, cse, names, ranges, sse, tags
from ossfs.devserver.bodies import BodyWriter, Segment, WrittenBody
from ossfs.devserver.datakeys import NO_DATA_KEY, DataKey
from ossfs.devserver.documents import iso_time, leaf
from ossfs.devserver.errors import OssError
from ossfs.devserver.exchange import ARCHIVED, Exchange, xml_response
from ossfs.devserver.multipart import answer_part, existing_upload, part_number, store_part
from ossfs.devserver.objects import SYMLINK_TARGET, stored_headers
from ossfs.devserver.sse import Encryption
from ossfs.devserver.storage import StoredObject
from ossfs.devserver.wire import Response

_MOVED_AT_ONCE_BYTES = 4 << 20


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


def _metadata(exchange: Exchange, source: _Source, encryption: Encryption | None) -> dict[str, str]:
    """Headers of the copy. A copy onto itself replaces them, whatever the directive says."""
    onto_itself = (source.bucket, source.key) == (exchange.bucket, exchange.key())
    replace = _directive(exchange.headers, "x-oss-metadata-directive") or onto_itself
    cse.check_copy(source.item.headers, metadata_changes=replace)
    if replace:
        cse.check_envelope(exchange.headers)
        replaced = stored_headers(exchange, encryption)
        if source.item.kind == "Symlink":
            replaced[SYMLINK_TARGET] = source.item.headers[SYMLINK_TARGET]
        return replaced
    copied = {name: value for name, value in source.item.headers.items() if name not in sse.HEADERS}
    return copied | (encryption.headers() if encryption else {})


def _check_size(exchange: Exchange, source: _Source, headers: Mapping[str, str], to: str) -> None:
    """Raises OssError EntityTooLarge where a large copy would have to move the bytes."""
    in_place = (
        source.bucket == exchange.bucket
        and source.item.storage_class == to
        and sse.told(source.item.headers) == sse.told(headers)
    )
    if not in_place and source.item.size > exchange.config.max_copy_bytes:
        raise OssError("EntityTooLarge", "The object is too large to be copied in one request.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copied:
    """The bytes of a copy; they belong to whoever holds them until a row does."""

    segments: tuple[Segment, ...]
    data_key: DataKey


async def _copied(exchange: Exchange, source: _Source, encryption: Encryption | None) -> _Copied:
    """The same bytes once more, encrypted as the copy is to be.

    Where nothing changes they are not moved: the copy has a wrapped data key of its own, but of the
    same data key.
    """
    item = source.item
    before = exchange.data_key(item.data_key)
    same = sse.told(item.headers) == (encryption.headers() if encryption else {})
    if encryption is None and before.clear is None:
        return _Copied(segments=exchange.store.bodies.link(item.segments), data_key=NO_DATA_KEY)
    if encryption is not None and before.clear is not None and same:
        data_key = exchange.data_keys.wrap(encryption, exchange.caller, before.clear)
        return _Copied(segments=exchange.store.bodies.link(item.segments), data_key=data_key)
    data_key = exchange.new_data_key(encryption)
    body = await _copied_body(exchange, source, 0, item.size, before, data_key)
    try:
        # Another request may have made an object while the bytes were copied.
        exchange.forbid_overwrite(exchange.key())
        exchange.existing_bucket(exchange.bucket)
    except OssError:
        exchange.store.bodies.remove(body.segments)
        raise
    return _Copied(segments=body.segments, data_key=data_key)


async def copy_object(exchange: Exchange) -> Response:
    """CopyObject; storage class, ACL and server-side encryption are not inherited."""
    key = exchange.key()
    conditions.refuse_on_write(exchange.headers)
    source = _source(exchange)
    encryption = None if source.item.kind == "Symlink" else exchange.encryption()
    headers = _metadata(exchange, source, encryption)
    storage_class, acl = exchange.storage_class(), exchange.acl()
    _check_size(exchange, source, headers, storage_class)
    exchange.forbid_overwrite(key)
    tag_set = source.item.tags
    if _directive(exchange.headers, "x-oss-tagging-directive"):
        tag_set = tags.from_header(exchange.headers.get("x-oss-tagging"))
    copied = await _copied(exchange, source, encryption)
    item = replace(
        source.item,
        modified=exchange.now,
        storage_class=storage_class,
        tags=tag_set,
        segments=copied.segments,
        headers=headers,
        data_key=copied.data_key.wrapped,
        acl=acl,
    )
    exchange.store.put(exchange.bucket, key, item)
    return _answer(item)


def _answer(item: StoredObject) -> Response:
    answer = xml_response(
        "CopyObjectResult",
        leaf("ETag", f'"{item.etag}"'),
        leaf("LastModified", iso_time(item.modified)),
    )
    answer.headers |= sse.told(item.headers)
    answer.headers["ETag"] = f'"{item.etag}"'
    if item.crc64 is not None:
        answer.headers["x-oss-hash-crc64ecma"] = str(item.crc64)
    return answer


def _move(pieces: Iterator[bytes], writer: BodyWriter) -> bool:
    """Writes a few of the pieces; whether there may be more."""
    moved = 0
    for piece in pieces:
        writer.write(piece)
        moved += len(piece)
        if moved >= _MOVED_AT_ONCE_BYTES:
            return True
    return False


async def _copied_body(
    exchange: Exchange, source: _Source, start: int, length: int, before: DataKey, after: DataKey
) -> WrittenBody:
    """A body of its own with these bytes; other requests go on meanwhile."""
    bodies = exchange.store.bodies
    writer = bodies.writer(after.clear)
    reading = bodies.read(source.item.segments, start, length, before.clear)
    try:
        pieces = reading.pieces()
        while await trio.to_thread.run_sync(_move, pieces, writer):
            pass
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
    before = exchange.data_key(source.item.data_key)
    after = exchange.data_key(upload.data_key)
    body = await _copied_body(exchange, source, start, length, before, after)
    part = store_part(exchange, upload, number, body)
    answer = answer_part(upload, part)
    document = xml_response(
        "CopyPartResult",
        leaf("LastModified", iso_time(part.modified)),
        leaf("ETag", f'"{part.etag}"'),
    )
    document.headers |= answer.headers
    return document
