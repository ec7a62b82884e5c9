"""Open files and open directories."""

import os
from dataclasses import dataclass, field
from typing import TypeVar

import trio

from ossfs.errors import BadHandle, StaleHandle
from ossfs.types import HandleId
from ossfs.vfs.node import Node


@dataclass(slots=True, eq=False)
class FileHandle:
    """One open(2) of a file.

    epoch: that of the node when it was opened; wrote: the generation of the last change through it
    that no flush of it has stored, 0 for none.
    """

    node: Node
    flags: int
    epoch: int
    wrote: int = 0

    @property
    def readable(self) -> bool:
        return self.flags & os.O_ACCMODE in {os.O_RDONLY, os.O_RDWR}

    @property
    def writable(self) -> bool:
        return self.flags & os.O_ACCMODE in {os.O_WRONLY, os.O_RDWR}

    @property
    def appends(self) -> bool:
        return bool(self.flags & os.O_APPEND)

    def check_version(self) -> None:
        """Raises StaleHandle if the node holds another version than the one that was opened."""
        if self.epoch != self.node.epoch:
            raise StaleHandle("another client replaced the file")

    def check_stored(self) -> None:
        """The node is stored; raises StaleHandle if what was written here has another name now."""
        if 0 < self.wrote <= self.node.displaced:
            raise StaleHandle("another client's version has the name of what was written")
        if self.wrote <= self.node.stored:
            self.wrote = 0


@dataclass(slots=True, eq=False)
class DirectoryHandle:
    """One opendir(3): names as they were when reading began, so that offsets mean the same for
    ever.

    ready: how many of the names have had their attributes asked for; ahead: set when the batch that
    is being asked for in the background has come.
    """

    node: Node
    names: list[tuple[str, bool]] | None = None
    ready: int = 0
    ahead: trio.Event | None = None


Handle = TypeVar("Handle", FileHandle, DirectoryHandle)


@dataclass(slots=True)
class HandleTable:
    """Numbers for handles; a number is never used twice."""

    _open: dict[HandleId, FileHandle | DirectoryHandle] = field(default_factory=dict)
    _last: int = 0

    def __len__(self) -> int:
        return len(self._open)

    def add(self, handle: FileHandle | DirectoryHandle) -> HandleId:
        """Number a new handle."""
        self._last += 1
        number = HandleId(self._last)
        self._open[number] = handle
        return number

    def any_stale(self, node: Node) -> bool:
        """Whether a handle of *node* is open that another client's version made stale."""
        return any(
            isinstance(handle, FileHandle) and handle.node is node and handle.epoch != node.epoch
            for handle in self._open.values()
        )

    def file(self, number: HandleId) -> FileHandle:
        """Raises BadHandle."""
        handle = self._open.get(number)
        if not isinstance(handle, FileHandle):
            raise BadHandle("no such open file")
        return handle

    def directory(self, number: HandleId) -> DirectoryHandle:
        """Raises BadHandle."""
        handle = self._open.get(number)
        if not isinstance(handle, DirectoryHandle):
            raise BadHandle("no such open directory")
        return handle

    def remove(self, number: HandleId) -> FileHandle | DirectoryHandle:
        """Raises BadHandle."""
        try:
            return self._open.pop(number)
        except KeyError:
            raise BadHandle("no such handle") from None
