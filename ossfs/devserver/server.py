"""The embedded OSS: its operations, and what it shows to tests and to the command."""

import base64
import contextlib
import itertools
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from ossfs.devserver import (
    acls,
    buckets,
    copying,
    encryption,
    listing,
    multipart,
    names,
    objects,
    routing,
    sse,
    tagging,
    tls,
)
from ossfs.devserver.auth import Authenticator
from ossfs.devserver.bodies import BodySlice
from ossfs.devserver.config import Credential, ServerConfig
from ossfs.devserver.datakeys import DataKeys
from ossfs.devserver.documents import document, leaf
from ossfs.devserver.errors import OssError, Refusal
from ossfs.devserver.exchange import Exchange
from ossfs.devserver.faults import FaultRule, Faults
from ossfs.devserver.kms.server import KmsServer
from ossfs.devserver.masters import Masters
from ossfs.devserver.routing import Target
from ossfs.devserver.service import Asked, Service
from ossfs.devserver.storage import Store
from ossfs.devserver.tls import Tls
from ossfs.devserver.uploads import Uploads
from ossfs.devserver.wire import ClientGoneError, Connection, Head, Response
from ossfs.errors import UsageError

log = logging.getLogger(__name__)

_WITHOUT_BUCKET = frozenset({"ListBuckets", "PutBucket"})

Handler = Callable[[Exchange], Awaitable[Response]]
HANDLERS: dict[str, Handler] = {
    "AbortMultipartUpload": multipart.abort,
    "CompleteMultipartUpload": multipart.complete,
    "CopyObject": copying.copy_object,
    "DeleteBucket": buckets.delete_bucket,
    "DeleteBucketEncryption": encryption.delete_rule,
    "DeleteMultipleObjects": buckets.delete_objects,
    "DeleteObject": objects.delete_object,
    "DeleteObjectTagging": tagging.delete_tags,
    "GetBucketAcl": acls.get_bucket_acl,
    "GetBucketEncryption": encryption.get_rule,
    "GetBucketInfo": buckets.get_bucket_info,
    "GetBucketLocation": buckets.get_bucket_location,
    "GetBucketStat": buckets.get_bucket_stat,
    "GetObject": objects.get_object,
    "GetObjectACL": acls.get_object_acl,
    "GetObjectMeta": objects.get_object_meta,
    "GetObjectTagging": tagging.get_tags,
    "GetSymlink": objects.get_symlink,
    "HeadObject": objects.head_object,
    "InitiateMultipartUpload": multipart.initiate,
    "ListBuckets": buckets.list_buckets,
    "ListMultipartUploads": listing.list_multipart_uploads,
    "ListObjects": listing.list_objects,
    "ListObjectsV2": listing.list_objects_v2,
    "ListParts": multipart.list_parts,
    "PutBucket": buckets.put_bucket,
    "PutBucketEncryption": encryption.put_rule,
    "PutObject": objects.put_object,
    "PutObjectACL": acls.put_object_acl,
    "PutObjectTagging": tagging.put_tags,
    "PutSymlink": objects.put_symlink,
    "UploadPart": multipart.upload_part,
    "UploadPartCopy": copying.upload_part_copy,
}


@dataclass(slots=True, kw_only=True)
class _OssAsked(Asked):
    """A request on its way, with what it addresses."""

    target: Target


class Server(Service[_OssAsked]):
    """One running server. Its methods must be called from its own trio thread."""

    request_id_header = "x-oss-request-id"

    def __init__(self, config: ServerConfig) -> None:
        super().__init__(config, faults=Faults(config.faults), latency_ms=config.latency_ms)
        kms_faults = Faults(config.kms_faults)
        with contextlib.ExitStack() as opened:
            self.store = Store(config.root)
            opened.callback(self.store.close)
            self.masters = Masters(config.root / "sse" / "masters.json", config.clock)
            self.kms = KmsServer(config, kms_faults)
            opened.pop_all()
        self.ca_bundle: Path | None = None
        self._data_keys = DataKeys(self.masters, self.kms)
        self._uploads = Uploads(self.store)
        self._authenticator = Authenticator(config.credentials, config.region, config.clock)

    def close(self) -> None:
        """Lets go of the root directory."""
        self.kms.close()
        self.store.close()

    # What tests and the command look at

    def create_bucket(self, name: str) -> None:
        """Makes a bucket unless it exists. Raises UsageError if OSS allows no such name."""
        if not names.is_bucket_name(name):
            raise UsageError(f"{name!r} is no bucket name: 3 to 63 of a-z, 0-9 and -")
        self.store.create_bucket(name, int(self.config.clock()))

    def keys(self, bucket: str) -> list[str]:
        """All keys of the bucket in the order of their bytes."""
        found = self.store.scan(bucket, b"", None, -1)
        return [item.key.decode("utf-8", "surrogateescape") for item in found]

    def object_bytes(self, bucket: str, key: str) -> bytes:
        """What a client that may do everything reads there. Raises KeyError."""
        item = self.store.object(bucket, key.encode())
        if item is None:
            raise KeyError(key)
        data_key = self._data_keys.unwrap(item.data_key, Credential(secret=""))
        reading = self.store.bodies.read(item.segments, 0, item.size, data_key.clear)
        try:
            return b"".join(reading.pieces())
        finally:
            reading.close()

    def object_headers(self, bucket: str, key: str) -> dict[str, str]:
        """The headers stored with it, names in lower case. Raises KeyError."""
        item = self.store.object(bucket, key.encode())
        if item is None:
            raise KeyError(key)
        return dict(item.headers)

    # Requests

    def request_ids(self) -> Iterator[str]:
        """A random start and a counter."""
        start = secrets.token_hex(8).upper()
        return (f"{start}{number:08X}" for number in itertools.count(1))

    def ask(self, connection: Connection, head: Head, request_id: str) -> _OssAsked:
        """Makes the record of a request."""
        target = routing.target_of(head)
        return _OssAsked(
            connection=connection,
            head=head,
            request_id=request_id,
            bucket=target.bucket,
            key=target.key,
            target=target,
        )

    async def identify(self, asked: _OssAsked) -> None:
        """The operation is in the request line. Raises OssError."""
        asked.operation = routing.operation_of(asked.target)

    def refusal_of(self, rule: FaultRule) -> OssError | None:
        """The error a fault rule answers with."""
        return rule.refusal()

    async def perform(self, asked: _OssAsked) -> Response:
        """Checks the signature and does what is asked. Raises OssError."""
        caller = self._authenticator.check(asked.target)
        if asked.operation not in sse.TAKEN_BY:
            sse.refuse(asked.target.headers)
        exchange = Exchange(
            operation=asked.operation,
            target=asked.target,
            head=asked.head,
            connection=asked.connection,
            store=self.store,
            uploads=self._uploads,
            data_keys=self._data_keys,
            config=self.config,
            caller=caller,
            now=int(self.config.clock()),
        )
        if asked.operation not in _WITHOUT_BUCKET:
            exchange.existing_bucket(exchange.bucket)
        try:
            return await HANDLERS[asked.operation](exchange)
        except (OssError, ClientGoneError):
            raise
        except Exception:  # whatever fails here fails one request, not the server
            log.exception("%s failed", asked.operation)
            raise OssError("InternalError") from None

    def refuse(self, asked: _OssAsked, refusal: Refusal) -> Response:
        """The error document, or its form for HEAD."""
        if not isinstance(refusal, OssError):
            raise TypeError("the OSS service refuses with OssError")
        return _error_response(asked, refusal)

    def damage(self, rules: list[FaultRule], response: Response) -> int | None:
        """Acts on the body of a GET only."""
        cut_after = None
        if isinstance(response.body, BodySlice):
            for rule in rules:
                if rule.corrupt is not None:
                    response.body.flip_bit(rule.corrupt)
                if rule.truncate is not None:
                    cut_after = rule.truncate
        return cut_after


def _error_response(asked: Asked, refusal: OssError) -> Response:
    if refusal.status == 304:
        return Response(status=304, headers=dict(refusal.details))
    facts = [
        leaf("Code", refusal.code),
        leaf("Message", refusal.message),
        leaf("RequestId", asked.request_id),
        leaf("HostId", asked.head.headers.get("host", "")),
    ]
    if refusal.ec:
        facts.append(leaf("EC", refusal.ec))
    facts += [leaf(name, value) for name, value in refusal.details.items()]
    body = document("Error", facts)
    headers = {"Content-Type": "application/xml"}
    if refusal.ec:
        headers["x-oss-ec"] = refusal.ec
    if asked.head.method == "HEAD":
        headers["x-oss-err"] = base64.b64encode(body).decode()
        body = b""
    return Response(status=refusal.status, headers=headers, body=body)


_Listeners = Sequence[trio.abc.Listener[trio.abc.Stream]]


async def _listen(
    stack: contextlib.AsyncExitStack, host: str, port: int, secure: Tls | None
) -> tuple[_Listeners, str]:
    """Listeners that end with *stack*, and the URL they have. Raises OSError."""
    listeners = await trio.open_tcp_listeners(port, host=host)
    for listener in listeners:
        await stack.enter_async_context(listener)
    bound = listeners[0].socket.getsockname()[1]
    address = f"{f'[{host}]' if ':' in host else host}:{bound}"
    if secure is None:
        return listeners, f"http://{address}"
    # Each connection shakes hands in its own task, when it is first read from.
    wrapped = [
        trio.SSLListener(listener, secure.context, https_compatible=True) for listener in listeners
    ]
    return wrapped, f"https://{address}"


async def serve(
    config: ServerConfig,
    *,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves until cancelled; hands out the Server once it listens.

    Raises OSError if the address or the root directory is taken, UsageError for a bad fault rule
    or certificate.
    """
    async with contextlib.AsyncExitStack() as stack:
        server = Server(config)
        stack.callback(server.close)
        secure = tls.prepare(config, config.tls) if config.tls else None
        server.ca_bundle = secure.ca_bundle if secure else None
        listeners, server.endpoint = await _listen(stack, config.host, config.port, secure)
        for_keys, server.kms.endpoint = await _listen(stack, config.host, config.kms_port, secure)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, server.handle, list(listeners))
            nursery.start_soon(trio.serve_listeners, server.kms.handle, list(for_keys))
            task_status.started(server)
