"""The seal: our authenticity headers beside the envelope, which other clients ignore.

    seal = make(key, file_type=mode >> 12, size=n, tags=all_tags, sidecar=key_of_sidecar)
    headers = to_metadata(seal)
    seal = parse(metadata, size)                  # None: not written by us
    seal.accepts(key, file_type=…, size=…)        # the only proof that key and headers are right

The IV of a sealed object is always the derived one.
"""

import hmac
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass

from ossfs.crypto import tags as crypto_tags
from ossfs.crypto.datakey import DataKey
from ossfs.errors import IntegrityError, Unsupported
from ossfs.format.fields import parse_base64, parse_decimal, print_base64
from ossfs.format.names import is_sidecar_key
from ossfs.types import ObjectKey

VERSION = 1

PREFIX = "ossfs-"
_FORMAT = PREFIX + "format"
_CHUNK = PREFIX + "chunk"
_TAGSUM = PREFIX + "tagsum"
_HEAD = PREFIX + "head"
_TAGS = PREFIX + "tags"
_SIDECAR = PREFIX + "sidecar"
HEADERS = frozenset({_FORMAT, _CHUNK, _TAGSUM, _HEAD, _TAGS, _SIDECAR})
"""Every header that `parse` looks at."""

_NEWER_VERSION = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """Authenticity of one stored version.

    tags: all tags up to 32 MiB (empty for an empty object), None above; sidecar: key of the object
    that holds them above 32 MiB, None below, and where the header is missing or not believable.
    """

    chunk: int
    tagsum: bytes
    head: bytes
    tags: bytes | None
    sidecar: ObjectKey | None

    def accepts(self, key: DataKey, *, file_type: int, size: int) -> bool:
        """Whether *key* sealed an object of this type (st_mode >> 12) and size with these tags."""
        iv = key.iv()
        genuine = crypto_tags.head_matches(
            key, iv, self.head, file_type=file_type, size=size, tagsum=self.tagsum
        )
        if not genuine or self.tags is None:
            return genuine
        return hmac.compare_digest(crypto_tags.tagsum_of(self.tags), self.tagsum)


def make(
    key: DataKey, *, file_type: int, size: int, tags: bytes, sidecar: ObjectKey | None
) -> Seal:
    """The seal of an object with all its *tags*; *sidecar* is needed above 32 MiB only."""
    inline = size <= crypto_tags.INLINE_LIMIT
    if len(tags) != crypto_tags.chunk_count(size) * crypto_tags.TAG_BYTES:
        raise ValueError("the number of tags does not fit the size")
    if not inline and sidecar is None:
        raise ValueError("tags of this size need a sidecar")
    total = crypto_tags.tagsum_of(tags)
    return Seal(
        chunk=crypto_tags.chunk_size(size),
        tagsum=total,
        head=crypto_tags.make_head(key, key.iv(), file_type=file_type, size=size, tagsum=total),
        tags=tags if inline else None,
        sidecar=None if inline else sidecar,
    )


def to_metadata(seal: Seal) -> dict[str, str]:
    """The headers of *seal*."""
    metadata = {
        _FORMAT: str(VERSION),
        _CHUNK: str(seal.chunk),
        _TAGSUM: print_base64(seal.tagsum),
        _HEAD: print_base64(seal.head),
    }
    if seal.tags:
        metadata[_TAGS] = print_base64(seal.tags)
    if seal.sidecar is not None:
        metadata[_SIDECAR] = urllib.parse.quote(seal.sidecar, safe="/")
    return metadata


def parse(metadata: Mapping[str, str], size: int) -> Seal | None:
    """The seal in the headers of an object of *size* bytes, None without `ossfs-format`.

    Nothing in it is authentic before `Seal.accepts`. Raises IntegrityError if it is malformed or
    has another chunk size than *size* implies, Unsupported if a newer version of ossfs wrote it.
    """
    version = metadata.get(_FORMAT)
    if version is None:
        return None
    if version != str(VERSION):
        if _NEWER_VERSION.fullmatch(version):
            raise Unsupported(f"a newer version of ossfs wrote the object (format {version})")
        raise IntegrityError("the authenticity headers of the object are malformed")
    try:
        return _parse(metadata, size)
    except (KeyError, ValueError):
        raise IntegrityError("the authenticity headers of the object are malformed") from None


def _parse(metadata: Mapping[str, str], size: int) -> Seal:
    chunk = crypto_tags.chunk_size(size)
    if parse_decimal(metadata[_CHUNK], chunk) != chunk:
        raise ValueError("not the chunk size of this size")
    inline = size <= crypto_tags.INLINE_LIMIT
    return Seal(
        chunk=chunk,
        tagsum=_exactly(crypto_tags.HASH_BYTES, metadata[_TAGSUM]),
        head=_exactly(crypto_tags.HEAD_BYTES, metadata[_HEAD]),
        tags=_inline_tags(metadata, size) if inline else None,
        sidecar=None if inline else _sidecar(metadata),
    )


def _exactly(length: int, text: str) -> bytes:
    data = parse_base64(text)
    if len(data) != length:
        raise ValueError("wrong length")
    return data


def _inline_tags(metadata: Mapping[str, str], size: int) -> bytes:
    length = crypto_tags.chunk_count(size) * crypto_tags.TAG_BYTES
    return _exactly(length, metadata[_TAGS] if length else metadata.get(_TAGS, ""))


def _sidecar(metadata: Mapping[str, str]) -> ObjectKey | None:
    """The header is an index: where it cannot be believed, the sidecar counts as lost."""
    try:
        key = urllib.parse.unquote(metadata.get(_SIDECAR, ""), errors="strict")
    except UnicodeDecodeError:
        return None
    return ObjectKey(key) if is_sidecar_key(key) else None
