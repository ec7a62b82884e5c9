"""The seam to the object store: what `transfer` and `vfs` may ask for, and what comes back.

Two implementations: `oss.OssStore` over HTTP and `memory.MemoryStore`, as strict as OSS. One suite
(`tests/contract`) runs on both. One instance serves many tasks at once. Every method raises
subclasses of `errors.StoreError` and nothing else of its own; a request that is safe to repeat has
already been repeated when an `Unavailable` or `TimedOut` comes out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ossfs.types import Buffer, ETag, ObjectKey

WEB_HEADERS = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
)
"""Standard headers, besides the content type, that OSS keeps with an object and hands out again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEncryption:
    """Server-side encryption of one object.

    algorithm: `AES256`, `KMS` or `SM4`; key_id: only with KMS, as is data_algorithm (`SM4`), which
    says what the data key is for where that is not AES.
    """

    algorithm: str
    key_id: str | None = None
    data_algorithm: str | None = None

    @property
    def label(self) -> str:
        """`AES256`, `SM4`, `KMS` or `KMS:<key id>`, as people write it."""
        return f"{self.algorithm}:{self.key_id}" if self.key_id else self.algorithm


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """What OSS says of one stored version in the headers of HEAD and GET.

    size: bytes stored; modified_ns: Last-Modified in nanoseconds (whole seconds); crc64: of the
    stored bytes, None where the server does not say; metadata: the x-oss-meta- headers without that
    prefix, names in lower case; tagging_count: object tags on it; web_headers: those of
    `WEB_HEADERS` that it carries.
    """

    key: ObjectKey
    size: int
    etag: ETag
    modified_ns: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    crc64: int | None = None
    object_type: str = "Normal"
    storage_class: str = "Standard"
    version_id: str | None = None
    tagging_count: int = 0
    encryption: ServerEncryption | None = None
    content_type: str = ""
    web_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PutOptions:
    """What may accompany a new version (PutObject, InitiateMultipartUpload).

    metadata: names without the x-oss-meta- prefix; tags: the whole tag set of the new version;
    forbid_overwrite: raise AlreadyExists where the key is taken; acl: of the object's own, as
    `private`, which a multipart upload does not take; None for that of the bucket; web_headers:
    names out of `WEB_HEADERS`.
    """

    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    forbid_overwrite: bool = False
    encryption: ServerEncryption | None = None
    storage_class: str | None = None
    content_type: str = "application/octet-stream"
    web_headers: Mapping[str, str] = field(default_factory=dict)
    acl: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The answer to a write.

    crc64: of the stored bytes, None where the server does not say; encryption: that of the new
    version, which the bucket's own rule may have chosen, None where the server does not say.
    """

    etag: ETag
    crc64: int | None = None
    version_id: str | None = None
    encryption: ServerEncryption | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One uploaded part; number counts from 1."""

    number: int
    etag: ETag
    crc64: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEntry:
    """One object of a listing; carries no metadata, since OSS sends none."""

    key: ObjectKey
    size: int
    etag: ETag
    modified_ns: int
    object_type: str = "Normal"
    storage_class: str = "Standard"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """One page of a listing, in the byte order of UTF-8; next_token is None on the last page."""

    entries: Sequence[ListEntry]
    prefixes: Sequence[str]
    next_token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketInfo:
    """Facts of the bucket that a mount needs to know."""

    name: str
    location: str = ""
    storage_class: str = "Standard"
    versioning: str = ""
    encryption: ServerEncryption | None = None


class ObjectStore(Protocol):
    """One bucket."""

    async def head(self, key: ObjectKey) -> ObjectInfo:
        """HeadObject. Raises NotFound."""

    async def get(
        self,
        key: ObjectKey,
        *,
        start: int = 0,
        length: int | None = None,
        if_match: ETag | None = None,
    ) -> tuple[ObjectInfo, Buffer]:
        """Bytes [start, start + length) of the object, clipped at its end, and the headers.

        length None: up to the end, and with start 0 no Range header is sent (the only form that is
        right for an empty object). `info.size` is the size of the whole object. Sends
        `x-oss-range-behavior: standard`. Raises NotFound, Stale (if_match), RangeNotSatisfiable
        (start at or behind the end; length below 1).
        """

    async def put(self, key: ObjectKey, body: Buffer, options: PutOptions) -> Stored:
        """PutObject of at most 5 GiB; replaces what is there.

        Raises AlreadyExists (forbid_overwrite).
        """

    async def initiate_multipart(self, key: ObjectKey, options: PutOptions) -> str:
        """Returns the upload id. `options.forbid_overwrite` is checked here.

        At completion it is checked only if it is asked for there again.
        """

    async def put_part(self, key: ObjectKey, upload_id: str, number: int, body: Buffer) -> Part:
        """UploadPart; repeating it replaces the part.

        The store compares the CRC64 of what arrived, where the server says it, with that of *body*;
        a difference is Unavailable. Raises NoSuchUpload.
        """

    async def complete_multipart(
        self,
        key: ObjectKey,
        upload_id: str,
        parts: Sequence[Part],
        *,
        forbid_overwrite: bool = False,
    ) -> Stored:
        """Joins *parts* (in order of number).

        Raises NoSuchUpload (also when an earlier call got through), AlreadyExists.
        """

    async def abort_multipart(self, key: ObjectKey, upload_id: str) -> None:
        """Drops the parts; no error if the upload is gone."""

    async def copy(
        self,
        source: ObjectKey,
        target: ObjectKey,
        *,
        if_match: ETag | None = None,
        tags: Mapping[str, str] | None = None,
        encryption: ServerEncryption | None = None,
        storage_class: str | None = None,
        acl: str | None = None,
        forbid_overwrite: bool = False,
        once: bool = False,
    ) -> Stored:
        """CopyObject within the bucket, metadata copied as it is.

        tags: None copies the tag set, else it is replaced by these. encryption, storage_class and
        acl must be restated, since OSS does not inherit them. A copy onto itself would replace the
        metadata by nothing and is refused. once: not repeated, for who must look at *target* before
        each attempt; Unavailable and TimedOut then say nothing of whether it took effect. Raises
        NotFound, Stale (if_match), EntityTooLarge, AlreadyExists, RefusedByServer.
        """

    async def restate(self, key: ObjectKey, options: PutOptions, *, if_match: ETag) -> Stored:
        """CopyObject of an object onto itself: the same bytes and tags with other headers.

        It has those of *options* and nothing else afterwards, so whatever is to stay is stated
        again; `options.tags` and `options.forbid_overwrite` do not count. Raises NotFound, Stale,
        EntityTooLarge, and RefusedByServer for a client-side encrypted object, whose headers OSS
        does not change.
        """

    async def delete(self, key: ObjectKey) -> None:
        """DeleteObject; no error if it does not exist."""

    async def delete_many(self, keys: Sequence[ObjectKey]) -> None:
        """DeleteMultipleObjects, 1,000 keys a request; no error for those that do not exist.

        One that could not be deleted raises the error of the first of them; others may be gone.
        """

    async def list_page(
        self,
        prefix: str,
        *,
        delimiter: str = "",
        token: str | None = None,
        start_after: str = "",
        max_keys: int = 1000,
    ) -> ListPage:
        """ListObjectsV2, one page of at most max_keys (1..1000) keys and common prefixes."""

    async def get_tags(self, key: ObjectKey) -> dict[str, str]:
        """GetObjectTagging. Raises NotFound."""

    async def put_tags(self, key: ObjectKey, tags: Mapping[str, str]) -> None:
        """PutObjectTagging: replaces the whole set; an empty one deletes it. Raises NotFound."""

    async def get_acl(self, key: ObjectKey) -> str:
        """GetObjectACL: `default` (as the bucket's), `private`, `public-read`, `public-read-write`.

        Raises NotFound, AccessDenied.
        """

    async def bucket_info(self) -> BucketInfo:
        """GetBucketInfo. Raises NoSuchBucket, AccessDenied, BadCredentials."""
