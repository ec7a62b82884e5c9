"""Reading directories: a handle's names are fixed when reading begins, their attributes come in
batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import trio

from ossfs.errors import OssfsError
from ossfs.types import HandleId
from ossfs.vfs.handles import DirectoryHandle, HandleTable
from ossfs.vfs.kernel import Spawn
from ossfs.vfs.lookups import Lookups
from ossfs.vfs.node import Node

BATCH = 1000
"""Names whose attributes are asked for together, one batch ahead of the reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One directory entry; position: where reading goes on behind it."""

    name: str
    position: int
    node: Node


class Listings:
    """Positions: 0 is `.`, 1 is `..`, n + 2 is the n-th name of the handle."""

    def __init__(self, handles: HandleTable, lookups: Lookups, spawn: Spawn) -> None:
        self._handles = handles
        self._lookups = lookups
        self._spawn = spawn

    def open(self, node: Node) -> HandleId:
        """opendir(3)."""
        node.handles += 1
        return self._handles.add(DirectoryHandle(node=node))

    async def read(self, number: HandleId, position: int, count: int) -> list[Entry]:
        """At most *count* entries from *position* on; none at the end."""
        handle = self._handles.directory(number)
        if handle.names is None or position == 0:
            handle.names = list(await self._lookups.names(handle.node))
            handle.ready, handle.ahead = 0, None
        if position < 2:
            return self._dots(handle.node, position)
        while names := handle.names[position - 2 : position - 2 + count]:
            await self._have(handle, position - 2 + len(names))
            entries = self._present(handle.node, names, position)
            if entries:
                return entries
            position += len(names)
        return []

    def _present(
        self, directory: Node, names: Sequence[tuple[str, bool]], position: int
    ) -> list[Entry]:
        """Those of *names*, which begin at *position*, that did not go since they were read."""
        entries = []
        for behind, (name, is_directory) in enumerate(names, position + 1):
            node = self._lookups.listed(directory, name, is_directory=is_directory)
            if node is not None:
                entries.append(Entry(name=name, position=behind, node=node))
        return entries

    @staticmethod
    def _dots(node: Node, position: int) -> list[Entry]:
        above = node.parent or node
        dots = [(".", node), ("..", above)]
        return [
            Entry(name=name, position=index + 1, node=it)
            for index, (name, it) in enumerate(dots)
            if index >= position
        ]

    async def _have(self, handle: DirectoryHandle, count: int) -> None:
        """Have asked for the attributes of the first *count* names, and ask for the next ones
        ahead.
        """
        assert handle.names is not None
        while handle.ready < count:
            if handle.ahead is None:
                self._begin(handle)
            assert handle.ahead is not None
            await handle.ahead.wait()
        if handle.ahead is None and handle.ready < len(handle.names):
            self._begin(handle)

    def _begin(self, handle: DirectoryHandle) -> None:
        assert handle.names is not None
        handle.ahead = trio.Event()
        batch = handle.names[handle.ready : handle.ready + BATCH]
        self._spawn(self._ask, handle, batch, handle.ahead)

    async def _ask(
        self, handle: DirectoryHandle, batch: list[tuple[str, bool]], done: trio.Event
    ) -> None:
        try:
            await self._lookups.learn_all(handle.node, batch)
        except OssfsError:
            pass  # each entry that needs it meets its own error
        finally:
            if handle.ahead is done:
                handle.ready += len(batch)
                handle.ahead = None
            done.set()
