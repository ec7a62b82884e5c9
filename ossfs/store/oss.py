"""A bucket of Alibaba Cloud OSS over HTTP: one method per operation of the seam.

Writes that forbid overwriting, and the completion of an upload, cannot simply be repeated: after an
attempt that may have got through, the refusal of the next one may be our own doing. Such a refusal
is settled by looking at what stands there now.
"""

import contextlib
import hashlib
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import httpx
import trio

from ossfs.errors import AlreadyExists, NoSuchUpload, NotFound, RangeNotSatisfiable, StoreError
from ossfs.store import answer as answers
from ossfs.store import call as calls
from ossfs.store import rules, xml
from ossfs.store.address import address_of
from ossfs.store.administration import Administration
from ossfs.store.answer import Answer
from ossfs.store.base import (
    BucketInfo,
    ListPage,
    ObjectInfo,
    Part,
    PutOptions,
    ServerEncryption,
    Stored,
)
from ossfs.store.client import ChecksumMismatch, Client
from ossfs.store.crc64 import crc64_of
from ossfs.store.credentials import CredentialsProvider
from ossfs.store.pending import Expected, PendingUploads
from ossfs.store.retry import Course, Retry
from ossfs.store.transport import Transport
from ossfs.types import Buffer, ETag, ObjectKey


class OssStore:
    """An `ObjectStore` over HTTP, for many tasks at once. End it with `aclose`.

    region: as cn-hangzhou; endpoint: scheme://host[:port], None for the public one of the region;
    path_style None: where the endpoint is an IP address or localhost; tls None: verified with the
    system's certificates; timeout: seconds without a byte moving; retries: of each request;
    signature: "v4" or "v1". administration: what only commands ask for.
    """

    def __init__(
        self,
        bucket: str,
        *,
        region: str,
        credentials: CredentialsProvider,
        endpoint: str | None = None,
        path_style: bool | None = None,
        tls: ssl.SSLContext | None = None,
        timeout: float = 60.0,
        retries: int = 5,
        max_connections: int = 64,
        signature: str = "v4",
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bucket = bucket
        self._uploads = PendingUploads()
        self._client = Client(
            address_of(bucket, region=region, endpoint=endpoint, path_style=path_style),
            region=region,
            credentials=credentials,
            transport=transport or Transport(tls=tls, max_connections=max_connections),
            retry=Retry(retries=retries),
            timeout=timeout,
            signature=signature,
            clock=clock,
        )
        self.administration = Administration(self._client)

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._client.aclose()

    async def head(self, key: ObjectKey) -> ObjectInfo:
        """HeadObject."""
        rules.check_key(key)

        def read(answer: Answer) -> ObjectInfo:
            return answers.object_info(key, answer.headers, answers.announced_size(answer))

        return await self._client.call(calls.head(key), read)

    async def get(
        self,
        key: ObjectKey,
        *,
        start: int = 0,
        length: int | None = None,
        if_match: ETag | None = None,
    ) -> tuple[ObjectInfo, Buffer]:
        """GetObject."""
        rules.check_key(key)
        if start < 0 or (length is not None and length < 1):
            raise RangeNotSatisfiable("the range is not satisfiable")

        def read(answer: Answer) -> tuple[ObjectInfo, Buffer]:
            return answers.content(key, answer, start, length)

        return await self._client.call(calls.get(key, start, length, if_match), read)

    async def put(self, key: ObjectKey, body: Buffer, options: PutOptions) -> Stored:
        """PutObject."""
        rules.check_key(key)
        crc64 = await crc64_of(body)
        call = calls.put(key, body, options)
        course = Course()
        try:
            return await self._client.call(call, lambda answer: _checked(answer, crc64), course)
        except ChecksumMismatch:
            if call.repeatable:
                raise
            # The name is ours now, but what stands there is not what was sent.
            return await self.put(key, body, replace(options, forbid_overwrite=False))
        except AlreadyExists as exc:
            if not course.doubtful:
                raise
            etag = await trio.to_thread.run_sync(_etag_of, body)
            expected = Expected(size=len(body), crc64=crc64, metadata=options.metadata, etag=etag)
            return await self._settled(key, expected, course, exc)

    async def initiate_multipart(self, key: ObjectKey, options: PutOptions) -> str:
        """InitiateMultipartUpload."""
        rules.check_key(key)

        def read(answer: Answer) -> tuple[str, ServerEncryption | None]:
            return xml.parse_initiate(answer.body), answers.encryption_of(answer.headers)

        upload_id, encryption = await self._client.call(calls.initiate(key, options), read)
        self._uploads.begin(upload_id, options.metadata, encryption)
        return upload_id

    async def put_part(self, key: ObjectKey, upload_id: str, number: int, body: Buffer) -> Part:
        """UploadPart."""
        rules.check_key(key)
        crc64 = await crc64_of(body)
        written = await self._client.call(
            calls.put_part(key, upload_id, number, body), lambda answer: _checked(answer, crc64)
        )
        self._uploads.sent(upload_id, number, len(body), crc64)
        return Part(number=number, etag=written.etag, crc64=crc64)

    async def complete_multipart(
        self,
        key: ObjectKey,
        upload_id: str,
        parts: Sequence[Part],
        *,
        forbid_overwrite: bool = False,
    ) -> Stored:
        """CompleteMultipartUpload."""
        rules.check_key(key)
        expected = self._uploads.expected(upload_id, parts)

        def read(answer: Answer) -> Stored:
            result = answers.stored(answer, xml.parse_complete(answer.body))
            if expected is not None and result.crc64 not in {None, expected.crc64}:
                raise ChecksumMismatch("the joined parts are not what was sent")
            return result

        call = calls.complete(key, upload_id, parts, forbid_overwrite=forbid_overwrite)
        course = Course()
        try:
            result = await self._client.call(call, read, course)
        except (AlreadyExists, NoSuchUpload) as exc:
            result = await self._settled(key, expected, course, exc)
        if result.encryption is None:
            # Encryption is a matter of the beginning, and not every server repeats it at the end.
            result = replace(result, encryption=self._uploads.encryption(upload_id))
        self._uploads.end(upload_id)
        return result

    async def abort_multipart(self, key: ObjectKey, upload_id: str) -> None:
        """AbortMultipartUpload."""
        rules.check_key(key)
        self._uploads.end(upload_id)
        with contextlib.suppress(NoSuchUpload):
            await self._client.call(calls.abort(key, upload_id), _nothing)

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
        """CopyObject."""
        rules.check_copy(source, target)
        call = calls.copy(
            self._bucket,
            source,
            target,
            if_match=if_match,
            tags=tags,
            encryption=encryption,
            storage_class=storage_class,
            acl=acl,
            forbid_overwrite=forbid_overwrite,
            once=once,
        )
        course = Course()
        try:
            return await self._client.call(
                call, lambda answer: answers.stored(answer, xml.parse_copy(answer.body)), course
            )
        except AlreadyExists as exc:
            if not course.doubtful:
                raise
            found = await self.head(source)
            expected = Expected(
                size=found.size, crc64=found.crc64, metadata=found.metadata, etag=found.etag
            )
            return await self._settled(target, expected, course, exc)

    async def restate(self, key: ObjectKey, options: PutOptions, *, if_match: ETag) -> Stored:
        """CopyObject of an object onto itself."""
        rules.check_key(key)
        return await self._client.call(
            calls.restate(self._bucket, key, options, if_match=if_match),
            lambda answer: answers.stored(answer, xml.parse_copy(answer.body)),
        )

    async def delete(self, key: ObjectKey) -> None:
        """DeleteObject."""
        rules.check_key(key)
        await self._client.call(calls.delete(key), _nothing)

    async def delete_many(self, keys: Sequence[ObjectKey]) -> None:
        """DeleteMultipleObjects."""
        for key in keys:
            rules.check_key(key)
        for call in calls.delete_many(keys):
            await self._client.call(call, answers.check_deleted)

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
        call = calls.list_page(
            prefix, delimiter=delimiter, token=token, start_after=start_after, max_keys=max_keys
        )
        return await self._client.call(call, lambda answer: xml.parse_list(answer.body))

    async def get_tags(self, key: ObjectKey) -> dict[str, str]:
        """GetObjectTagging."""
        rules.check_key(key)
        return await self._client.call(
            calls.get_tags(key), lambda answer: xml.parse_tags(answer.body)
        )

    async def put_tags(self, key: ObjectKey, tags: Mapping[str, str]) -> None:
        """PutObjectTagging, or DeleteObjectTagging for none."""
        rules.check_key(key)
        await self._client.call(calls.put_tags(key, tags), _nothing)

    async def get_acl(self, key: ObjectKey) -> str:
        """GetObjectACL."""
        return (await self.administration.acl(key)).grant

    async def bucket_info(self) -> BucketInfo:
        """GetBucketInfo."""
        return await self._client.call(
            calls.bucket_info(), lambda answer: xml.parse_bucket_info(answer.body)
        )

    async def _settled(
        self, key: ObjectKey, expected: Expected | None, course: Course, refusal: StoreError
    ) -> Stored:
        """What stands at *key* if an earlier attempt of the call put it there; else raises.

        Raises *refusal* itself where that is not so, another StoreError where it cannot be known.
        """
        if not course.doubtful or expected is None:
            raise refusal
        try:
            info = await self.head(key)
        except NotFound:
            raise refusal from None
        if not expected.is_met_by(info):
            raise refusal
        return Stored(
            etag=info.etag,
            crc64=info.crc64,
            version_id=info.version_id,
            encryption=info.encryption,
        )


def _etag_of(body: Buffer) -> ETag:
    """The ETag that PutObject gives to an object of these bytes."""
    return ETag(hashlib.md5(body, usedforsecurity=False).hexdigest().upper())


def _nothing(_answer: Answer) -> None:
    """For answers that say no more than that all went well."""


def _checked(answer: Answer, crc64: int) -> Stored:
    """The answer to a write of bytes with that CRC64. Raises ChecksumMismatch."""
    result = answers.stored(answer)
    if result.crc64 not in {None, crc64}:
        raise ChecksumMismatch("what was stored is not what was sent", status=answer.status)
    return result
