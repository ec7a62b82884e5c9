"""What was asked of the server, for tests that count."""

import threading
from collections import deque
from dataclasses import dataclass

_KEPT = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One request that was answered, or cut by a fault rule (status 0).

    operation: the vendor's name of it, "" if it has none; received, sent: bytes of the bodies, of a
    HEAD none; error: the code of the error document, "" without one.
    """

    operation: str
    bucket: str
    key: str
    status: int
    received: int
    sent: int
    error: str = ""


class Journal:
    """The latest 100,000 requests in the order of their answers; may be read from any thread.

    A record is there before the client has the answer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: deque[RequestRecord] = deque(maxlen=_KEPT)

    def add(self, record: RequestRecord) -> None:
        """Appends one record."""
        with self._lock:
            self._records.append(record)

    def all(self) -> list[RequestRecord]:
        """A copy of everything."""
        with self._lock:
            return list(self._records)

    def of(self, operation: str, key: str | None = None) -> list[RequestRecord]:
        """The requests of one operation, of one key if given."""
        return [
            record
            for record in self.all()
            if record.operation == operation and key in {None, record.key}
        ]

    def count(self, operation: str, key: str | None = None) -> int:
        """How many such requests there were."""
        return len(self.of(operation, key))

    def clear(self) -> None:
        """Starts over."""
        with self._lock:
            self._records.clear()
