"""What a file system should do, in a few dozen lines: a tree of Python objects."""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

NOREPLACE = 1


@dataclass(eq=False)
class File:
    content: bytearray = field(default_factory=bytearray)
    mode: int = 0o644
    xattrs: dict[bytes, bytes] = field(default_factory=dict)

    kind = stat.S_IFREG

    def write(self, offset: int, data: bytes) -> None:
        if data:
            self.truncate(max(len(self.content), offset))
            self.content[offset : offset + len(data)] = data

    def truncate(self, size: int) -> None:
        del self.content[size:]
        self.content.extend(bytes(size - len(self.content)))


@dataclass(eq=False)
class Link:
    target: bytes
    mode: int = 0o777
    xattrs: dict[bytes, bytes] = field(default_factory=dict)

    kind = stat.S_IFLNK


@dataclass(eq=False)
class Directory:
    mode: int = 0o755
    xattrs: dict[bytes, bytes] = field(default_factory=dict)
    children: "dict[str, Entry]" = field(default_factory=dict)

    kind = stat.S_IFDIR


Entry = File | Link | Directory


@dataclass(eq=False)
class Handle:
    file: File
    flags: int


class Refused(Exception):
    """The operation ends with this errno and changes nothing."""

    def __init__(self, number: int) -> None:
        super().__init__(errno.errorcode[number])
        self.errno = number


class Model:
    """The whole state; handles by the names that the test gives them."""

    def __init__(self) -> None:
        self.root = Directory()
        self.handles: dict[int, Handle] = {}

    # --- finding -----------------------------------------------------------------------------

    def find(self, path: str) -> Entry:
        entry: Entry = self.root
        for name in path.split("/") if path else []:
            if not isinstance(entry, Directory):
                raise Refused(errno.ENOTDIR)
            if name not in entry.children:
                raise Refused(errno.ENOENT)
            entry = entry.children[name]
        return entry

    def parent(self, path: str) -> tuple[Directory, str]:
        above, _, name = path.rpartition("/")
        directory = self.find(above)
        if not isinstance(directory, Directory):
            raise Refused(errno.ENOTDIR)
        return directory, name

    def named(self, path: str) -> tuple[Directory, str, Entry]:
        directory, name = self.parent(path)
        if name not in directory.children:
            raise Refused(errno.ENOENT)
        return directory, name, directory.children[name]

    def walk(self) -> Iterator[tuple[str, Entry]]:
        stack: list[tuple[str, Entry]] = [("", self.root)]
        while stack:
            path, entry = stack.pop()
            yield path, entry
            if isinstance(entry, Directory):
                for name, child in entry.children.items():
                    stack.append((f"{path}/{name}" if path else name, child))

    # --- names -------------------------------------------------------------------------------

    def make(self, path: str, entry: Entry) -> None:
        directory, name = self.parent(path)
        if name in directory.children:
            raise Refused(errno.EEXIST)
        directory.children[name] = entry

    def unlink(self, path: str) -> None:
        directory, name, entry = self.named(path)
        if isinstance(entry, Directory):
            raise Refused(errno.EISDIR)
        del directory.children[name]

    def rmdir(self, path: str) -> None:
        directory, name, entry = self.named(path)
        if not isinstance(entry, Directory):
            raise Refused(errno.ENOTDIR)
        if entry.children:
            raise Refused(errno.ENOTEMPTY)
        del directory.children[name]

    def rename(self, path: str, new: str, flags: int) -> None:
        directory, name = self.parent(path)
        new_directory, new_name = self.parent(new)
        if flags & ~NOREPLACE:
            raise Refused(errno.EINVAL)
        _, _, entry = self.named(path)
        target = new_directory.children.get(new_name)
        if target is entry:
            return
        if target is not None and flags & NOREPLACE:
            raise Refused(errno.EEXIST)
        if f"{new}/".startswith(f"{path}/"):
            raise Refused(errno.EINVAL)
        if target is not None:
            self._check_replaced(entry, target)
        del directory.children[name]
        new_directory.children[new_name] = entry

    @staticmethod
    def _check_replaced(entry: Entry, target: Entry) -> None:
        if isinstance(entry, Directory) and not isinstance(target, Directory):
            raise Refused(errno.ENOTDIR)
        if isinstance(target, Directory):
            if not isinstance(entry, Directory):
                raise Refused(errno.EISDIR)
            if target.children:
                raise Refused(errno.ENOTEMPTY)

    # --- files -------------------------------------------------------------------------------

    def create(self, number: int, path: str, flags: int, mode: int) -> None:
        directory, name = self.parent(path)
        entry = directory.children.get(name)
        if entry is not None:
            if flags & os.O_EXCL:
                raise Refused(errno.EEXIST)
            self.open(number, path, flags)
            return
        file = File(mode=mode)
        directory.children[name] = file
        self.handles[number] = Handle(file, flags)

    def open(self, number: int, path: str, flags: int) -> None:
        file = self.file(path)
        if flags & os.O_TRUNC:
            file.truncate(0)
        self.handles[number] = Handle(file, flags)

    def file(self, path: str) -> File:
        entry = self.find(path)
        if isinstance(entry, Directory):
            raise Refused(errno.EISDIR)
        assert isinstance(entry, File)
        return entry

    def handle(self, number: int) -> Handle:
        return self.handles[number]

    def write(self, number: int, offset: int, data: bytes) -> int:
        handle = self.handle(number)
        if handle.flags & os.O_ACCMODE == os.O_RDONLY:
            raise Refused(errno.EBADF)
        at = len(handle.file.content) if handle.flags & os.O_APPEND else offset
        handle.file.write(at, data)
        return len(data)

    def read(self, number: int, offset: int, length: int) -> bytes:
        handle = self.handle(number)
        if handle.flags & os.O_ACCMODE == os.O_WRONLY:
            raise Refused(errno.EBADF)
        return bytes(handle.file.content[offset : offset + length])
