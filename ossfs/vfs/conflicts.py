"""Two clients changed one file: what becomes of ours.

Another client's version stands under the key since this mount last knew it. `keep-both` leaves it
the name and stores ours beside it as `NAME.conflict-<host>-<UTC>`; `last-wins` replaces it; `fail`
stores nothing, and what is staged waits for the user.
"""

import contextlib
import itertools
import logging
import re
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ossfs import log as names_in_log
from ossfs.errors import AlreadyExists, Conflict, InvalidArgument, NameTooLong, StaleHandle
from ossfs.format.names import KEY_MAX, NAME_MAX
from ossfs.store.base import ObjectInfo
from ossfs.types import ObjectKey
from ossfs.vfs.gate import upwards
from ossfs.vfs.kernel import Behaviour
from ossfs.vfs.lookups import Lookups
from ossfs.vfs.node import NEVER, Beside, Node
from ossfs.vfs.remote import Found
from ossfs.vfs.tree import Tree

log = logging.getLogger(__name__)

LONGEST_HOST = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Displaced:
    """Our version is stored as *info* in *place*, for *rival* has the name.

    tags: of others, that the file had.
    """

    place: Beside
    info: ObjectInfo
    tags: dict[str, str]
    rival: Found


class Conflicts:
    """clock: seconds, monotonic; now: wall clock in nanoseconds."""

    def __init__(
        self,
        *,
        tree: Tree,
        lookups: Lookups,
        behaviour: Behaviour,
        clock: Callable[[], float],
        now: Callable[[], int],
    ) -> None:
        self.count = 0
        """How many there were since the mount began."""
        self._tree = tree
        self._lookups = lookups
        self._behaviour = behaviour
        self._clock = clock
        self._now = now

    @property
    def last_wins(self) -> bool:
        """Whether another client's version is simply replaced."""
        return self._behaviour.conflict == "last-wins"

    def replacing(self, node: Node) -> None:
        """Ours replaces the other version: say so."""
        self.count += 1
        log.warning("another client %s; the last close wins", self._what_happened(node))

    async def resolve(
        self,
        node: Node,
        rival: Found,
        store: Callable[[ObjectKey], Awaitable[ObjectInfo]],
    ) -> Displaced:
        """Store ours beside *rival*. Raises Conflict where it is to stay staged, and what *store*
        raises, which must not replace anything: AlreadyExists leads to another name.
        """
        assert rival.info is not None
        if self._behaviour.conflict == "fail":
            self._refuse(node, rival.info, "it stays staged")
        tags = node.foreign_tags
        for place in self._places(node):
            node.beside = place
            with contextlib.suppress(AlreadyExists):
                info = await store(self._tree.child_key(place.directory, place.name))
                return Displaced(place=place, info=info, tags=tags, rival=rival)
        self._refuse(node, rival.info, "no key beside it has room for ours, which stays staged")
        raise AssertionError("unreachable")

    def _refuse(self, node: Node, rival: ObjectInfo, outcome: str) -> None:
        """Raises Conflict; logs and counts it once for each version of the other client."""
        if node.rival is None or node.rival.etag != rival.etag:
            self.count += 1
            log.warning("another client %s; %s", self._what_happened(node), outcome)
        node.rival = rival
        raise Conflict("conflict: another client changed the file since it was opened")

    def _what_happened(self, node: Node) -> str:
        verb = "created" if node.info is None else "changed"
        return f"{verb} {names_in_log.name(self._tree.key(node))}"

    # --- names -----------------------------------------------------------------------------------

    def _places(self, node: Node) -> Iterator[Beside]:
        """Names to try, first that of an earlier attempt whose answer may have been lost."""
        key, made_for = self._tree.key(node), self._now()
        if node.beside is not None and node.beside.of == key and node.beside.directory.attached:
            yield node.beside
        for number in itertools.count(1):
            place = self._place(node, key, suffix(made_for, number))
            if place is None:
                return
            if place.name not in place.directory.entries().children:
                yield place

    def _place(self, node: Node, key: ObjectKey, ending: str) -> Beside | None:
        """In the directory of the file, or the nearest one above where the key has room."""
        for directory in upwards(node.parent):
            room = min(NAME_MAX, KEY_MAX - len(self._tree.key(directory).encode())) - len(ending)
            if room < 1:
                continue
            name = node.name.encode()[:room].decode(errors="ignore") + ending
            with contextlib.suppress(NameTooLong, InvalidArgument):
                self._tree.check_key(directory, name, is_directory=False)
                return Beside(of=key, directory=directory, name=name)
        return None

    # --- what the mount shows then ---------------------------------------------------------------

    def displace(self, node: Node, displaced: Displaced, generation: int) -> Node:
        """Give the name to the other version and show ours beside it; nothing is waited for.

        generation: what is stored of ours. What was written since goes along, and is then dirty.
        Handles of the node are stale. Returns the node of ours.
        """
        self.count += 1
        what_happened = self._what_happened(node)
        ours = self._node_of_ours(node, displaced, generation)
        log.warning(
            "another client %s; ours is kept as %s",
            what_happened,
            names_in_log.name(self._tree.key(ours)),
        )
        node.displaced = node.stored = node.generation
        node.failure = node.rival = node.beside = node.server_choice = None
        node.exclusive = node.attributes_pending = False
        node.attempts.clear()
        self._believe(node, displaced.rival)
        return ours

    def _node_of_ours(self, node: Node, displaced: Displaced, generation: int) -> Node:
        place, info = displaced.place, displaced.info
        names, name = place.directory.entries().children, place.name
        staged, node.staged = node.staged, None
        assert staged is not None
        if node.generation == generation:
            staged.close()
            # A lookup that was under way may have found the object before it has its node.
            if name in names:
                return names[name]
        ours = self._tree.new(name, node.attributes)
        ours.info, ours.size, ours.checked = info, info.size, self._clock()
        ours.foreign_tags = displaced.tags
        if node.generation > generation:
            ours.staged, ours.generation = staged, 1
            ours.server_choice = node.server_choice
        found = names.get(name)
        if found is not None and (found.pinned or not self._lookups.vanished(found)):
            # Someone here writes to what was just stored: the rest goes to a name of its own.
            ours.info = None
            place = next(free for free in self._places(node) if free != place)
        self._tree.attach(place.directory, place.name, ours)
        return ours

    def _believe(self, node: Node, rival: Found) -> None:
        epoch = node.epoch
        with contextlib.suppress(StaleHandle):  # it is no longer a file of this kind
            self._lookups.accept(node, rival)
        if node.epoch == epoch:
            self._lookups.replaced(node)
        node.checked = NEVER  # the answer is as old as our upload took


def suffix(now: int, number: int) -> str:
    """`.conflict-<host>-<UTC>`, to the millisecond; number: distinguishes several of them.

    now: nanoseconds of the wall clock.
    """
    when = datetime.fromtimestamp(now // 1_000_000_000, UTC).strftime("%Y%m%dT%H%M%S")
    again = "" if number == 1 else f"-{number}"
    return f".conflict-{_host()}-{when}.{now // 1_000_000 % 1000:03}Z{again}"


def _host() -> str:
    short = socket.gethostname().partition(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]", "_", short)[:LONGEST_HOST] or "host"
