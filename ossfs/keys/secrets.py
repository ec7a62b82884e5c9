"""A bounded memory of unwrapped secrets, by the wrapped bytes they came from."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import final


@final
class SecretCache:
    """At most *limit* secrets, each for *seconds* after it came in; the least used one goes first.

    Wrapped bytes are kept as their hash, which is shorter. clock: seconds, never going back.
    """

    def __init__(self, *, limit: int, seconds: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._seconds = seconds
        self._clock = clock
        self._entries: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        self._next_sweep = 0.0

    def get(self, wrap_alg: str, wrapped: bytes) -> bytes | None:
        """The secret in *wrapped*, if it is still known."""
        ident = _ident(wrap_alg, wrapped)
        entry = self._entries.get(ident)
        if entry is None:
            return None
        ends, secret = entry
        if self._clock() >= ends:
            del self._entries[ident]
            return None
        self._entries.move_to_end(ident)
        return secret

    def put(self, wrap_alg: str, wrapped: bytes, secret: bytes) -> None:
        """Remember *secret*; only one that has been proved right may come here."""
        now = self._clock()
        self._sweep(now)
        ident = _ident(wrap_alg, wrapped)
        self._entries[ident] = (now + self._seconds, secret)
        self._entries.move_to_end(ident)
        while len(self._entries) > self._limit:
            self._entries.popitem(last=False)

    def _sweep(self, now: float) -> None:
        """Forget what has ended and nobody asks for; rarely, since it looks at everything."""
        if now < self._next_sweep:
            return
        self._next_sweep = now + self._seconds
        for ident in [ident for ident, (ends, _) in self._entries.items() if ends <= now]:
            del self._entries[ident]

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<SecretCache of {len(self._entries)}>"


def _ident(wrap_alg: str, wrapped: bytes) -> bytes:
    return hashlib.sha256(wrap_alg.encode() + b"\0" + wrapped).digest()
