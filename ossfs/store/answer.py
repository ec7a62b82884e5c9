"""Answers of OSS in terms of the seam: headers into values, refusals into errors. No I/O."""

import base64
import binascii
import email.utils
import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ossfs.errors import RangeNotSatisfiable, StoreError
from ossfs.store.base import WEB_HEADERS, ObjectInfo, ServerEncryption, Stored
from ossfs.store.refusal import label, refusal
from ossfs.store.xml import (
    BadAnswer,
    ErrorDocument,
    etag_of,
    parse_delete,
    parse_error,
    possible_size,
    seconds_of,
)
from ossfs.types import Buffer, ETag, ObjectKey

_META = "x-oss-meta-"
# Far more than OSS ever says of a refusal; parsing this much delays nobody.
_ERROR_BYTES = 64 * 1024
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Buffer

    @property
    def request_id(self) -> str:
        """For the provider's support."""
        return label(self.headers.get("x-oss-request-id", ""))


def header_texts(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers as text; values are UTF-8, or Latin-1 where they are not."""
    texts = {}
    for name, value in raw:
        try:
            text = value.decode()
        except UnicodeDecodeError:
            text = value.decode("latin-1")
        texts[name.decode("latin-1").lower()] = text
    return texts


@functools.lru_cache(maxsize=512)
def http_date(text: str) -> int:
    """Seconds since the epoch of a date header. Raises BadAnswer."""
    try:
        return int(email.utils.parsedate_to_datetime(text).timestamp())
    except (ValueError, TypeError, OverflowError) as exc:
        raise BadAnswer("the answer holds a date that is none") from exc


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,20}", text):
        raise BadAnswer(f"the answer holds a {name} that is no number")
    return int(text)


def encryption_of(headers: Mapping[str, str]) -> ServerEncryption | None:
    """Server-side encryption as the headers of an answer name it."""
    algorithm = headers.get("x-oss-server-side-encryption")
    if not algorithm:
        return None
    return ServerEncryption(
        algorithm=algorithm,
        key_id=headers.get("x-oss-server-side-encryption-key-id"),
        data_algorithm=headers.get("x-oss-server-side-data-encryption"),
    )


def object_info(key: ObjectKey, headers: Mapping[str, str], size: int) -> ObjectInfo:
    """What the headers of HEAD and GET say. Raises BadAnswer."""
    return ObjectInfo(
        key=key,
        size=size,
        etag=etag_of(headers.get("etag", "")),
        modified_ns=http_date(headers.get("last-modified", "")) * 1_000_000_000,
        metadata={
            name.removeprefix(_META): value
            for name, value in headers.items()
            if name.startswith(_META)
        },
        crc64=_number(headers, "x-oss-hash-crc64ecma"),
        object_type=headers.get("x-oss-object-type", "Normal"),
        storage_class=headers.get("x-oss-storage-class", "Standard"),
        version_id=headers.get("x-oss-version-id"),
        tagging_count=_number(headers, "x-oss-tagging-count") or 0,
        encryption=encryption_of(headers),
        content_type=headers.get("content-type", ""),
        web_headers={name: headers[name] for name in WEB_HEADERS if name in headers},
    )


def announced_size(answer: Answer) -> int:
    """Content-Length, which an answer to HEAD must have. Raises BadAnswer."""
    size = _number(answer.headers, "content-length")
    if size is None:
        raise BadAnswer("the answer lacks a length")
    return possible_size(size)


def _check_length(answer: Answer) -> None:
    """Raises BadAnswer if the body is not as long as announced."""
    announced = _number(answer.headers, "content-length")
    if announced is not None and announced != len(answer.body):
        raise BadAnswer("the body of the answer is not as long as announced")


def _content_range(answer: Answer) -> tuple[int, int]:
    """(first byte, size of the whole object) of a 206. Raises BadAnswer."""
    found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
    if found is None:
        raise BadAnswer("the answer lacks the range that it holds")
    first, last, size = (int(number) for number in found.groups())
    if last >= size or last - first + 1 != len(answer.body):
        raise BadAnswer("the body of the answer is not the range that it says")
    return first, possible_size(size)


def content(
    key: ObjectKey, answer: Answer, start: int, length: int | None
) -> tuple[ObjectInfo, Buffer]:
    """Facts and bytes [start, start + length) out of the answer to a GET for them.

    Raises BadAnswer if it holds something else, RangeNotSatisfiable if there are no such bytes.
    """
    _check_length(answer)
    if answer.status == 206:
        first, size = _content_range(answer)
        if first != start or len(answer.body) != min(size - start, length or size):
            raise BadAnswer("the answer holds another range than asked for")
        return object_info(key, answer.headers, size), answer.body
    info = object_info(key, answer.headers, len(answer.body))
    if start == 0 and length is None:
        return info, answer.body
    # Not every server serves ranges, and an empty object has none.
    if start >= info.size:
        raise RangeNotSatisfiable("the range is not satisfiable", status=answer.status)
    return info, memoryview(answer.body)[start : start + (length or info.size)]


def stored(answer: Answer, etag: ETag | None = None) -> Stored:
    """What the answer to a write says; etag: from its document, else its header."""
    return Stored(
        etag=etag or etag_of(answer.headers.get("etag", "")),
        crc64=_number(answer.headers, "x-oss-hash-crc64ecma"),
        version_id=answer.headers.get("x-oss-version-id"),
        encryption=encryption_of(answer.headers),
    )


def _document(answer: Answer) -> ErrorDocument:
    """The error document; one without any text where there is none that can be read."""
    try:
        # An answer to HEAD has no body; its document travels in a header.
        in_header = answer.headers.get("x-oss-err", "")
        body = answer.body or base64.b64decode(in_header, validate=True)
        return parse_error(body) if 0 < len(body) <= _ERROR_BYTES else ErrorDocument()
    except (BadAnswer, binascii.Error, ValueError):
        return ErrorDocument()


def _message(document: ErrorDocument, status: int) -> str:
    text = document.message or document.code or f"HTTP status {status}"
    if document.endpoint:
        text += f" Endpoint of the bucket: {document.endpoint}"
    return text


def error_of(answer: Answer) -> StoreError:
    """The error that an answer with a status of 300 or more stands for."""
    document = _document(answer)
    return refusal(
        answer.status,
        document.code,
        _message(document, answer.status),
        request_id=answer.request_id or document.request_id,
        ec=answer.headers.get("x-oss-ec", "") or document.ec,
    )


def check_deleted(answer: Answer) -> None:
    """Raises the error of the first key that DeleteMultipleObjects could not delete, if any."""
    document = parse_delete(answer.body)
    if document is not None:
        raise refusal(
            answer.status, document.code, _message(document, 0), request_id=answer.request_id
        )


def server_time(answer: Answer) -> int:
    """The clock of the server, in seconds since the epoch. Raises BadAnswer if it does not tell."""
    document = _document(answer)
    if document.server_time:
        return seconds_of(document.server_time)
    return http_date(answer.headers.get("date", ""))


def asked_to_wait(answer: Answer) -> float:
    """Seconds after which the server wants to be asked again; 0 if it does not say."""
    milliseconds = answer.headers.get("x-oss-qos-delay-time", "")
    if re.fullmatch(r"[0-9]{1,9}", milliseconds):
        return int(milliseconds) / 1000
    seconds = answer.headers.get("retry-after", "")
    return float(seconds) if re.fullmatch(r"[0-9]{1,9}", seconds) else 0.0
