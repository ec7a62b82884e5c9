"""Requests to one bucket: signed, sent, repeated where that is safe, refusals raised as errors."""

import logging
import ssl
import time
from collections.abc import Callable
from typing import TypeVar

import httpx
import trio

from ossfs import __version__
from ossfs.errors import BadCredentials, BucketError, StoreError, TimedOut, Unavailable
from ossfs.store import answer as answers
from ossfs.store.address import Address
from ossfs.store.answer import Answer
from ossfs.store.call import Call
from ossfs.store.credentials import Credentials, CredentialsProvider
from ossfs.store.retry import Course, Retry
from ossfs.store.signing import canonical_query, sign
from ossfs.store.signing_v1 import canonical_resource, sign_v1
from ossfs.store.transport import Body, body_of
from ossfs.store.xml import BadAnswer

log = logging.getLogger(__name__)

T = TypeVar("T")

_USER_AGENT = f"ossfs/{__version__}"
_CONNECT_SECONDS = 10.0
# Joining parts and copying may take the server a while before it says a word.
_SLOW_FACTOR = 4
# Parsing takes up to half a second per MiB, in which the event loop would stand still.
_INLINE_BYTES = 256 * 1024


class ChecksumMismatch(Unavailable):
    """The CRC64 of what was stored is not that of what was sent."""


class Client:
    """Sends calls; one instance serves many tasks."""

    def __init__(
        self,
        address: Address,
        *,
        region: str,
        credentials: CredentialsProvider,
        transport: httpx.AsyncBaseTransport,
        retry: Retry,
        timeout: float,
        signature: str = "v4",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """signature: "v4" or "v1"."""
        self._address = address
        self._region = region
        self._credentials = credentials
        self._transport = transport
        self._retry = retry
        self._timeout = timeout
        self._is_v1 = signature == "v1"
        self._clock = clock
        self._clock_offset = 0.0

    async def aclose(self) -> None:
        """Closes the transport."""
        await self._transport.aclose()

    async def call(
        self, call: Call, read: Callable[[Answer], T], course: Course | None = None
    ) -> T:
        """What *read* makes of the answer; BadAnswer out of it counts as a failed attempt.

        read: runs in a thread for a long document. course: filled in, for callers that must know
        whether an earlier attempt may have taken effect. Raises StoreError.
        """
        course = course or Course()
        while True:
            try:
                return await self._attempt(call, read, course)
            except StoreError as exc:
                if not self._is_worth_repeating(call, exc, course):
                    raise
                await self._wait(call, exc, course)

    async def _attempt(self, call: Call, read: Callable[[Answer], T], course: Course) -> T:
        course.asked_to_wait = 0.0
        answer = await self._send(call, course)
        if answer.status < 300:
            try:
                if not call.is_document or len(answer.body) <= _INLINE_BYTES:
                    return read(answer)
                return await trio.to_thread.run_sync(read, answer, abandon_on_cancel=True)
            except BadAnswer as exc:
                course.doubtful = True
                exc.status, exc.request_id = answer.status, answer.request_id
                raise
        error = answers.error_of(answer)
        if answer.status >= 500:
            course.doubtful = True
        course.asked_to_wait = answers.asked_to_wait(answer)
        if error.code == "RequestTimeTooSkewed" and not course.clock_corrected:
            course.clock_corrected = True
            self._clock_offset = answers.server_time(answer) - self._clock()
            log.warning("the clock differs from the server's by %.0f s", self._clock_offset)
            return await self._attempt(call, read, course)
        raise error

    def _is_worth_repeating(self, call: Call, exc: StoreError, course: Course) -> bool:
        if call.once or (isinstance(exc, ChecksumMismatch) and not call.repeatable):
            return False
        return exc.retryable and course.repetitions < self._retry.retries

    async def _wait(self, call: Call, exc: StoreError, course: Course) -> None:
        course.repetitions += 1
        seconds = self._retry.wait(course.repetitions, course.asked_to_wait)
        log.info(
            "%s repeated in %.1f s: %s, request id %s",
            call.operation,
            seconds,
            exc.code or type(exc).__name__,
            exc.request_id or "none",
        )
        await trio.sleep(seconds)  # back-off with jitter, or what the server asked for

    async def _send(self, call: Call, course: Course) -> Answer:
        request = await self._request(call)
        try:
            response = await self._transport.handle_async_request(request)
            body = await body_of(response)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as exc:
            raise _unreachable(exc) from exc
        except httpx.TimeoutException as exc:
            course.doubtful = True
            raise TimedOut(f"{self._address.origin.host}: {exc}") from exc
        except httpx.TransportError as exc:
            course.doubtful = True
            raise Unavailable(f"{self._address.origin.host}: {exc}") from exc
        headers = answers.header_texts(response.headers.raw)
        log.debug("%s: %d", call.operation, response.status_code)
        return Answer(status=response.status_code, headers=headers, body=body)

    async def _request(self, call: Call) -> httpx.Request:
        try:
            credentials = await self._credentials.get()
        except BucketError as exc:
            raise BadCredentials(str(exc)) from exc
        query = canonical_query(call.query)
        headers = self._signed(call, query, credentials)
        headers["host"] = self._address.host
        headers["accept-encoding"] = "identity"
        headers["user-agent"] = _USER_AGENT
        if call.body or call.method in {"PUT", "POST"}:
            headers["content-length"] = str(len(call.body))
        path = self._address.path(call.key)
        patience = self._timeout * (_SLOW_FACTOR if call.slow else 1)
        return httpx.Request(
            call.method,
            self._address.origin,
            headers=[(name.encode(), value.encode()) for name, value in headers.items()],
            stream=Body(call.body),
            extensions={
                "target": (f"{path}?{query}" if query else path).encode("ascii"),
                "timeout": {
                    "connect": min(_CONNECT_SECONDS, patience),
                    "read": patience,
                    "write": patience,
                    "pool": None,
                },
                "max_body": call.max_body,
                "repeatable": call.repeatable and not call.once,
            },
        )

    def _signed(self, call: Call, query: str, credentials: Credentials) -> dict[str, str]:
        when = self._clock() + self._clock_offset
        if self._is_v1:
            return sign_v1(
                credentials,
                method=call.method,
                resource=canonical_resource(self._address.bucket, call.key, call.query),
                headers=call.headers,
                when=when,
            )
        return sign(
            credentials,
            self._region,
            method=call.method,
            path=self._address.canonical_path(call.key),
            query=query,
            headers=call.headers,
            when=when,
        )


def _unreachable(exc: httpx.TransportError) -> StoreError:
    """A certificate or a version of TLS that is not accepted now will not be in a second either."""
    lasts = isinstance(exc, httpx.UnsupportedProtocol)
    if lasts or isinstance(exc.__cause__, ssl.SSLCertVerificationError):
        return StoreError(str(exc))
    return Unavailable(f"cannot reach {exc}")
