"""Object tags: their rules, their header and their document."""

import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from ossfs.devserver.documents import document, leaf, parse, text_of
from ossfs.devserver.errors import OssError

_MAX_TAGS = 10
_ALLOWED = re.compile(r"[A-Za-z0-9 +\-=._:/]*")


def _checked(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for key, value in pairs:
        fits = 1 <= len(key) <= 128 and len(value) <= 256
        if not fits or key in tags or not _ALLOWED.fullmatch(key + value):
            raise OssError("InvalidTag")
        tags[key] = value
    if len(tags) > _MAX_TAGS:
        raise OssError("InvalidTag", "Object tags cannot be greater than 10.")
    return tags


def _decoded(text: str) -> str:
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
    except UnicodeDecodeError:
        raise OssError("InvalidTag", ec="0010-00000216") from None


def from_header(header: str | None) -> dict[str, str]:
    """The tags of x-oss-tagging: `k1=v1&k2=v2`, percent-encoded. Raises OssError InvalidTag."""
    if not header:
        return {}
    pairs = []
    for pair in header.split("&"):
        key, _, value = pair.partition("=")
        if "=" in value:
            raise OssError("InvalidTag")
        pairs.append((_decoded(key), _decoded(value)))
    return _checked(pairs)


def from_document(body: bytes) -> dict[str, str]:
    """The tags of a PutObjectTagging request. Raises OssError MalformedXML or InvalidTag."""
    tag_set = parse(body, "Tagging").find("TagSet")
    if tag_set is None:
        raise OssError("MalformedXML")
    return _checked((text_of(tag, "Key"), text_of(tag, "Value")) for tag in tag_set.findall("Tag"))


def to_document(tags: dict[str, str]) -> bytes:
    """The answer of GetObjectTagging."""
    items = (f"<Tag>{leaf('Key', key)}{leaf('Value', value)}</Tag>" for key, value in tags.items())
    return document("Tagging", ("<TagSet>", *items, "</TagSet>"))
