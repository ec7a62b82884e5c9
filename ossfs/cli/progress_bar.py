"""The bar: objects and bytes done, the rate, and the time that is left."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text

from ossfs.cli.terminal import printable


@final
class Bar:
    """See `progress.Progress`."""

    wants_total = True

    def __init__(self, display: RichProgress, title: str) -> None:
        self._display = display
        self._task = display.add_task(title, total=None, objects=0, of="")
        self._objects = 0

    def total(self, objects: int, size: int) -> None:
        """From now on the end is in sight."""
        self._display.update(self._task, total=size, of=f"/{objects}")

    def advance(self, size: int) -> None:
        """One more object."""
        self._objects += 1
        self._display.update(self._task, advance=size, objects=self._objects)

    def say(self, line: str) -> None:
        """As text: markup in a name means nothing."""
        self._display.console.print(Text(f"ossfs: {printable(line)}"), soft_wrap=True)


@contextmanager
def shown_bar(title: str) -> Iterator[Bar]:
    """The bar until the end of the block."""
    display = RichProgress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[objects]}{task.fields[of]} objects"),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with display:
        yield Bar(display, title)
