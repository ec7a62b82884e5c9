"""Multipart upload: Initiate, UploadPart, Complete, Abort, ListParts."""

import hashlib
import itertools

from ossfs.devserver import conditions, cse, names, sse, tags
from ossfs.devserver.bodies import WrittenBody
from ossfs.devserver.crc64 import combine
from ossfs.devserver.documents import Names, flag, iso_time, leaf, parse, text_of
from ossfs.devserver.errors import OssError
from ossfs.devserver.exchange import Exchange, xml_response
from ossfs.devserver.objects import etag_of, stored_headers
from ossfs.devserver.storage import StoredObject
from ossfs.devserver.uploads import Upload, UploadedPart
from ossfs.devserver.wire import Response

MAX_PARTS = 10_000
MIN_PART_BYTES = 100 * 1024


def existing_upload(exchange: Exchange) -> Upload:
    """The upload named in the query; raises OssError NoSuchUpload."""
    upload_id = exchange.query.get("uploadId", "")
    upload = exchange.uploads.find(exchange.bucket, exchange.key(), upload_id)
    if upload is None:
        raise OssError("NoSuchUpload", UploadId=upload_id)
    return upload


def part_number(exchange: Exchange) -> int:
    """The part number in the query; raises OssError InvalidArgument outside of 1..10000."""
    number = exchange.number("partNumber", 0, 1, MAX_PARTS)
    if not number:
        raise OssError("InvalidArgument", "partNumber is missing.")
    return number


async def initiate(exchange: Exchange) -> Response:
    """InitiateMultipartUpload: all headers of the object come with it."""
    key, headers = exchange.key(), exchange.headers
    conditions.refuse_on_write(headers)
    shown = Names(exchange.query.get("encoding-type"))
    encryption = exchange.encryption()
    kept = stored_headers(exchange, encryption)
    cse.check_initiate(headers)
    exchange.forbid_overwrite(key)
    upload_id = exchange.uploads.create(
        bucket=exchange.bucket,
        key=key,
        initiated=exchange.now,
        storage_class=exchange.storage_class(),
        tags=tags.from_header(headers.get("x-oss-tagging")),
        headers=kept,
        data_key=exchange.new_data_key(encryption).wrapped,
        acl=exchange.acl(),
    )
    answer = xml_response(
        "InitiateMultipartUploadResult",
        shown.declaration(),
        leaf("Bucket", exchange.bucket),
        shown.leaf("Key", exchange.target.key),
        leaf("UploadId", upload_id),
    )
    answer.headers |= sse.told(kept)
    return answer


async def upload_part(exchange: Exchange) -> Response:
    """UploadPart; the size is judged at Complete, since any part may turn out to be the last."""
    number = part_number(exchange)
    upload = existing_upload(exchange)
    names.user_metadata(exchange.headers)
    cse.check_part(exchange.headers, upload.headers)
    body = await exchange.write_body(exchange.data_key(upload.data_key))
    return answer_part(upload, store_part(exchange, upload, number, body))


def store_part(exchange: Exchange, upload: Upload, number: int, body: WrittenBody) -> UploadedPart:
    """Takes over a written body. Raises OssError NoSuchUpload if the upload ended meanwhile."""
    part = UploadedPart(
        number=number,
        size=body.size,
        modified=exchange.now,
        etag=etag_of(body.md5),
        crc64=body.crc64,
        segments=body.segments,
    )
    try:
        existing_upload(exchange)
    except OssError:
        exchange.store.bodies.remove(body.segments)
        raise
    exchange.uploads.put_part(upload, part)
    return part


def answer_part(upload: Upload, part: UploadedPart) -> Response:
    """What the uploader learns of its part."""
    facts = {"ETag": f'"{part.etag}"', "x-oss-hash-crc64ecma": str(part.crc64)}
    return Response(headers=facts | sse.told(upload.headers))


def _listed(body: bytes) -> list[tuple[int, str]]:
    """Numbers and ETags of a CompleteMultipartUpload document."""
    listed = []
    for element in parse(body, "CompleteMultipartUpload").findall("Part"):
        number = text_of(element, "PartNumber").strip()
        if not (number.isascii() and number.isdecimal()):
            raise OssError("MalformedXML")
        listed.append((int(number), text_of(element, "ETag").strip().strip('"').upper()))
    if not listed:
        raise OssError("MalformedXML")
    if any(later <= earlier for (earlier, _), (later, _) in itertools.pairwise(listed)):
        raise OssError("InvalidPartOrder")
    return listed


def _chosen(exchange: Exchange, upload: Upload, body: bytes) -> list[UploadedPart]:
    """The parts that make up the object, as the request lists them or all there are."""
    present = exchange.uploads.parts(upload)
    if exchange.headers.get("x-oss-complete-all", "").lower() == "yes":
        if body:
            raise OssError("InvalidArgument", "x-oss-complete-all takes no body.")
        return present
    by_number = {part.number: part for part in present}
    chosen = []
    for number, etag in _listed(body):
        part = by_number.get(number)
        if part is None or part.etag != etag:
            raise OssError("InvalidPart", PartNumber=str(number), UploadId=upload.id)
        chosen.append(part)
    return chosen


def _joined(exchange: Exchange, upload: Upload, parts: list[UploadedPart]) -> StoredObject:
    digest = hashlib.md5(usedforsecurity=False)
    crc64 = 0
    for part in parts:
        digest.update(bytes.fromhex(part.etag))
        crc64 = combine(crc64, part.crc64, part.size)
    return StoredObject(
        size=sum(part.size for part in parts),
        modified=exchange.now,
        etag=f"{etag_of(digest.digest())}-{len(parts)}",
        kind="Multipart",
        storage_class=upload.storage_class,
        crc64=crc64,
        tags=upload.tags,
        segments=tuple(segment for part in parts for segment in part.segments),
        headers=upload.headers,
        data_key=upload.data_key,
        acl=upload.acl,
    )


async def complete(exchange: Exchange) -> Response:
    """CompleteMultipartUpload."""
    conditions.refuse_on_write(exchange.headers)
    shown = Names(exchange.query.get("encoding-type"))
    key = exchange.key()
    body = await exchange.document()
    # Nothing is awaited from here on: no other request may end the upload in between.
    upload = existing_upload(exchange)
    parts = _chosen(exchange, upload, body)
    cse.check_complete(upload.headers, [part.size for part in parts])
    if not parts:
        raise OssError("InvalidPart", UploadId=upload.id)
    for part in parts[:-1]:
        if part.size < MIN_PART_BYTES:
            raise OssError("EntityTooSmall", PartNumber=str(part.number), UploadId=upload.id)
    exchange.forbid_overwrite(key)
    item = _joined(exchange, upload, parts)
    exchange.uploads.complete(upload, parts, item)
    scheme = "https" if exchange.config.tls else "http"
    answer = xml_response(
        "CompleteMultipartUploadResult",
        shown.declaration(),
        leaf("Location", f"{scheme}://{exchange.headers.get('host', '')}/{exchange.bucket}"),
        leaf("Bucket", exchange.bucket),
        shown.leaf("Key", exchange.target.key),
        leaf("ETag", f'"{item.etag}"'),
    )
    answer.headers |= sse.told(item.headers)
    answer.headers |= {"ETag": f'"{item.etag}"', "x-oss-hash-crc64ecma": str(item.crc64)}
    return answer


async def abort(exchange: Exchange) -> Response:
    """AbortMultipartUpload."""
    exchange.uploads.abort(existing_upload(exchange))
    return Response(status=204)


_ENVELOPE_IN_LISTING = (
    ("ClientEncryptionKey", "key"),
    ("ClientEncryptionStart", "start"),
    ("ClientEncryptionCekAlg", "cek-alg"),
    ("ClientEncryptionWrapAlg", "wrap-alg"),
    ("ClientEncryptionDataSize", "data-size"),
    ("ClientEncryptionPartSize", "part-size"),
)


def _part_element(part: UploadedPart) -> str:
    facts = (
        leaf("PartNumber", part.number),
        leaf("LastModified", iso_time(part.modified)),
        leaf("ETag", f'"{part.etag}"'),
        leaf("HashCrc64ecma", part.crc64),
        leaf("Size", part.size),
    )
    return f"<Part>{''.join(facts)}</Part>"


async def list_parts(exchange: Exchange) -> Response:
    """ListParts, with the envelope of a client-encrypted upload so that it can be resumed."""
    upload = existing_upload(exchange)
    shown = Names(exchange.query.get("encoding-type"))
    limit = exchange.number("max-parts", 1000, 1, 1000)
    marker = exchange.number("part-number-marker", 0, 0, MAX_PARTS)
    behind = [part for part in exchange.uploads.parts(upload) if part.number > marker]
    page = behind[:limit]
    envelope = (
        leaf(tag, upload.headers[cse.PREFIX + name])
        for tag, name in _ENVELOPE_IN_LISTING
        if cse.PREFIX + name in upload.headers
    )
    return xml_response(
        "ListPartsResult",
        shown.declaration(),
        leaf("Bucket", exchange.bucket),
        shown.leaf("Key", exchange.target.key),
        leaf("UploadId", upload.id),
        leaf("StorageClass", upload.storage_class),
        leaf("PartNumberMarker", marker),
        leaf("NextPartNumberMarker", page[-1].number if page else 0),
        leaf("MaxParts", limit),
        flag("IsTruncated", len(behind) > limit),
        *envelope,
        *(_part_element(part) for part in page),
    )
