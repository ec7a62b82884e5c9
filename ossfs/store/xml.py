"""The XML documents of OSS: answers into values, values into request bodies.

Answers are hostile input. Whatever is wrong with one, `BadAnswer` (an Unavailable) comes out.
"""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ossfs.errors import Unavailable
from ossfs.store.base import BucketInfo, ListEntry, ListPage, Part, ServerEncryption
from ossfs.store.rules import MAX_OBJECT
from ossfs.types import Buffer, ETag, ObjectKey

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class BadAnswer(Unavailable):
    """The server answered with something that is not what it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDocument:
    """What an error document says; "" for what it does not say."""

    code: str = ""
    message: str = ""
    request_id: str = ""
    ec: str = ""
    endpoint: str = ""
    server_time: str = ""


def parse_document(document: Buffer, root: str) -> Element:
    """The root element, its namespaces stripped; raises BadAnswer unless it is called *root*."""
    try:
        tree: Element = fromstring(bytes(document), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as exc:
        raise BadAnswer("the answer is not well-formed XML") from exc
    for element in tree.iter():
        element.tag = element.tag.rpartition("}")[2]
    if tree.tag != root:
        raise BadAnswer(f"the answer is no {root}")
    return tree


def text_of(element: Element, name: str) -> str:
    return (element.findtext(name) or "").strip()


def _needed(element: Element, name: str) -> str:
    text = text_of(element, name)
    if not text:
        raise BadAnswer(f"the answer lacks {name}")
    return text


def _name(element: Element, tag: str, *, encoded: bool) -> str:
    """An object key or a prefix, blanks and all."""
    text = element.findtext(tag) or ""
    if not encoded:
        return text
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError as exc:
        raise BadAnswer("the answer holds a name that is not UTF-8") from exc


def _size(element: Element) -> int:
    text = _needed(element, "Size")
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise BadAnswer("the answer holds a size that is no number")
    return possible_size(int(text))


def possible_size(size: int) -> int:
    """*size* itself. Raises BadAnswer where no object can be that large."""
    if size > MAX_OBJECT:
        raise BadAnswer("the answer holds a size that no object can have")
    return size


def seconds_of(timestamp: str) -> int:
    """Seconds since the epoch of a time like 2026-01-02T03:04:05.000Z. Raises BadAnswer."""
    try:
        moment = dt.datetime.fromisoformat(timestamp)
    except ValueError as exc:
        raise BadAnswer("the answer holds a time that is none") from exc
    if moment.tzinfo is None:
        raise BadAnswer("the answer holds a time without a zone")
    return int(moment.timestamp())


def etag_of(text: str) -> ETag:
    """An ETag without its quotes. Raises BadAnswer if nothing is left."""
    etag = text.strip().strip('"')
    if not etag:
        raise BadAnswer("the answer lacks an ETag")
    return ETag(etag)


def parse_error(document: Buffer) -> ErrorDocument:
    """An `<Error>`."""
    tree = parse_document(document, "Error")
    return ErrorDocument(
        code=text_of(tree, "Code"),
        message=text_of(tree, "Message"),
        request_id=text_of(tree, "RequestId"),
        ec=text_of(tree, "EC"),
        endpoint=text_of(tree, "Endpoint"),
        server_time=text_of(tree, "ServerTime"),
    )


def _entry(element: Element, *, encoded: bool) -> ListEntry:
    return ListEntry(
        key=ObjectKey(_name(element, "Key", encoded=encoded)),
        size=_size(element),
        etag=etag_of(text_of(element, "ETag")),
        modified_ns=seconds_of(_needed(element, "LastModified")) * 1_000_000_000,
        object_type=text_of(element, "Type") or "Normal",
        storage_class=text_of(element, "StorageClass") or "Standard",
    )


def parse_list(document: Buffer) -> ListPage:
    """A `<ListBucketResult>` of ListObjectsV2."""
    tree = parse_document(document, "ListBucketResult")
    encoded = text_of(tree, "EncodingType") == "url"
    token = None
    if text_of(tree, "IsTruncated").lower() == "true":
        token = _needed(tree, "NextContinuationToken")
    return ListPage(
        entries=[_entry(element, encoded=encoded) for element in tree.iterfind("Contents")],
        prefixes=[
            _name(element, "Prefix", encoded=encoded) for element in tree.iterfind("CommonPrefixes")
        ],
        next_token=token,
    )


def parse_initiate(document: Buffer) -> str:
    """The upload id of an `<InitiateMultipartUploadResult>`."""
    return _needed(parse_document(document, "InitiateMultipartUploadResult"), "UploadId")


def parse_complete(document: Buffer) -> ETag:
    """The ETag of a `<CompleteMultipartUploadResult>`."""
    return etag_of(text_of(parse_document(document, "CompleteMultipartUploadResult"), "ETag"))


def parse_copy(document: Buffer) -> ETag:
    """The ETag of a `<CopyObjectResult>`."""
    return etag_of(text_of(parse_document(document, "CopyObjectResult"), "ETag"))


def parse_delete(document: Buffer) -> ErrorDocument | None:
    """The first error of a `<DeleteResult>`; OSS sends an empty body when all went well."""
    if not bytes(document).strip():
        return None
    error = parse_document(document, "DeleteResult").find("Error")
    if error is None:
        return None
    return ErrorDocument(code=text_of(error, "Code"), message=text_of(error, "Message"))


def parse_tags(document: Buffer) -> dict[str, str]:
    """A `<Tagging>`."""
    tree = parse_document(document, "Tagging")
    return {
        tag.findtext("Key") or "": tag.findtext("Value") or ""
        for tag in tree.iterfind("TagSet/Tag")
    }


def parse_bucket_info(document: Buffer) -> BucketInfo:
    """A `<BucketInfo>`."""
    bucket = parse_document(document, "BucketInfo").find("Bucket")
    if bucket is None:
        raise BadAnswer("the answer lacks Bucket")
    rule = bucket.find("ServerSideEncryptionRule")
    encryption = None
    algorithm = text_of(rule, "SSEAlgorithm") if rule is not None else ""
    if rule is not None and algorithm not in {"", "None"}:
        encryption = ServerEncryption(
            algorithm=algorithm, key_id=text_of(rule, "KMSMasterKeyID") or None
        )
    return BucketInfo(
        name=_needed(bucket, "Name"),
        location=text_of(bucket, "Location"),
        storage_class=text_of(bucket, "StorageClass") or "Standard",
        versioning=text_of(bucket, "Versioning"),
        encryption=encryption,
    )


def _escaped(text: str) -> str:
    # A bare carriage return would arrive as a line feed.
    return escape(text, {"\r": "&#13;"})


def has_xml_form(text: str) -> bool:
    """Whether *text* can stand in an XML document at all; control characters cannot."""
    return not _NOT_IN_XML.search(text)


def complete_body(parts: Sequence[Part]) -> bytes:
    """The body of CompleteMultipartUpload."""
    listed = "".join(
        f"<Part><PartNumber>{part.number}</PartNumber><ETag>{_escaped(part.etag)}</ETag></Part>"
        for part in parts
    )
    return f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()


def delete_body(keys: Sequence[str]) -> bytes:
    """The body of DeleteMultipleObjects; only errors are to be answered."""
    listed = "".join(f"<Object><Key>{_escaped(key)}</Key></Object>" for key in keys)
    return f"<Delete><Quiet>true</Quiet>{listed}</Delete>".encode()


def tagging_body(tags: Mapping[str, str]) -> bytes:
    """The body of PutObjectTagging."""
    listed = "".join(
        f"<Tag><Key>{_escaped(key)}</Key><Value>{_escaped(value)}</Value></Tag>"
        for key, value in tags.items()
    )
    return f"<Tagging><TagSet>{listed}</TagSet></Tagging>".encode()
