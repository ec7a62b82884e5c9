"""A store that counts what is asked of it and fails where a test wants it to."""

import inspect
from collections.abc import Callable
from typing import Any

from ossfs.errors import StoreError, Unavailable
from ossfs.store.base import ObjectStore
from ossfs.store.memory import MemoryStore


def now() -> float:
    """A clock that stands, for the store and for whoever says what the store will say."""
    return 1_800_000_000.0


class WatchedStore:
    """Passes every call on to a MemoryStore (or another store), but for the one that fails.

    calls: name and arguments of each call so far; fail_at: number (from 1) of the call that raises;
    answer_lost: the failing call takes effect and only its answer is lost; before: run before each
    call.
    """

    def __init__(self, inner: Any = None) -> None:
        self.inner: Any = MemoryStore(clock=now) if inner is None else inner
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.fail_at = 0
        self.error: Callable[[], StoreError] = lambda: Unavailable("made to fail", status=503)
        self.answer_lost = False
        self.before: Callable[[str], None] = lambda name: None
        self.tamper: Callable[[str, Any], Any] = lambda name, answer: answer

    def names(self) -> list[str]:
        """Names of the calls so far."""
        return [name for name, _ in self.calls]

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        signature = inspect.signature(method)

        async def call(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            self.calls.append((name, dict(bound.arguments)))
            fails = len(self.calls) == self.fail_at
            self.before(name)
            if fails and not self.answer_lost:
                raise self.error()
            answer = await method(*args, **kwargs)
            if fails:
                raise self.error()
            return self.tamper(name, answer)

        return call


def as_store(watched: WatchedStore) -> ObjectStore:
    """The same object as the type that the code under test asks for."""
    store: Any = watched
    return store  # type: ignore[no-any-return]
