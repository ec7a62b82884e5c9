"""What a listing told of the names in a directory, and where in them someone walks.

Pure: no store, no event loop. Order is that of OSS, the bytes of UTF-8.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

STEPS = 3
"""Steps onward after which a walk is one."""

STRIDE = 4
"""Names that one step of a walk may pass over."""

AHEAD = 32
"""Names ahead of a walk that are worth asking for."""


@dataclass(slots=True)
class Walk:
    """Someone who takes one name after the other; positions count the names in their order."""

    at: int = -1
    steps: int = 0
    asked: int = -1
    """The last position that was handed out."""

    def step(self, position: int, end: int) -> range:
        """Go to *position*; returns the positions below *end* that are worth asking for now."""
        if position == self.at:
            return range(0)
        onward = 0 < position - self.at <= STRIDE
        self.steps = self.steps + 1 if onward else 0
        if not onward:
            self.asked = position
        self.at = position
        if self.steps < STEPS or self.asked - position > AHEAD // 2:
            return range(0)
        first, self.asked = max(self.asked, position) + 1, min(position + AHEAD, end - 1)
        return range(first, self.asked + 1)


@dataclass(slots=True)
class Steps:
    """A walk through names in their order."""

    walk: Walk = field(default_factory=Walk)
    _order: list[str] = field(default_factory=list)
    _positions: dict[str, int] = field(default_factory=dict)

    @property
    def is_walk(self) -> bool:
        """Whether someone takes one name after the other."""
        return self.walk.steps >= STEPS

    def to(self, name: str, names: Iterable[str]) -> list[str]:
        """Go to *name*; returns those of *names* that are worth asking for now."""
        if not self._order:
            self._order = sorted(names, key=str.encode)
            self._positions = {known: place for place, known in enumerate(self._order)}
        position = self._positions.get(name)
        if position is None:
            return []
        return [self._order[ahead] for ahead in self.walk.step(position, len(self._order))]


@dataclass(slots=True)
class Listing:
    """Names between `after` and `upto`, begun at `when` (clock seconds).

    names: to whether the name is a directory; changes of this mount are applied to it. sizes: of
    the files, in bytes, as they were then; modified: when they were stored, in ns. after, upto:
    bounds in keys relative to the directory, b"" and None where there is none; what lies outside of
    them may be among the names, but who is not may still exist. answered: lookups that it saved.
    lookups, reads: who walks through the names, and who reads one file after the other.
    """

    when: float
    names: dict[str, bool]
    sizes: dict[str, int] = field(default_factory=dict)
    after: bytes = b""
    upto: bytes | None = None
    modified: dict[str, int] = field(default_factory=dict)
    answered: int = 0
    lookups: Steps = field(default_factory=Steps)
    reads: Steps = field(default_factory=Steps)

    @property
    def is_complete(self) -> bool:
        """Whether it holds all names of the directory."""
        return not self.after and self.upto is None

    def decides(self, name: str) -> bool:
        """Whether a file or directory *name* would be among the names."""
        raw = name.encode()
        # A directory stands where its slash puts it.
        return self.after < raw and (self.upto is None or raw + b"/" <= self.upto)

    def looked_up(self, name: str) -> list[str]:
        """Someone looks up *name*; returns the names that he will probably want next."""
        return self.lookups.to(name, self.names)

    def opened(self, name: str) -> list[str]:
        """Someone opens the file *name*; returns those that he will probably open next."""
        return self.reads.to(name, self.sizes)
