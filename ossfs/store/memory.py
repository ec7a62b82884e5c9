"""A bucket in memory, as strict as OSS: the twin of `oss.OssStore` for tests and benchmarks.

Every method decides and acts without an await after its first checkpoint, so that one call is
atomic, as one request to OSS is.
"""

import base64
import binascii
import hashlib
import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import fastcrc
import trio

from ossfs.errors import NotFound
from ossfs.store import rules
from ossfs.store.base import (
    BucketInfo,
    ListEntry,
    ListPage,
    ObjectInfo,
    Part,
    PutOptions,
    ServerEncryption,
    Stored,
)
from ossfs.store.memory_upload import Upload
from ossfs.store.refusal import refusal
from ossfs.types import Buffer, ETag, ObjectKey

_PUT_LIMIT = 5 * 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class _Version:
    """What is stored under one key."""

    info: ObjectInfo
    body: bytes
    tags: Mapping[str, str]
    acl: str = "default"


class MemoryStore:
    """An `ObjectStore` without a network.

    clock gives seconds since the epoch; copy_limit is the size above which CopyObject answers
    EntityTooLarge; encryption is the bucket's own default.
    """

    def __init__(
        self,
        bucket: str = "memory",
        *,
        clock: Callable[[], float] = time.time,
        put_limit: int = _PUT_LIMIT,
        copy_limit: int | None = None,
        encryption: ServerEncryption | None = None,
    ) -> None:
        self._bucket = bucket
        self._clock = clock
        self._put_limit = put_limit
        self._copy_limit = copy_limit
        self._encryption = encryption
        self._versions: dict[str, _Version] = {}
        # The order of str is that of code points, which is the byte order of UTF-8.
        self._keys: list[str] = []
        self._uploads: dict[str, Upload] = {}
        self._uploads_begun = 0

    async def head(self, key: ObjectKey) -> ObjectInfo:
        """HeadObject."""
        await trio.lowlevel.checkpoint()
        return self._version(key).info

    async def get(
        self,
        key: ObjectKey,
        *,
        start: int = 0,
        length: int | None = None,
        if_match: ETag | None = None,
    ) -> tuple[ObjectInfo, Buffer]:
        """GetObject with the range behaviour `standard`."""
        await trio.lowlevel.checkpoint()
        version = self._version(key)
        _check_match(version, if_match)
        if version.info.storage_class in rules.ARCHIVES:
            raise refusal(403, "InvalidObjectState", "the object is archived")
        if start == 0 and length is None:
            return version.info, version.body
        size = version.info.size
        if start < 0 or start >= size or (length is not None and length < 1):
            raise refusal(416, "InvalidRange", "the range is not satisfiable")
        end = size if length is None else min(start + length, size)
        return version.info, version.body[start:end]

    async def put(self, key: ObjectKey, body: Buffer, options: PutOptions) -> Stored:
        """PutObject."""
        await trio.lowlevel.checkpoint()
        if len(body) > self._put_limit:
            raise refusal(400, "EntityTooLarge", "above the limit of PutObject")
        self._check_options(key, options)
        self._check_free(key, options.forbid_overwrite)
        data = bytes(body)
        etag = ETag(hashlib.md5(data, usedforsecurity=False).hexdigest().upper())
        return self._store(key, data, etag, options, object_type="Normal")

    async def initiate_multipart(self, key: ObjectKey, options: PutOptions) -> str:
        """InitiateMultipartUpload."""
        await trio.lowlevel.checkpoint()
        self._check_options(key, options)
        self._check_free(key, options.forbid_overwrite)
        upload = Upload(key, replace(options, metadata=dict(options.metadata)))
        self._uploads_begun += 1
        upload_id = f"{self._uploads_begun:032X}"
        self._uploads[upload_id] = upload
        return upload_id

    async def put_part(self, key: ObjectKey, upload_id: str, number: int, body: Buffer) -> Part:
        """UploadPart."""
        await trio.lowlevel.checkpoint()
        if len(body) > self._put_limit:
            raise refusal(400, "EntityTooLarge", "above the limit of UploadPart")
        return self._upload(key, upload_id).put(number, body)

    async def complete_multipart(
        self,
        key: ObjectKey,
        upload_id: str,
        parts: Sequence[Part],
        *,
        forbid_overwrite: bool = False,
    ) -> Stored:
        """CompleteMultipartUpload."""
        await trio.lowlevel.checkpoint()
        upload = self._upload(key, upload_id)
        self._check_free(key, forbid_overwrite)
        body, etag = upload.join(parts)
        options = replace(upload.options, acl=None)
        stored = self._store(key, body, etag, options, object_type="Multipart")
        del self._uploads[upload_id]
        return stored

    async def abort_multipart(self, key: ObjectKey, upload_id: str) -> None:
        """AbortMultipartUpload."""
        await trio.lowlevel.checkpoint()
        rules.check_key(key)
        self._uploads.pop(upload_id, None)

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
        once: bool = False,  # noqa: ARG002 - nothing is repeated here
    ) -> Stored:
        """CopyObject with the metadata directive COPY."""
        await trio.lowlevel.checkpoint()
        rules.check_copy(source, target)
        rules.check_tags(tags or {})
        rules.check_server_side(encryption, storage_class)
        version = self._version(source)
        _check_match(version, if_match)
        self._check_free(target, forbid_overwrite)
        if self._copy_limit is not None and version.info.size > self._copy_limit:
            raise refusal(400, "EntityTooLarge", "above the limit of CopyObject")
        options = PutOptions(
            metadata=version.info.metadata,
            tags=version.tags if tags is None else tags,
            encryption=encryption,
            storage_class=storage_class,
            content_type=version.info.content_type,
            web_headers=version.info.web_headers,
            acl=acl,
        )
        return self._store(
            target, version.body, version.info.etag, options, object_type=version.info.object_type
        )

    async def restate(self, key: ObjectKey, options: PutOptions, *, if_match: ETag) -> Stored:
        """CopyObject of an object onto itself, with the metadata directive REPLACE."""
        await trio.lowlevel.checkpoint()
        version = self._version(key)
        self._check_options(key, options)
        _check_match(version, if_match)
        before = version.info
        if rules.is_client_encrypted(before.metadata):
            raise rules.envelope_error("421", "the headers of such an object cannot be changed")
        moves = (options.encryption, options.storage_class) != (
            before.encryption,
            before.storage_class,
        )
        if moves and self._copy_limit is not None and before.size > self._copy_limit:
            raise refusal(400, "EntityTooLarge", "above the limit of CopyObject")
        asked = replace(options, tags=version.tags, forbid_overwrite=False)
        return self._store(key, version.body, before.etag, asked, object_type=before.object_type)

    async def delete(self, key: ObjectKey) -> None:
        """DeleteObject."""
        await trio.lowlevel.checkpoint()
        self._remove(key)

    async def delete_many(self, keys: Sequence[ObjectKey]) -> None:
        """DeleteMultipleObjects."""
        await trio.lowlevel.checkpoint()
        for key in keys:
            rules.check_key(key)
        for key in keys:
            self._remove(key)

    async def list_page(
        self,
        prefix: str,
        *,
        delimiter: str = "",
        token: str | None = None,
        start_after: str = "",
        max_keys: int = 1000,
    ) -> ListPage:
        """ListObjectsV2."""
        await trio.lowlevel.checkpoint()
        if not 1 <= max_keys <= 1000:
            raise refusal(400, "InvalidArgument", "max-keys is 1..1000")
        at = max(bisect_left(self._keys, prefix), bisect_right(self._keys, start_after))
        if token is not None:
            at = max(at, self._behind_token(token, prefix, delimiter))
        entries: list[ListEntry] = []
        prefixes: list[str] = []
        last = ""
        while at < len(self._keys) and self._keys[at].startswith(prefix):
            if len(entries) + len(prefixes) == max_keys:
                return ListPage(entries=entries, prefixes=prefixes, next_token=_to_token(last))
            last = self._keys[at]
            cut = last.find(delimiter, len(prefix)) if delimiter else -1
            if cut < 0:
                entries.append(_entry(self._versions[last].info))
                at += 1
            else:
                last = last[: cut + len(delimiter)]
                prefixes.append(last)
                at = self._behind(last)
        return ListPage(entries=entries, prefixes=prefixes, next_token=None)

    async def get_tags(self, key: ObjectKey) -> dict[str, str]:
        """GetObjectTagging."""
        await trio.lowlevel.checkpoint()
        return dict(self._version(key).tags)

    async def put_tags(self, key: ObjectKey, tags: Mapping[str, str]) -> None:
        """PutObjectTagging, or DeleteObjectTagging for none."""
        await trio.lowlevel.checkpoint()
        version = self._version(key)
        rules.check_tags(tags)
        info = replace(version.info, tagging_count=len(tags))
        self._versions[key] = replace(version, info=info, tags=dict(tags))

    async def get_acl(self, key: ObjectKey) -> str:
        """GetObjectACL."""
        await trio.lowlevel.checkpoint()
        return self._version(key).acl

    async def bucket_info(self) -> BucketInfo:
        """GetBucketInfo."""
        await trio.lowlevel.checkpoint()
        return BucketInfo(name=self._bucket, location="oss-memory", encryption=self._encryption)

    def _version(self, key: str) -> _Version:
        version = self._versions.get(key)
        if version is not None:
            return version
        rules.check_key(key)
        raise NotFound("no such object", code="NoSuchKey", status=404)

    def _upload(self, key: ObjectKey, upload_id: str) -> Upload:
        upload = self._uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise refusal(404, "NoSuchUpload", "no such upload")
        return upload

    def _check_free(self, key: ObjectKey, forbid_overwrite: bool) -> None:
        if forbid_overwrite and key in self._versions:
            raise refusal(
                409, "FileAlreadyExists", "the object exists and overwriting is forbidden"
            )

    @staticmethod
    def _check_options(key: ObjectKey, options: PutOptions) -> None:
        rules.check_key(key)
        rules.check_metadata(options.metadata)
        rules.check_tags(options.tags)
        rules.check_envelope(options.metadata)
        rules.check_server_side(options.encryption, options.storage_class)

    def _store(
        self, key: ObjectKey, body: bytes, etag: ETag, options: PutOptions, *, object_type: str
    ) -> Stored:
        info = ObjectInfo(
            key=key,
            size=len(body),
            etag=etag,
            modified_ns=int(self._clock()) * 1_000_000_000,
            metadata={name.lower(): value for name, value in options.metadata.items()},
            crc64=fastcrc.crc64.xz(body),
            object_type=object_type,
            storage_class=options.storage_class or "Standard",
            tagging_count=len(options.tags),
            encryption=self._encrypted_by(options.encryption),
            content_type=options.content_type,
            web_headers=dict(options.web_headers),
        )
        if key not in self._versions:
            insort(self._keys, key)
        self._versions[key] = _Version(
            info=info, body=body, tags=dict(options.tags), acl=options.acl or "default"
        )
        return Stored(etag=etag, crc64=info.crc64, encryption=info.encryption)

    def _encrypted_by(self, asked: ServerEncryption | None) -> ServerEncryption | None:
        """What HEAD shows: KMS always with a key, the bucket's own if none was named."""
        encryption = asked or self._encryption
        if encryption is not None and encryption.algorithm == "KMS" and not encryption.key_id:
            return replace(encryption, key_id=f"{self._bucket}-own-key")
        return encryption

    def _remove(self, key: str) -> None:
        rules.check_key(key)
        if self._versions.pop(key, None) is not None:
            del self._keys[bisect_left(self._keys, key)]

    def _behind_token(self, token: str, prefix: str, delimiter: str) -> int:
        last = _from_token(token)
        if delimiter and len(last) > len(prefix) and last.endswith(delimiter):
            return self._behind(last)
        return bisect_right(self._keys, last)

    def _behind(self, prefix: str) -> int:
        """Index of the first key behind all those that begin with *prefix*."""
        return bisect_right(self._keys, prefix, key=lambda known: known[: len(prefix)])


def _check_match(version: _Version, if_match: ETag | None) -> None:
    if if_match is not None and if_match != version.info.etag:
        raise refusal(412, "PreconditionFailed", "the object has another ETag", ec="0017-00001001")


def _entry(info: ObjectInfo) -> ListEntry:
    return ListEntry(
        key=info.key,
        size=info.size,
        etag=info.etag,
        modified_ns=info.modified_ns,
        object_type=info.object_type,
        storage_class=info.storage_class,
    )


def _to_token(last: str) -> str:
    return base64.urlsafe_b64encode(last.encode()).decode()


def _from_token(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as exc:
        raise refusal(400, "InvalidArgument", "the continuation token is not valid") from exc
