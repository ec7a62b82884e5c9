"""Several attempts at one thing, one after the other unless one of them takes long.

race = Race([first, second], patience=1.0)
result = await race.run()
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar, final

import trio

from ossfs.crypto.datakey import FAILED
from ossfs.errors import IntegrityError, OssfsError

_Result = TypeVar("_Result")


@final
class Race(Generic[_Result]):
    """The first success counts; the attempts still under way are cancelled then."""

    def __init__(
        self, attempts: Sequence[Callable[[], Awaitable[_Result]]], *, patience: float
    ) -> None:
        """patience: seconds before the next attempt begins beside one that has not ended."""
        self._attempts = attempts
        self._patience = patience
        self._failures: dict[int, OssfsError] = {}
        self._results: list[_Result] = []
        self._under_way: set[int] = set()
        self.overtaken: frozenset[int] = frozenset()

    async def run(self) -> _Result:
        """What the first success gives, after which `overtaken` holds who was still trying.

        Raises, when all have failed, what the first one raised that was no IntegrityError, else
        an IntegrityError that does not say which.
        """
        async with trio.open_nursery() as nursery:
            for number in range(len(self._attempts)):
                ended = trio.Event()
                nursery.start_soon(self._try, number, ended, nursery.cancel_scope)
                with trio.move_on_after(self._patience):
                    await ended.wait()
        if self._results:
            return self._results[0]
        for number in sorted(self._failures):
            if not isinstance(self._failures[number], IntegrityError):
                raise self._failures[number]
        raise IntegrityError(FAILED)

    async def _try(self, number: int, ended: trio.Event, all_of_them: trio.CancelScope) -> None:
        self._under_way.add(number)
        try:
            result = await self._attempts[number]()
        except OssfsError as error:
            self._failures[number] = error
        else:
            if not self._results:
                self._results.append(result)
                self.overtaken = frozenset(self._under_way - {number})
                all_of_them.cancel()
        finally:
            self._under_way.discard(number)
            ended.set()
