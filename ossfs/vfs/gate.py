"""Keeps a directory's keys still while the directory is renamed.

A directory rename changes the key of everything below it. It runs `exclusive`; everything else that
writes to a key runs `shared` for the nodes that it touches, and waits while any ancestor is
exclusive.

Order of locks, everywhere: the gate first, then a node's `upload_lock`. Nobody who holds an upload
lock waits for the gate, and nobody who holds the gate asks for it again. An exclusive holder waits
only for shared holders that began before it, and those wait for nothing that it holds.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import trio

from ossfs.vfs.node import Node


def upwards(node: Node | None) -> Iterator[Node]:
    """The node itself, its directory, and so on up to the root."""
    while node is not None:
        yield node
        node = node.parent


class TreeGate:
    """One per mount. Checks and changes of its state have no checkpoint between them."""

    def __init__(self) -> None:
        self._exclusive: list[Node] = []
        self._shared: Counter[Node] = Counter()
        self._changed = trio.Event()

    @asynccontextmanager
    async def shared(self, *nodes: Node) -> AsyncIterator[None]:
        """Hold the keys of *nodes* as they are."""
        while self._blocked(nodes):
            await self._changed.wait()
        self._shared.update(nodes)
        try:
            yield
        finally:
            self._release(nodes)

    @asynccontextmanager
    async def exclusive(self, top: Node, *others: Node) -> AsyncIterator[None]:
        """Hold everything at and below *top* alone, and the keys of *others* as they are."""
        while self._blocked((top, *others)) or any(top in upwards(n) for n in self._exclusive):
            await self._changed.wait()
        self._exclusive.append(top)
        self._shared.update(others)
        own = Counter(others)
        try:
            while any(
                count > own[node] and top in upwards(node) for node, count in self._shared.items()
            ):
                await self._changed.wait()
            yield
        finally:
            self._exclusive.remove(top)
            self._release(others)

    def _blocked(self, nodes: tuple[Node, ...]) -> bool:
        if not self._exclusive:
            return False
        return any(above in self._exclusive for node in nodes for above in upwards(node))

    def _release(self, nodes: tuple[Node, ...]) -> None:
        for node in nodes:
            self._shared[node] -= 1
            if not self._shared[node]:
                del self._shared[node]
        self._changed.set()
        self._changed = trio.Event()
