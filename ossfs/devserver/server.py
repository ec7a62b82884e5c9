"""The embedded OSS: accepts connections, and takes each request from its head to its answer."""

import base64
import email.utils
import functools
import itertools
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import trio

from ossfs.devserver import (
    buckets,
    copying,
    listing,
    multipart,
    names,
    objects,
    routing,
    tagging,
)
from ossfs.devserver.auth import Authenticator
from ossfs.devserver.bodies import BodySlice
from ossfs.devserver.config import ServerConfig
from ossfs.devserver.documents import document, leaf
from ossfs.devserver.errors import OssError
from ossfs.devserver.exchange import Exchange
from ossfs.devserver.faults import FaultRule, Faults
from ossfs.devserver.journal import Journal, RequestRecord
from ossfs.devserver.routing import Target
from ossfs.devserver.storage import Store
from ossfs.devserver.throttle import Throttle
from ossfs.devserver.uploads import Uploads
from ossfs.devserver.wire import ClientGoneError, Connection, Head, Response
from ossfs.errors import UsageError

log = logging.getLogger(__name__)

_SKIPPED_BODY_BYTES = 5 << 30
_WITHOUT_BUCKET = frozenset({"ListBuckets", "PutBucket"})

Handler = Callable[[Exchange], Awaitable[Response]]
HANDLERS: dict[str, Handler] = {
    "AbortMultipartUpload": multipart.abort,
    "CompleteMultipartUpload": multipart.complete,
    "CopyObject": copying.copy_object,
    "DeleteBucket": buckets.delete_bucket,
    "DeleteMultipleObjects": buckets.delete_objects,
    "DeleteObject": objects.delete_object,
    "DeleteObjectTagging": tagging.delete_tags,
    "GetBucketInfo": buckets.get_bucket_info,
    "GetBucketLocation": buckets.get_bucket_location,
    "GetBucketStat": buckets.get_bucket_stat,
    "GetObject": objects.get_object,
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
    "PutObject": objects.put_object,
    "PutObjectTagging": tagging.put_tags,
    "PutSymlink": objects.put_symlink,
    "UploadPart": multipart.upload_part,
    "UploadPartCopy": copying.upload_part_copy,
}


class _CutError(Exception):
    """A fault rule ends the connection without an answer."""


@dataclass(slots=True, kw_only=True)
class _Asked:
    """A request on its way; what is not known yet is empty."""

    head: Head
    target: Target
    request_id: str
    operation: str = ""
    rules: list[FaultRule] = field(default_factory=list)


class Server:
    """One running server. Its methods must be called from its own trio thread."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.requests = Journal()
        self.faults = Faults(config.faults)
        self.endpoint = ""
        self.store = Store(config.root)
        self._uploads = Uploads(self.store)
        self._authenticator = Authenticator(config.credentials, config.region, config.clock)
        rate = config.bandwidth_mb * 1_000_000 if config.bandwidth_mb else None
        self._inbound, self._outbound = Throttle(rate), Throttle(rate)
        self._request_ids = _request_ids()

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
        """What is stored there. Raises KeyError."""
        item = self.store.object(bucket, key.encode())
        if item is None:
            raise KeyError(key)
        reading = self.store.bodies.read(item.segments, 0, item.size)
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

    # Connections and requests

    async def handle(self, stream: trio.SocketStream) -> None:
        """Serves one connection until either side ends it."""
        connection = Connection(stream, self._inbound, self._outbound)
        try:
            while (head := await connection.next_head()) is not None:
                if not await self._serve_request(connection, head):
                    break
        except (ClientGoneError, _CutError) as exc:
            log.debug("connection ended: %r", exc)
        except Exception:
            # Whatever fails here ends one connection, not the server.
            log.exception("a connection ended in the middle of an answer")
        finally:
            await trio.aclose_forcefully(stream)

    async def _serve_request(self, connection: Connection, head: Head) -> bool:
        """Answers one request; False if the connection must end."""
        asked = _Asked(
            head=head, target=routing.target_of(head), request_id=next(self._request_ids)
        )
        error = ""
        try:
            response = await self._answer(connection, asked)
        except OssError as refusal:
            response, error = _error_response(asked, refusal), refusal.code
        except (ClientGoneError, _CutError):
            self._record(asked, connection, None, "")
            raise
        try:
            return await self._respond(connection, asked, response, error)
        finally:
            response.close()

    async def _answer(self, connection: Connection, asked: _Asked) -> Response:
        try:
            asked.operation = routing.operation_of(asked.target)
        finally:
            # A fault rule may also name requests that have no operation.
            asked.rules = self.faults.of(asked.operation, asked.target.key)
        delay_ms = self.config.latency_ms + sum(rule.delay_ms for rule in asked.rules)
        if delay_ms:
            await trio.sleep(delay_ms / 1000)
        for rule in asked.rules:
            if rule.drop == "before":
                raise _CutError
            if refusal := rule.refusal():
                raise refusal
        self._authenticator.check(asked.target)
        return await self._perform(connection, asked)

    async def _perform(self, connection: Connection, asked: _Asked) -> Response:
        exchange = Exchange(
            operation=asked.operation,
            target=asked.target,
            head=asked.head,
            connection=connection,
            store=self.store,
            uploads=self._uploads,
            config=self.config,
            now=int(self.config.clock()),
        )
        if asked.operation not in _WITHOUT_BUCKET:
            exchange.existing_bucket(exchange.bucket)
        try:
            return await HANDLERS[asked.operation](exchange)
        except (OssError, ClientGoneError):
            raise
        except Exception:
            # Whatever fails here fails one request, not the server.
            log.exception("%s failed", asked.operation)
            raise OssError("InternalError") from None

    async def _respond(
        self, connection: Connection, asked: _Asked, response: Response, error: str
    ) -> bool:
        drained = await connection.skip_body(_SKIPPED_BODY_BYTES)
        if any(rule.drop == "after" for rule in asked.rules):
            self._record(asked, connection, None, "")
            raise _CutError
        response.headers.setdefault("Content-Length", str(response.length))
        if response.status in {204, 304}:
            del response.headers["Content-Length"]
        response.headers["x-oss-request-id"] = asked.request_id
        response.headers["Date"] = _http_date(int(self.config.clock()))
        response.headers["Server"] = "ossfs-devserver"
        cut_after = _damage(asked.rules, response)
        self._record(asked, connection, response, error)
        keep_alive = asked.head.keep_alive and drained and cut_after is None
        await connection.send(response, keep_alive=keep_alive, cut_after=cut_after)
        return keep_alive

    def _record(
        self, asked: _Asked, connection: Connection, response: Response | None, error: str
    ) -> None:
        sent = 0
        if response is not None and asked.head.method != "HEAD":
            sent = response.length
        self.requests.add(
            RequestRecord(
                operation=asked.operation,
                bucket=asked.target.bucket,
                key=asked.target.key,
                status=response.status if response else 0,
                received=connection.received,
                sent=sent,
                error=error,
            )
        )


@functools.lru_cache(maxsize=4)
def _http_date(seconds: int) -> str:
    return email.utils.formatdate(seconds, usegmt=True)


def _request_ids() -> Iterator[str]:
    start = secrets.token_hex(8).upper()
    return (f"{start}{number:08X}" for number in itertools.count(1))


def _error_response(asked: _Asked, refusal: OssError) -> Response:
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


def _damage(rules: list[FaultRule], response: Response) -> int | None:
    """Applies corrupt and truncate to the body of a GET; returns after how many bytes to cut."""
    cut_after = None
    if isinstance(response.body, BodySlice):
        for rule in rules:
            if rule.corrupt is not None:
                response.body.flip_bit(rule.corrupt)
            if rule.truncate is not None:
                cut_after = rule.truncate
    return cut_after


async def serve(
    config: ServerConfig,
    *,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves until cancelled; hands out the Server once it listens.

    Raises OSError if the address or the root directory is taken, UsageError for a bad fault rule.
    """
    server = Server(config)
    try:
        listeners = await trio.open_tcp_listeners(config.port, host=config.host)
        port = listeners[0].socket.getsockname()[1]
        host = f"[{config.host}]" if ":" in config.host else config.host
        server.endpoint = f"http://{host}:{port}"
        task_status.started(server)
        await trio.serve_listeners(server.handle, listeners)
    finally:
        server.store.close()
