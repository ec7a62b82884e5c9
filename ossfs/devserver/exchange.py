"""One request as a handler sees it, and what all handlers have in common."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import trio

from ossfs.devserver import names, sse
from ossfs.devserver.bodies import WrittenBody
from ossfs.devserver.config import Credential, ServerConfig
from ossfs.devserver.datakeys import NO_DATA_KEY, DataKey, DataKeys
from ossfs.devserver.documents import document
from ossfs.devserver.errors import OssError
from ossfs.devserver.routing import Target
from ossfs.devserver.sse import Encryption
from ossfs.devserver.storage import Store, StoredObject
from ossfs.devserver.uploads import Uploads
from ossfs.devserver.wire import Connection, Head, Response

STORAGE_CLASSES = frozenset({"Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive"})
ACLS = frozenset({"default", "private", "public-read", "public-read-write"})
ARCHIVED = frozenset({"Archive", "ColdArchive", "DeepColdArchive"})
_MAX_DOCUMENT_BYTES = 2 * 1024 * 1024
_WORTH_A_THREAD_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """An authenticated request with all that its handler needs.

    caller: who signed it; now: seconds since the epoch.
    """

    operation: str
    target: Target
    head: Head
    connection: Connection
    store: Store
    uploads: Uploads
    data_keys: DataKeys
    config: ServerConfig
    caller: Credential
    now: int

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self.target.bucket

    @property
    def query(self) -> Mapping[str, str]:
        """Decoded query parameters."""
        return self.target.query

    @property
    def headers(self) -> Mapping[str, str]:
        """Request headers, names in lower case."""
        return self.target.headers

    def key(self) -> bytes:
        """The key; raises OssError InvalidObjectName."""
        return names.key_bytes(self.target.key)

    def existing_bucket(self, name: str) -> None:
        """Raises OssError NoSuchBucket or InvalidBucketName."""
        names.check_bucket(name)
        if self.store.bucket(name) is None:
            raise OssError("NoSuchBucket", BucketName=name)

    def existing(self, bucket: str, key: bytes) -> StoredObject:
        """The object; raises OssError NoSuchKey."""
        found = self.store.object(bucket, key)
        if found is None:
            raise OssError("NoSuchKey", Key=key.decode())
        return found

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """A number in the query; raises OssError InvalidArgument outside of low..high."""
        text = self.query.get(name, "")
        if not text:
            return default
        if not (text.isascii() and text.isdecimal()) or not low <= int(text) <= high:
            raise OssError("InvalidArgument", f"Argument {name} must be between {low} and {high}.")
        return int(text)

    async def document(self) -> bytes:
        """The whole body of a request that carries a document, checked against its Content-MD5.

        Raises OssError EntityTooLarge or InvalidDigest.
        """
        body = await self.connection.read_body(_MAX_DOCUMENT_BYTES)
        expected = announced_md5(self.headers)
        if expected is not None and hashlib.md5(body, usedforsecurity=False).digest() != expected:
            raise OssError("InvalidDigest")
        return body

    async def write_body(self, data_key: DataKey) -> WrittenBody:
        """Streams the body to disk, encrypted by *data_key*. The caller owns the result.

        Raises OssError MissingContentLength, EntityTooLarge or InvalidDigest; then nothing is left.
        """
        length = self.head.content_length
        if length is None and not self.head.chunked:
            raise OssError("MissingContentLength")
        if length is not None and length > self.config.max_put_bytes:
            raise OssError("EntityTooLarge")
        expected = announced_md5(self.headers)
        writer = self.store.bodies.writer(data_key.clear)
        try:
            while (piece := await self.connection.next_piece()) is not None:
                if writer.size + len(piece) > self.config.max_put_bytes:
                    raise OssError("EntityTooLarge")
                if len(piece) < _WORTH_A_THREAD_BYTES:
                    writer.write(piece)
                else:
                    await trio.to_thread.run_sync(writer.write, piece)
            body = writer.finish()
            if expected is not None and body.md5 != expected:
                raise OssError("InvalidDigest")
        except BaseException:
            writer.discard()
            raise
        return body

    def forbid_overwrite(self, key: bytes) -> None:
        """Raises OssError FileAlreadyExists if the request wants a new object and there is one."""
        forbidden = self.headers.get("x-oss-forbid-overwrite", "").lower() == "true"
        if forbidden and self.store.object(self.bucket, key) is not None:
            raise OssError("FileAlreadyExists", ec="0026-00000012", Key=key.decode())

    def acl(self) -> str:
        """The ACL asked for; raises OssError InvalidArgument."""
        chosen = self.headers.get("x-oss-object-acl", "default")
        if chosen not in ACLS:
            raise OssError("InvalidArgument", "no such object access control exists")
        return chosen

    def encryption(self) -> Encryption | None:
        """How a new version is encrypted: as the request says, else as the bucket's rule does.

        Raises the OssErrors of `sse.requested` and `DataKeys.resolved`.
        """
        bucket = self.store.bucket(self.bucket)
        default = None if bucket is None else Encryption.of(bucket.encryption)
        chosen = sse.requested(self.headers) or default
        return None if chosen is None else self.data_keys.resolved(chosen)

    def new_data_key(self, encryption: Encryption | None) -> DataKey:
        """The data key of a new version. Raises the OssErrors of `DataKeys.wrap`."""
        return self.data_keys.wrap(encryption, self.caller) if encryption else NO_DATA_KEY

    def data_key(self, wrapped: str) -> DataKey:
        """The data key of what is stored. Raises the OssErrors of `DataKeys.unwrap`."""
        return self.data_keys.unwrap(wrapped, self.caller)

    def storage_class(self) -> str:
        """The storage class asked for; raises OssError InvalidArgument."""
        chosen = self.headers.get("x-oss-storage-class", "Standard")
        if chosen not in STORAGE_CLASSES:
            raise OssError("InvalidArgument", "The storage class is invalid.")
        return chosen


def announced_md5(headers: Mapping[str, str]) -> bytes | None:
    """The digest in Content-MD5, None without one. Raises OssError InvalidDigest."""
    value = headers.get("content-md5")
    if value is None:
        return None
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise OssError("InvalidDigest") from None
    if len(digest) != 16:
        raise OssError("InvalidDigest")
    return digest


def xml_response(root: str, *children: str) -> Response:
    """A document with status 200."""
    return Response(headers={"Content-Type": "application/xml"}, body=document(root, children))
