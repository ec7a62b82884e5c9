"""The same operations in two directories: what each of them says, and what they leave."""

import ctypes
import errno
import mmap
import os
import random
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAMES = ("a", "b", "c", "é", "f")
XATTRS = ("user.a", "user.b")
NOREPLACE = 1
AT_FDCWD = -100
SIZES = (0, 1, 100, 4095, 4096, 70_000)

_libc = ctypes.CDLL(None, use_errno=True)


def rename(path: str, new: str, flags: int) -> None:
    """renameat2(2)."""
    if _libc.renameat2(AT_FDCWD, os.fsencode(path), AT_FDCWD, os.fsencode(new), flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def said(call: Callable[[], Any]) -> Any:
    """What a call returns, as far as it must be the same anywhere, or its errno."""
    try:
        value = call()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return shown(value) if isinstance(value, os.stat_result) else value


def shown(status: os.stat_result) -> tuple[Any, ...]:
    """Those fields of a stat that are the same anywhere."""
    kind = stat.S_IFMT(status.st_mode)
    fields: tuple[Any, ...] = (oct(status.st_mode), status.st_uid, status.st_gid)
    if kind != stat.S_IFDIR:
        fields += (status.st_nlink, status.st_size)
    return fields


def own_xattrs(path: str) -> dict[str, bytes]:
    names = os.listxattr(path, follow_symlinks=False)
    return {
        name: os.getxattr(path, name, follow_symlinks=False)
        for name in names
        if name.startswith("user.") and not name.startswith("user.ossfs.")
    }


def tree(top: Path) -> dict[str, Any]:
    """Everything below *top*: what stat shows, contents, targets, extended attributes."""
    found: dict[str, Any] = {}
    for directory, directories, files in os.walk(top):
        for name in directories + files:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            content: object = None
            if stat.S_ISREG(status.st_mode):
                content = Path(path).read_bytes()
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            times = None if stat.S_ISDIR(status.st_mode) else recent(status.st_mtime_ns)
            found[os.path.relpath(path, top)] = (
                shown(status),
                times,
                own_xattrs(path),
                content,
            )
    return found


def recent(nanoseconds: int) -> int | None:
    """A time that was set; None for one that the clock gave."""
    return nanoseconds if nanoseconds < 1_600_000_000 * 10**9 else None


class Pair:
    """One process that does everything in two directories, and compares as it goes."""

    def __init__(self, one: Path, other: Path, chance: random.Random) -> None:
        self.tops = (one, other)
        self.chance = chance
        self.open: list[tuple[int, int]] = []
        self.done: list[str] = []

    def both(self, name: str, call: Callable[[str], Any], *arguments: object) -> None:
        """Do it in both places, each of which gets the directory to do it in."""
        self.done.append(f"{name} {arguments!r:.150}")
        results = [said(lambda top=top: call(f"{top}/")) for top in self.tops]  # type: ignore[misc]
        assert results[0] == results[1], (results, self.done[-15:])

    def compare(self) -> None:
        trees = [tree(top) for top in self.tops]
        assert trees[0] == trees[1], self.done[-15:]

    # --- what to do it with -------------------------------------------------------------------

    def path(self) -> str:
        depth = self.chance.choice((1, 1, 2, 2, 3))
        path = "/".join(self.chance.choice(NAMES) for _ in range(depth))
        return path + self.chance.choice(("", "", "", "", "", "", "/", "/.", "/.."))

    def data(self) -> bytes:
        return self.chance.randbytes(self.chance.choice(SIZES))

    def flags(self) -> int:
        access = self.chance.choice((os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR))
        more = (0, 0, os.O_CREAT, os.O_CREAT, os.O_CREAT | os.O_EXCL, os.O_TRUNC, os.O_APPEND)
        extra = self.chance.choice(more) | self.chance.choice((0, os.O_CREAT, os.O_NOFOLLOW))
        return access | extra | os.O_NONBLOCK

    # --- deeds --------------------------------------------------------------------------------

    def step(self) -> None:
        """One random deed."""
        names: tuple[str, ...] = (
            *("opened", "opened", "written", "written", "read", "closed", "ftruncated"),
            *("made", "removed", "removed", "renamed", "renamed", "renamed", "truncated"),
            *("changed", "set", "looked", "listed", "followed", "mapped", "synced"),
        )
        getattr(self, self.chance.choice(names))()

    def opened(self) -> None:
        path, flags = self.path(), self.flags()
        mode = self.chance.choice((0o644, 0o600, 0o755))
        descriptors: list[int] = []

        def call(top: str) -> str:
            descriptors.append(os.open(top + path, flags, mode))
            return "open"

        self.both("open", call, path, flags)
        if len(descriptors) == 2:
            self.open.append((descriptors[0], descriptors[1]))
        if len(self.open) > 6:
            self.closed()

    def with_open(self, name: str, call: Callable[[int], Any], *arguments: object) -> None:
        if self.open:
            pair = self.chance.choice(self.open)
            at = {f"{top}/": number for top, number in zip(self.tops, pair, strict=True)}
            self.both(name, lambda top: call(at[top]), pair, *arguments)

    def written(self) -> None:
        data, offset = self.data(), self.chance.choice(SIZES)
        if self.chance.random() < 0.3:
            self.with_open("write", lambda number: os.write(number, data), len(data))
        else:
            self.with_open(
                "pwrite", lambda number: os.pwrite(number, data, offset), len(data), offset
            )

    def read(self) -> None:
        offset, length = self.chance.choice(SIZES), self.chance.choice(SIZES)
        self.with_open("pread", lambda number: os.pread(number, length, offset), offset, length)
        self.with_open("fstat", os.fstat)

    def mapped(self) -> None:
        """A page of a shared mapping is changed."""
        data = self.chance.randbytes(10)

        def call(number: int) -> bytes:
            with mmap.mmap(number, 0) as mapping:
                mapping[: len(data)] = data
                return mapping[:20]

        def guarded(number: int) -> object:
            try:
                return call(number)
            except (ValueError, IndexError) as error:  # an empty or short file
                return str(error)

        self.with_open("mmap", guarded)

    def ftruncated(self) -> None:
        size = self.chance.choice(SIZES)
        self.with_open("ftruncate", lambda number: os.ftruncate(number, size), size)

    def synced(self) -> None:
        self.with_open("fsync", os.fsync)

    def closed(self) -> None:
        if self.open:
            pair = self.open.pop(self.chance.randrange(len(self.open)))
            self.done.append(f"close {pair}")
            for number in pair:
                os.close(number)

    def close_all(self) -> None:
        while self.open:
            self.closed()

    def made(self) -> None:
        path = self.path()
        kinds: dict[str, Callable[[str], None]] = {
            "mkdir": lambda top: os.mkdir(top + path, 0o755),
            "symlink": lambda top: os.symlink("a", top + path),
            "mkfifo": lambda top: os.mkfifo(top + path, 0o600),
            "mknod": lambda top: os.mknod(top + path, stat.S_IFREG | 0o640),
        }
        name = self.chance.choice(("mkdir", "mkdir", "mkdir", *kinds))
        self.both(name, kinds[name], path)

    def removed(self) -> None:
        path, call = self.path(), self.chance.choice((os.unlink, os.rmdir))
        self.both(call.__name__, lambda top: call(top + path), path)

    def renamed(self) -> None:
        path, new = self.path(), self.path()
        flags = self.chance.choice((0, 0, 0, NOREPLACE))
        self.both("rename", lambda top: rename(top + path, top + new, flags), path, new, flags)

    def followed(self) -> None:
        path = self.path()
        self.both("readlink", lambda top: os.readlink(top + path), path)

    def changed(self) -> None:
        path, mode = self.path(), self.chance.choice((0o600, 0o755, 0o444))
        times = (self.chance.randrange(10**18), self.chance.randrange(10**18))
        if self.chance.random() < 0.5:
            self.both("chmod", lambda top: os.chmod(top + path, mode), path, oct(mode))
        else:
            self.both(
                "utime",
                lambda top: os.utime(top + path, ns=times, follow_symlinks=False),
                path,
                times,
            )

    def set(self) -> None:
        path, name = self.path(), self.chance.choice(XATTRS)
        value = self.chance.randbytes(self.chance.choice((0, 3, 200)))
        flags = self.chance.choice((0, 0, os.XATTR_CREATE, os.XATTR_REPLACE))
        if self.chance.random() < 0.7:
            self.both(
                "setxattr", lambda top: os.setxattr(top + path, name, value, flags), path, name
            )
        else:
            self.both("removexattr", lambda top: os.removexattr(top + path, name), path, name)

    def looked(self) -> None:
        path = self.path()
        self.both("stat", lambda top: os.stat(top + path), path)
        self.both("lstat", lambda top: os.lstat(top + path), path)

    def listed(self) -> None:
        path = self.path()
        self.both("listdir", lambda top: sorted(os.listdir(top + path)), path)

    def truncated(self) -> None:
        path, size = self.path(), self.chance.choice(SIZES)
        self.both("truncate", lambda top: os.truncate(top + path, size), path, size)
