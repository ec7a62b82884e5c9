"""Small files opened ahead of someone who reads one after the other.

A reader that walks through a directory (cp -r, tar, a data loader) would wait for each file's
request and for its master key. Once he has taken several files in the order of their names, the
next ones are asked for and opened side by side. OSS has then been asked for each of them shortly
before its open(2), for which that answer counts, once and for FRESH_SECONDS at most.
"""

from collections import deque
from collections.abc import Callable

import trio

from ossfs.transfer.opener import Opener
from ossfs.transfer.reader import ObjectReader
from ossfs.vfs.kernel import Behaviour, Spawn
from ossfs.vfs.known_names import AHEAD
from ossfs.vfs.lookups import Lookups
from ossfs.vfs.node import NEVER, Node
from ossfs.vfs.remote import Remote

FRESH_SECONDS = 0.5
"""How old the answer may be with which an open is content."""

SMALL_BYTES = 256 * 1024
"""Files up to this size come whole with one request."""

KEPT = 2 * AHEAD
"""Readers kept for files that nobody has opened yet."""

PARALLEL = 16
"""Files that one walk has opened at a time."""


class Foresight:
    """clock: seconds, monotonic."""

    def __init__(
        self,
        *,
        lookups: Lookups,
        remote: Remote,
        opener: Opener,
        behaviour: Behaviour,
        clock: Callable[[], float],
        spawn: Spawn,
    ) -> None:
        self._lookups = lookups
        self._remote = remote
        self._opener = opener
        self._behaviour = behaviour
        self._clock = clock
        self._spawn = spawn
        self._kept: deque[tuple[Node, ObjectReader]] = deque()

    def opened(self, node: Node) -> None:
        """*node* is opened for reading: open the next files, if that is a walk."""
        directory = node.parent
        if directory is None or not node.attached or not directory.attached:
            return
        folder = directory.entries()
        listing = folder.listing
        if listing is None or self._behaviour.attr_ttl <= 0:
            return
        small = [
            name
            for name in listing.opened(node.name)
            if name not in folder.flights and listing.sizes[name] <= SMALL_BYTES
        ]
        sizes = listing.sizes

        async def open_one(name: str) -> None:
            known = folder.children.get(name)
            async with trio.Lock() if known is None else known.content_lock:
                await self._ask(directory, name, sizes[name])

        folder.flights.launch(self._spawn, small, open_one, limit=PARALLEL)

    def take(self, node: Node) -> bool:
        """Whether an open of *node* may do without asking OSS; true at most once for an answer."""
        begun, node.foreseen = node.foreseen, NEVER
        return node.reader is not None and self._clock() - begun < FRESH_SECONDS

    async def arrival(self, node: Node) -> None:
        """Wait while *node* is asked for ahead: that answer will do."""
        directory = node.parent
        if directory is not None and node.attached:
            await directory.entries().flights.arrival(node.name)

    async def _ask(self, directory: Node, name: str, size: int) -> None:
        if not directory.attached:
            return
        question = self._lookups.question(directory, name)
        node = question.node
        if node is not None and (node.pinned or not node.is_regular):
            return
        begun = self._clock()
        known = None if node is None else node.reader
        info, reader = await self._opener.open(question.key, expect_size=size, known=known)
        try:
            found = await self._remote.of_info(info)
            node = self._lookups.settle(question, found)
            if node is not None and node.is_regular and not node.busy:
                self._keep(node, reader, begun)
        finally:
            # What the node had already belongs to its open handles, whatever became of the answer.
            if reader is not known and (node is None or node.reader is not reader):
                reader.close()

    def _keep(self, node: Node, reader: ObjectReader, begun: float) -> None:
        node.foreseen = begun
        if node.reader is not None:
            return  # of the same version, or learning this one had closed it
        if reader.is_closed:
            return  # it was the node's own, whose last handle went meanwhile
        node.reader = reader
        self._kept.append((node, reader))
        while len(self._kept) > KEPT:
            old, unused = self._kept.popleft()
            if old.reader is unused and not old.handles:
                unused.close()
                old.reader = None
