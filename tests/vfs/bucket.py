"""A bucket that counts what is asked of it, fails where a test wants it to, and can be held up."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

from ossfs.errors import StoreError, Unavailable
from ossfs.store.base import ObjectStore
from ossfs.store.memory import MemoryStore


def unavailable() -> StoreError:
    return Unavailable("made to fail", code="InternalError", status=503)


@dataclass(frozen=True, slots=True)
class Call:
    """One request; key: the first key that it names; when: by trio's clock."""

    name: str
    key: str
    arguments: dict[str, Any]
    when: float


@dataclass(eq=False)
class Hold:
    """Holds up the requests that it matches: `reached` is set when the first one is there.

    after: they have taken effect, and only their answers are late.
    """

    name: str
    key: str | None
    after: bool
    reached: trio.Event = field(default_factory=trio.Event)
    released: trio.Event = field(default_factory=trio.Event)

    def matches(self, call: Call) -> bool:
        return call.name == self.name and self.key in {None, call.key}

    async def wait(self) -> None:
        self.reached.set()
        await self.released.wait()

    def release(self) -> None:
        self.released.set()


@dataclass(eq=False)
class Failure:
    """Makes the requests that it matches fail: the first `skip` pass, then `times` fail.

    answer_lost: they take effect all the same. met: name of the request that failed first.
    """

    name: str | None
    key: str | None
    times: int
    answer_lost: bool
    error: Callable[[], StoreError]
    skip: int
    met: str = ""

    def takes(self, call: Call) -> bool:
        if self.name not in {None, call.name} or self.key not in {None, call.key}:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if not self.times:
            return False
        self.times -= 1
        self.met = self.met or call.name
        return True


class Bucket:
    """Passes every request on to a MemoryStore, which other clients use directly (`inner`)."""

    def __init__(self, inner: MemoryStore) -> None:
        self.inner = inner
        self.calls: list[Call] = []
        self.failures: list[Failure] = []
        self.holds: list[Hold] = []
        self._signatures: dict[str, inspect.Signature] = {}
        self.delay: Callable[[], float] = lambda: 0
        self.chance_of_failure: Callable[[], bool] = lambda: False
        self.chance_of_lost_answer: Callable[[], bool] = lambda: False
        self.error: Callable[[], StoreError] = unavailable

    def names(self) -> list[str]:
        """Names of the requests so far."""
        return [call.name for call in self.calls]

    def count(self, name: str) -> int:
        """How many of these there were."""
        return self.names().count(name)

    def forget(self) -> None:
        """Begin to count anew."""
        self.calls.clear()

    def fail(
        self,
        name: str | None = None,
        key: str | None = None,
        *,
        times: int = 1,
        answer_lost: bool = False,
        error: Callable[[], StoreError] = unavailable,
        skip: int = 0,
    ) -> Failure:
        """Let such requests fail, *times* of them after the next *skip*."""
        failure = Failure(name, key, times, answer_lost, error, skip)
        self.failures.append(failure)
        return failure

    def heal(self) -> None:
        """No request fails any more."""
        self.failures.clear()

    @contextmanager
    def held(self, name: str, key: str | None = None, *, after: bool = False) -> Iterator[Hold]:
        """Hold such requests up until released, at the end of the block at the latest."""
        hold = Hold(name, key, after)
        self.holds.append(hold)
        try:
            yield hold
        finally:
            self.let_pass(hold)
            hold.release()

    def let_pass(self, hold: Hold) -> None:
        """Hold up no further request; those that it holds stay."""
        if hold in self.holds:
            self.holds.remove(hold)

    async def _pause(self, call: Call, *, after: bool) -> None:
        for hold in list(self.holds):
            if hold.after == after and hold.matches(call):
                await hold.wait()

    async def request(self, method: Callable[..., Any], call: Call) -> Any:
        self.calls.append(call)
        await self._pause(call, after=False)
        await trio.sleep(self.delay())
        if self.chance_of_failure():
            raise self.error()
        failure = next((one for one in self.failures if one.takes(call)), None)
        if failure is not None and not failure.answer_lost:
            await trio.lowlevel.checkpoint()
            raise failure.error()
        answer = await method(**call.arguments)
        await trio.sleep(self.delay())  # the answer is on its way
        await self._pause(call, after=True)
        if failure is not None:
            raise failure.error()
        if self.chance_of_lost_answer():
            raise unavailable()
        return answer

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        if name not in self._signatures:
            self._signatures[name] = inspect.signature(method)
        signature = self._signatures[name]

        async def ask(*args: Any, **kwargs: Any) -> Any:
            arguments = dict(signature.bind(*args, **kwargs).arguments)
            named = next(iter(arguments.values()), "")
            return await self.request(
                method, Call(name, str(named), arguments, trio.current_time())
            )

        return ask


def as_store(bucket: Bucket) -> ObjectStore:
    """The same object as the type that the code under test asks for."""
    store: Any = bucket
    return store  # type: ignore[no-any-return]
