"""Authenticity of stored bytes: chunk tags, pages of tags, their sum, and the head over all.

    chunk = chunk_size(size)                          # decided by the plain size alone
    tagger = ChunkTagger(key, iv)
    tags = b"".join(tagger.tag(i, stored_chunk_i) ...)
    pages = page_hashes(tags)                         # 32 bytes for each 4,096 tags
    total = tagsum(pages)
    head = make_head(key, iv, file_type=mode >> 12, size=size, tagsum=total)

A reader goes the other way: `head_matches`, then tagsum over the page hashes (`check_pages`), then
a page of tags (`check_page`), then the chunk (`ChunkTagger.check`). A tag of bytes that were not
authenticated must never leave the process: two tags under one nonce give the key away.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ossfs.crypto.datakey import FAILED, DataKey
from ossfs.errors import IntegrityError
from ossfs.types import Buffer

TAG_BYTES = 16
HASH_BYTES = 32
HEAD_BYTES = 32
PAGE_TAGS = 4096
PAGE_BYTES = PAGE_TAGS * TAG_BYTES
INLINE_LIMIT = 32 << 20
"""Largest plain size whose tags stand in a header; above it they stand in a sidecar."""

_SMALLEST_CHUNK = 64 << 10
_INLINE_CHUNKS = 128
_NONCE_BYTES = 12
_FORMAT_VERSION = 1


def chunk_size(size: int) -> int:
    """Bytes per chunk of an object of *size* bytes: 65536, 131072 or 262144."""
    chunk = _SMALLEST_CHUNK
    if size > INLINE_LIMIT:
        return chunk
    while size > chunk * _INLINE_CHUNKS:
        chunk *= 2
    return chunk


def chunk_count(size: int) -> int:
    """Chunks, hence tags, of an object of *size* bytes; 0 for an empty one."""
    return -(-size // chunk_size(size))


def page_count(size: int) -> int:
    """Pages of tags of an object of *size* bytes."""
    return -(-chunk_count(size) // PAGE_TAGS)


@final
class ChunkTagger:
    """GMAC under K_tag: the tag of chunk i is bound to its bytes and to i.

    A call costs about 2 µs plus 15 µs per 64 KiB; tasks and threads may share one.
    """

    __slots__ = ("_gcm",)

    def __init__(self, key: DataKey, iv: bytes) -> None:
        self._gcm = AESGCM(key.tag_key(iv))

    def tag(self, index: int, stored: Buffer) -> bytes:
        """The 16-byte tag of chunk *index*, whose stored bytes (ciphertext) are *stored*."""
        return self._gcm.encrypt(index.to_bytes(_NONCE_BYTES, "big"), b"", stored)

    def check(self, index: int, stored: Buffer, tag: Buffer) -> None:
        """Raises IntegrityError unless *tag* is that of *stored* as chunk *index*."""
        if not hmac.compare_digest(self.tag(index, stored), bytes(tag)):
            raise IntegrityError(FAILED)

    def __repr__(self) -> str:
        return "<ChunkTagger>"


def page_hashes(tags: Buffer) -> bytes:
    """SHA-256 of each page of *tags* (all tags of the object in order), concatenated."""
    view = memoryview(tags)
    return b"".join(
        hashlib.sha256(view[start : start + PAGE_BYTES]).digest()
        for start in range(0, len(view), PAGE_BYTES)
    )


def tagsum(hashes: Buffer) -> bytes:
    """SHA-256 of all page hashes; of nothing for an empty object."""
    return hashlib.sha256(hashes).digest()


def tagsum_of(tags: Buffer) -> bytes:
    """The tagsum of all *tags* of an object."""
    return tagsum(page_hashes(tags))


def check_pages(hashes: Buffer, expected_tagsum: bytes) -> None:
    """Raises IntegrityError unless *hashes*, all page hashes, give the authenticated tagsum."""
    if not hmac.compare_digest(tagsum(hashes), expected_tagsum):
        raise IntegrityError(FAILED)


def check_page(tags: Buffer, expected_hash: Buffer) -> None:
    """Raises IntegrityError unless *tags* is the page with the authenticated *expected_hash*."""
    if not hmac.compare_digest(hashlib.sha256(tags).digest(), bytes(expected_hash)):
        raise IntegrityError(FAILED)


def make_head(key: DataKey, iv: bytes, *, file_type: int, size: int, tagsum: bytes) -> bytes:
    """HMAC-SHA256 under K_head over version, file type (st_mode >> 12), sizes and tagsum."""
    message = (
        bytes((_FORMAT_VERSION, file_type))
        + size.to_bytes(8, "big")
        + chunk_size(size).to_bytes(4, "big")
        + tagsum
    )
    return hmac.digest(key.head_key(iv), message, "sha256")


def head_matches(
    key: DataKey, iv: bytes, head: bytes, *, file_type: int, size: int, tagsum: bytes
) -> bool:
    """Whether *head* is the head of these facts under *key*: the test for a wrong master key."""
    return hmac.compare_digest(
        make_head(key, iv, file_type=file_type, size=size, tagsum=tagsum), head
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarLayout:
    """The sidecar of an object of *size* bytes: all page hashes, then all tags."""

    size: int

    @property
    def hashes_length(self) -> int:
        """Bytes of all page hashes, which begin at 0."""
        return page_count(self.size) * HASH_BYTES

    @property
    def total_length(self) -> int:
        """Bytes of the whole sidecar."""
        return self.hashes_length + chunk_count(self.size) * TAG_BYTES

    def page(self, index: int) -> tuple[int, int]:
        """Offset in the sidecar and length of the tags of page *index*."""
        before = index * PAGE_TAGS
        tags = min(PAGE_TAGS, chunk_count(self.size) - before)
        return self.hashes_length + before * TAG_BYTES, tags * TAG_BYTES


def sidecar_body(tags: Buffer) -> bytes:
    """The body of the sidecar of an object with these *tags*."""
    return page_hashes(tags) + bytes(tags)
