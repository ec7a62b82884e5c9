"""How far a long command is: a bar on the terminal, nothing where stderr is none."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from ossfs.cli.terminal import printable


class Progress(Protocol):
    """What a command tells while it runs. wants_total: whether it is worth counting first."""

    wants_total: bool

    def total(self, objects: int, size: int) -> None:
        """How much there is in all, once that is known."""

    def advance(self, size: int) -> None:
        """One more object is done."""

    def say(self, line: str) -> None:
        """One line on stderr, above the bar."""


class _Lines:
    """Without a bar."""

    wants_total = False

    def total(self, objects: int, size: int) -> None:
        """Nobody looks."""

    def advance(self, size: int) -> None:
        """Nobody looks."""

    def say(self, line: str) -> None:
        """As it is."""
        print(f"ossfs: {printable(line)}", file=sys.stderr)


@contextmanager
def shown(title: str) -> Iterator[Progress]:
    """A bar with this title until the end of the block, if stderr is a terminal."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    # Only a terminal needs it, and it takes a while to load.
    from ossfs.cli.progress_bar import shown_bar  # noqa: PLC0415

    with shown_bar(title) as bar:
        yield bar
