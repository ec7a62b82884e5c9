"""What both embedded services do alike: each request from its head to its answer.

Faults and latency act here, before the service looks at the request; every request that is answered
or cut ends up in the journal.
"""

import email.utils
import functools
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import trio

from ossfs.devserver.config import ServerConfig
from ossfs.devserver.errors import Refusal
from ossfs.devserver.faults import FaultRule, Faults
from ossfs.devserver.journal import Journal, RequestRecord
from ossfs.devserver.throttle import Throttle
from ossfs.devserver.wire import ClientGoneError, Connection, Head, Response

log = logging.getLogger(__name__)

_SKIPPED_BODY_BYTES = 5 << 30


class _CutError(Exception):
    """A fault rule ends the connection without an answer."""


@dataclass(slots=True, kw_only=True)
class Asked:
    """A request on its way; what is not known yet is empty."""

    connection: Connection
    head: Head
    request_id: str
    operation: str = ""
    bucket: str = ""
    key: str = ""
    rules: list[FaultRule] = field(default_factory=list)


A = TypeVar("A", bound=Asked)


class Service(ABC, Generic[A]):
    """One HTTP service with its journal and faults. All its methods run in one trio thread."""

    request_id_header: str
    """Name of the header that carries the number of the request."""

    def __init__(self, config: ServerConfig, *, faults: Faults, latency_ms: float) -> None:
        self.config = config
        self.requests = Journal()
        self.faults = faults
        self.endpoint = ""
        self._latency_ms = latency_ms
        rate = config.bandwidth_mb * 1_000_000 if config.bandwidth_mb else None
        self._inbound, self._outbound = Throttle(rate), Throttle(rate)
        self._request_ids = self.request_ids()

    @abstractmethod
    def request_ids(self) -> Iterator[str]:
        """Numbers for the requests, in the form this service has."""

    @abstractmethod
    def ask(self, connection: Connection, head: Head, request_id: str) -> A:
        """Makes the record of a request; fails at nothing a client may send."""

    @abstractmethod
    async def identify(self, asked: A) -> None:
        """Finds out which operation on which key is asked for. Raises Refusal."""

    @abstractmethod
    async def perform(self, asked: A) -> Response:
        """Checks the signature and does what is asked. Raises Refusal."""

    @abstractmethod
    def refuse(self, asked: A, refusal: Refusal) -> Response:
        """The answer that says why not."""

    @abstractmethod
    def refusal_of(self, rule: FaultRule) -> Refusal | None:
        """The error a fault rule answers with, if it does."""

    @abstractmethod
    def damage(self, rules: list[FaultRule], response: Response) -> int | None:
        """Applies corrupt and truncate to an answer; returns after how many bytes to cut."""

    async def handle(self, stream: trio.abc.Stream) -> None:
        """Serves one connection until either side ends it."""
        connection = Connection(stream, self._inbound, self._outbound)
        try:
            while (head := await connection.next_head()) is not None:
                if not await self._serve_request(connection, head):
                    break
        except (ClientGoneError, _CutError) as exc:
            log.debug("connection ended: %r", exc)
        except Exception:  # whatever fails here ends one connection, not the server
            log.exception("a connection ended in the middle of an answer")
        finally:
            await trio.aclose_forcefully(stream)

    async def _serve_request(self, connection: Connection, head: Head) -> bool:
        """Answers one request; False if the connection must end."""
        asked = self.ask(connection, head, next(self._request_ids))
        error = ""
        try:
            response = await self._answer(asked)
        except Refusal as refusal:
            response, error = self.refuse(asked, refusal), refusal.code
        except (ClientGoneError, _CutError):
            self._record(asked, None, "")
            raise
        try:
            return await self._respond(asked, response, error)
        finally:
            response.close()

    async def _answer(self, asked: A) -> Response:
        try:
            await self.identify(asked)
        finally:
            # A fault rule may also name requests that have no operation.
            asked.rules = self.faults.of(asked.operation, asked.key)
        delay_ms = self._latency_ms + sum(rule.delay_ms for rule in asked.rules)
        if delay_ms:
            await trio.sleep(delay_ms / 1000)  # the latency that was asked for
        for rule in asked.rules:
            if rule.drop == "before":
                raise _CutError
            if refusal := self.refusal_of(rule):
                raise refusal
        return await self.perform(asked)

    async def _respond(self, asked: A, response: Response, error: str) -> bool:
        drained = await asked.connection.skip_body(_SKIPPED_BODY_BYTES)
        if any(rule.drop == "after" for rule in asked.rules):
            self._record(asked, None, "")
            raise _CutError
        response.headers.setdefault("Content-Length", str(response.length))
        if response.status in {204, 304}:
            del response.headers["Content-Length"]
        response.headers[self.request_id_header] = asked.request_id
        response.headers["Date"] = _http_date(int(self.config.clock()))
        response.headers["Server"] = "ossfs-devserver"
        cut_after = self.damage(asked.rules, response)
        self._record(asked, response, error)
        keep_alive = asked.head.keep_alive and drained and cut_after is None
        await asked.connection.send(response, keep_alive=keep_alive, cut_after=cut_after)
        return keep_alive

    def _record(self, asked: A, response: Response | None, error: str) -> None:
        sent = 0
        if response is not None and asked.head.method != "HEAD":
            sent = response.length
        self.requests.add(
            RequestRecord(
                operation=asked.operation,
                bucket=asked.bucket,
                key=asked.key,
                status=response.status if response else 0,
                received=asked.connection.received,
                sent=sent,
                error=error,
            )
        )


@functools.lru_cache(maxsize=4)
def _http_date(seconds: int) -> str:
    return email.utils.formatdate(seconds, usegmt=True)
