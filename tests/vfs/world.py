"""Mounts without a kernel, on a bucket in memory."""

import contextlib
import errno
import math
import os
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import trio

from ossfs.config.globs import parse_glob
from ossfs.errors import OssfsError
from ossfs.keys import rsa
from ossfs.keys.keyring import Keyring
from ossfs.staging.area import StagingArea
from ossfs.store.base import ObjectInfo, PutOptions, ServerEncryption
from ossfs.store.memory import MemoryStore
from ossfs.transfer.copier import Copier
from ossfs.transfer.limits import TransferLimits
from ossfs.transfer.opener import Opener
from ossfs.transfer.pool import ReadPool
from ossfs.transfer.protection import Protection
from ossfs.transfer.sending import Sender
from ossfs.transfer.uploader import Uploader
from ossfs.transfer.version import Integrity
from ossfs.types import HandleId, Ino, ObjectKey
from ossfs.vfs.assembly import Parts, Place, assemble
from ossfs.vfs.creation import Caller
from ossfs.vfs.filesystem import FileSystem
from ossfs.vfs.kernel import Behaviour
from ossfs.vfs.metadata import Changes, Stat
from ossfs.vfs.node import Node
from ossfs.vfs.policy import NewFiles, Policy
from ossfs.vfs.remote import Defaults
from ossfs.vfs.saving import Unsaved
from tests.vfs.bucket import Bucket, as_store

ROOT = Ino(1)
EPOCH = 1_700_000_000
CALLER = Caller(uid=1000, gid=1000)


class Wall:
    """Wall clock: moves with trio's clock, and is never twice the same."""

    def __init__(self) -> None:
        self._ticks = 0

    def seconds(self) -> float:
        return EPOCH + trio.current_time() % 1_000_000

    def nanoseconds(self) -> int:
        self._ticks += 1
        return int(self.seconds()) * 1_000_000_000 + self._ticks * 1000


class RecordingKernel:
    """Notes whose attributes were invalidated."""

    def __init__(self) -> None:
        self.invalidated: list[Ino] = []

    def invalidate_attributes(self, ino: Ino) -> None:
        self.invalidated.append(ino)


class Process:
    """Owns what a mount begins; dead ones are known to be gone to all of the same host."""

    def __init__(self, name: str, dead: set[str]) -> None:
        self.name = name
        self._dead = dead

    def is_gone(self, name: str) -> bool:
        return name in self._dead


class Mount:
    """One mount, with operations by path that look every component up as the kernel does.

    References that the lookups take are given back at the end of each operation.
    """

    def __init__(self, fs: FileSystem, bucket: Bucket, kernel: RecordingKernel) -> None:
        self.fs = fs
        self.bucket = bucket
        self.kernel = kernel

    # --- names -------------------------------------------------------------------------------

    async def find(self, path: str) -> Stat:
        """lookup of each component; raises FileNotFoundError. One reference to the last stays."""
        found = await self.fs.getattr(ROOT)
        for step, name in enumerate(part for part in path.split("/") if part):
            above = found.ino
            try:
                entry = await self.fs.lookup(above, name.encode())
            finally:
                if step:
                    self.fs.forget(above, 1)
            if entry is None:
                raise FileNotFoundError(errno.ENOENT, "no such name", path)
            found = entry
        return found

    @contextlib.asynccontextmanager
    async def at(self, path: str) -> AsyncIterator[Stat]:
        """The same, with the reference given back in the end."""
        stat = await self.find(path)
        try:
            yield stat
        finally:
            if stat.ino != ROOT:
                self.fs.forget(stat.ino, 1)

    @contextlib.asynccontextmanager
    async def parent(self, path: str) -> AsyncIterator[tuple[Ino, bytes]]:
        directory, _, name = path.rpartition("/")
        async with self.at(directory) as found:
            if not stat.S_ISDIR(found.mode):
                raise NotADirectoryError(errno.ENOTDIR, "not a directory", directory)
            yield found.ino, name.encode()

    async def stat(self, path: str) -> Stat:
        async with self.at(path) as stat:
            return stat

    async def exists(self, path: str) -> bool:
        try:
            await self.stat(path)
        except FileNotFoundError:
            return False
        return True

    async def names(self, path: str = "") -> set[str]:
        """readdir to the end, without the dots."""
        async with self.at(path) as stat:
            handle = await self.fs.opendir(stat.ino)
            found: list[bytes] = []
            position = 0
            try:
                while entries := await self.fs.readdir(handle, position, 7):
                    found += [entry.name for entry in entries]
                    position = entries[-1].position
            finally:
                await self.fs.releasedir(handle)
        assert len(found) == len(set(found))
        return {name.decode() for name in found} - {".", ".."}

    async def mkdir(self, path: str, mode: int = 0o755) -> None:
        async with self.parent(path) as (ino, name):
            self.fs.forget((await self.fs.mkdir(ino, name, mode, CALLER)).ino, 1)

    async def symlink(self, path: str, target: bytes) -> None:
        async with self.parent(path) as (ino, name):
            self.fs.forget((await self.fs.symlink(ino, name, target, CALLER)).ino, 1)

    async def mknod(self, path: str, mode: int) -> None:
        async with self.parent(path) as (ino, name):
            self.fs.forget((await self.fs.mknod(ino, name, mode, CALLER)).ino, 1)

    async def readlink(self, path: str) -> bytes:
        async with self.at(path) as stat:
            return await self.fs.readlink(stat.ino)

    async def unlink(self, path: str) -> None:
        async with self.parent(path) as (ino, name):
            await self.fs.unlink(ino, name)

    async def rmdir(self, path: str) -> None:
        async with self.parent(path) as (ino, name):
            await self.fs.rmdir(ino, name)

    async def rename(self, path: str, new: str, flags: int = 0) -> None:
        async with self.parent(path) as (ino, name), self.parent(new) as (new_ino, new_name):
            await self.fs.rename(ino, name, new_ino, new_name, flags)

    # --- attributes --------------------------------------------------------------------------

    async def change(self, path: str, **changes: int) -> Stat:
        async with self.at(path) as stat:
            return await self.fs.setattr(stat.ino, Changes(**changes))

    async def truncate(self, path: str, size: int) -> None:
        await self.change(path, size=size)

    async def set_xattr(self, path: str, name: bytes, value: bytes) -> None:
        async with self.at(path) as stat:
            await self.fs.setxattr(stat.ino, name, value)

    async def xattr(self, path: str, name: bytes) -> bytes:
        async with self.at(path) as stat:
            return await self.fs.getxattr(stat.ino, name)

    async def xattrs(self, path: str) -> dict[bytes, bytes]:
        """The user's own."""
        async with self.at(path) as stat:
            names = await self.fs.listxattr(stat.ino)
            own = [name for name in names if not name.startswith(b"user.ossfs.")]
            return {name: await self.fs.getxattr(stat.ino, name) for name in own}

    async def status(self, path: str, name: str) -> str:
        return (await self.xattr(path, b"user.ossfs." + name.encode())).decode()

    # --- files -------------------------------------------------------------------------------

    async def create(self, path: str, flags: int = os.O_RDWR, mode: int = 0o644) -> HandleId:
        async with self.parent(path) as (ino, name):
            opened, stat = await self.fs.create(ino, name, mode, flags | os.O_CREAT, CALLER)
            self.fs.forget(stat.ino, 1)
        return opened.handle

    async def open(self, path: str, flags: int = os.O_RDONLY) -> HandleId:
        async with self.at(path) as stat:
            return (await self.fs.open(stat.ino, flags)).handle

    async def close(self, handle: HandleId) -> None:
        """flush and, whatever that says, release."""
        try:
            await self.fs.flush(handle)
        finally:
            await self.fs.release(handle)

    async def write(self, path: str, content: bytes) -> None:
        """As `cp` does: create or truncate, write, close."""
        if await self.exists(path):
            handle = await self.open(path, os.O_WRONLY | os.O_TRUNC)
        else:
            handle = await self.create(path, os.O_WRONLY)
        await self.fs.write(handle, 0, content)
        await self.close(handle)

    async def read(self, path: str) -> bytes:
        """As `cat` does."""
        handle = await self.open(path)
        try:
            return await self.read_all(handle)
        finally:
            await self.close(handle)

    async def read_all(self, handle: HandleId) -> bytes:
        content = b""
        while piece := await self.fs.read(handle, len(content), 1 << 17):
            content += piece
        return content

    async def drain(self) -> list[Unsaved]:
        """Store everything, however long it takes; returns what cannot be stored."""
        return await self.fs.drain(math.inf)

    # --- looking inside ----------------------------------------------------------------------

    @property
    def known(self) -> list[Node]:
        """All nodes in the inode table."""
        return list(self.fs._tree)

    def node(self, name: str) -> Node:
        """The attached node of that name; names are unique in most tests."""
        (node,) = [n for n in self.known if n.name == name and n.attached and not n.unlinked]
        return node

    def check_invariants(self) -> None:
        """What holds whenever no operation is under way."""
        gate = self.fs._saver._gate
        assert not gate._exclusive
        assert not gate._shared
        for _, node in self.fs._tree.descendants(self.fs._tree.root):
            assert self.fs._tree.get(node.ino) is node
        for node in self.known:
            assert not node.content_lock.locked(), node.name
            assert not node.upload_lock.locked(), node.name
            assert node.uploading is None
            assert not node.leaving
            assert node.handles >= 0
            assert node.writers >= 0
            assert not node.dirty or node.staged is not None or node.unlinked
            named = node.attached and node.parent is not None
            held = node.lookups or node.handles or node.retrying
            held = held or (node.pinned and not node.unlinked)
            assert named or held or node is self.fs._tree.root, f"{node.name} leaks"


def new_files(keyring: Keyring | None, server: ServerEncryption | None) -> NewFiles:
    return NewFiles(
        protection=Protection(source=keyring, server=server),
        key_name="key" if keyring else "",
        wrap_alg="RSA" if keyring else "",
    )


@dataclass
class World:
    """One bucket, and mounts on it."""

    store: MemoryStore
    nursery: trio.Nursery
    directory: Path
    key: Any
    wall: Wall = field(default_factory=Wall)
    mounts: list[Mount] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)

    def mount(
        self,
        *,
        prefix: str = "",
        behaviour: Behaviour | None = None,
        area: int = 1 << 22,
        limits: TransferLimits | None = None,
        part_size: int = 8 << 20,
        sse: ServerEncryption | None = None,
        rules: Sequence[tuple[str, ServerEncryption | None, bool]] = (),
        **options: Any,
    ) -> Mount:
        """A new mount with a view of the bucket of its own; options: of its behaviour.

        rules: pattern, what is asked of the server, and whether the mount encrypts.
        """
        bucket, kernel = Bucket(self.store), RecordingKernel()
        store, spawn = as_store(bucket), self.nursery.start_soon
        limits = limits or TransferLimits()
        keyring = Keyring([self.key])
        sender = Sender(store, limits, part_size=part_size, clock=self.wall.seconds)
        pool = ReadPool(store, spawn=spawn, limits=TransferLimits(), cache_bytes=1 << 20)
        opener = Opener(pool, keyring, Integrity.PREFER)
        fs = assemble(
            Parts(
                store=store,
                uploader=Uploader(sender, keyring, prefix=prefix),
                policy=Policy(
                    new_files(keyring, sse),
                    [
                        (parse_glob(glob), new_files(keyring if client else None, server))
                        for glob, server, client in rules
                    ],
                    prefix=prefix,
                ),
                opener=opener,
                copier=Copier(sender, opener),
                staging=StagingArea(self.directory, area),
                key_name=lambda envelope: "key",
                spawn=spawn,
                owner=Process(f"process {len(self.mounts)}", self.dead),
            ),
            Place(bucket="memory", prefix=prefix, defaults=Defaults(uid=1000, gid=1000)),
            replace(behaviour or Behaviour(), **options),
            checks=True,
            kernel=kernel,
            now=self.wall.nanoseconds,
        )
        mount = Mount(fs, bucket, kernel)
        self.mounts.append(mount)
        return mount

    def kill(self, mount: Mount, *, seen: bool = True) -> None:
        """No request of the mount arrives any more; seen: other mounts know that it is gone."""
        mount.bucket.chance_of_failure = lambda: True
        if seen:
            self.dead.add(f"process {self.mounts.index(mount)}")

    # --- another client ----------------------------------------------------------------------

    async def put(self, key: str, body: bytes, **options: Any) -> None:
        """Store an object as a program without encryption does."""
        await self.store.put(ObjectKey(key), body, PutOptions(**options))

    async def delete(self, key: str) -> None:
        await self.store.delete(ObjectKey(key))

    async def head(self, key: str) -> ObjectInfo:
        return await self.store.head(ObjectKey(key))

    async def tags(self, key: str) -> dict[str, str]:
        return await self.store.get_tags(ObjectKey(key))

    def stored(self) -> list[str]:
        """All keys in the bucket."""
        return list(self.store._keys)

    def visible(self) -> list[str]:
        """All but what ossfs keeps for itself."""
        return [key for key in self.stored() if ".ossfs/" not in key]


@contextlib.contextmanager
def refused(number: int) -> Iterator[None]:
    """The block must end with this errno."""
    with pytest.raises((OssfsError, OSError)) as caught:
        yield
    error = caught.value
    assert isinstance(error, OssfsError | OSError)
    assert errno.errorcode[error.errno or 0] == errno.errorcode[number], error


def load_key(path: Path) -> Any:
    return rsa.load(path)
