"""Names of one directory that are asked for ahead of whoever will want them."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import final

import trio

from ossfs.errors import OssfsError
from ossfs.transfer.parallel import for_each
from ossfs.vfs.kernel import Spawn

log = logging.getLogger(__name__)


@final
class Flights:
    """At most one request ahead for a name at a time; what goes wrong is nobody's error."""

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        self._ends: dict[str, trio.Event] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._ends

    async def arrival(self, name: str) -> None:
        """Wait while *name* is asked for."""
        end = self._ends.get(name)
        if end is not None:
            await end.wait()

    def launch(
        self,
        spawn: Spawn,
        names: Iterable[str],
        ask: Callable[[str], Awaitable[object]],
        *,
        limit: int,
    ) -> None:
        """Await *ask* for each of *names*, none of them under way, in this order and in the
        background, *limit* at a time.
        """
        own = {name: trio.Event() for name in names}
        if own:
            spawn(self._run, own, ask, limit)
            self._ends |= own

    async def _run(
        self, own: dict[str, trio.Event], ask: Callable[[str], Awaitable[object]], limit: int
    ) -> None:
        async def fly(name: str) -> None:
            try:
                await ask(name)
            except OssfsError as error:
                log.debug("asked ahead: %s", error)  # who wants the name meets its own error
            except Exception:  # a mistake with one name must not take the others' answers with it
                log.exception("asking ahead failed for a reason that is a mistake in ossfs")
            finally:
                self._end(name, own[name])

        try:
            await for_each(list(own), fly, limit=min(limit, len(own)))
        finally:
            for name, end in own.items():
                self._end(name, end)

    def _end(self, name: str, end: trio.Event) -> None:
        end.set()
        # The name may be on its way anew already.
        if self._ends.get(name) is end:
            del self._ends[name]
