"""The operations of the mounted directory in terms of inode numbers, names and handles.

Knows nothing of FUSE: the adapter calls these, and so do the model tests. Every method raises
subclasses of `errors.OssfsError` alone. What must hold between them is told in
`docs/concurrency.md`.
"""

import os
import stat
from dataclasses import dataclass

from ossfs.errors import (
    EntryExists,
    IntegrityError,
    InvalidArgument,
    NotADirectory,
    OssfsError,
    ReadOnlyFileSystem,
)
from ossfs.types import Buffer, HandleId, Ino
from ossfs.vfs.content import Content, Opened
from ossfs.vfs.creation import Caller, Creation
from ossfs.vfs.handles import HandleTable
from ossfs.vfs.kernel import Behaviour
from ossfs.vfs.listing import Entry, Listings
from ossfs.vfs.lookups import Lookups
from ossfs.vfs.metadata import Changes, Metadata, Stat
from ossfs.vfs.node import NEVER, Node
from ossfs.vfs.recovery import Recovery
from ossfs.vfs.removal import Removal
from ossfs.vfs.renames import Renames
from ossfs.vfs.saving import Saver, Unsaved
from ossfs.vfs.tree import Tree

LINK_MAX = 4095
"""Bytes of the longest target of a symbolic link (PATH_MAX without its zero byte)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryEntry:
    """One entry of a directory; of one that is known by name only, the stat is valid for 0 s."""

    name: bytes
    position: int
    stat: Stat


class FileSystem:
    """`assembly.assemble` puts it together."""

    def __init__(
        self,
        *,
        tree: Tree,
        handles: HandleTable,
        lookups: Lookups,
        content: Content,
        creation: Creation,
        removal: Removal,
        renames: Renames,
        listings: Listings,
        metadata: Metadata,
        saver: Saver,
        recovery: Recovery,
        behaviour: Behaviour,
    ) -> None:
        self._tree = tree
        self._handles = handles
        self._lookups = lookups
        self._content = content
        self._creation = creation
        self._removal = removal
        self._renames = renames
        self._listings = listings
        self._metadata = metadata
        self._saver = saver
        self._recovery = recovery
        self._behaviour = behaviour

    # --- names -------------------------------------------------------------------------------

    async def lookup(self, parent: Ino, name: bytes) -> Stat | None:
        """The entry, counted as one reference of the kernel; None where there is none."""
        directory = self._directory(parent)
        if name == b".":
            return self._referenced(directory)
        if name == b"..":
            return self._referenced(directory.parent or directory)
        node = await self._lookups.named(directory, name)
        return None if node is None else self._referenced(node)

    def _referenced(self, node: Node) -> Stat:
        node.lookups += 1
        return self._stat(node)

    def absence_valid(self, parent: Ino, name: bytes) -> float:
        """Seconds for which a cache may believe that *name*, just looked up, does not exist."""
        try:
            return self._lookups.absence_valid(self._directory(parent), name.decode())
        except UnicodeDecodeError:
            return self._behaviour.negative_ttl

    def count_reference(self, ino: Ino) -> None:
        """The kernel took one more reference, with a directory entry."""
        self._tree.get(ino).lookups += 1

    def forget(self, ino: Ino, lookups: int) -> None:
        """The kernel gave up *lookups* references."""
        self._tree.forget(ino, lookups)

    async def mkdir(self, parent: Ino, name: bytes, mode: int, caller: Caller) -> Stat:
        """mkdir(2)."""
        directory = self._writable_directory(parent)
        return self._referenced(
            await self._creation.make_directory(directory, name, stat.S_IMODE(mode), caller)
        )

    async def symlink(self, parent: Ino, name: bytes, target: bytes, caller: Caller) -> Stat:
        """symlink(2)."""
        directory = self._writable_directory(parent)
        return self._referenced(await self._creation.make_link(directory, name, target, caller))

    async def mknod(self, parent: Ino, name: bytes, mode: int, caller: Caller) -> Stat:
        """mknod(2)."""
        directory = self._writable_directory(parent)
        return self._referenced(await self._creation.make_node(directory, name, mode, caller))

    async def unlink(self, parent: Ino, name: bytes) -> None:
        """unlink(2)."""
        await self._removal.remove_file(self._writable_directory(parent), name)

    async def rmdir(self, parent: Ino, name: bytes) -> None:
        """rmdir(2)."""
        await self._removal.remove_directory(self._writable_directory(parent), name)

    async def rename(
        self, parent: Ino, name: bytes, new_parent: Ino, new_name: bytes, flags: int
    ) -> None:
        """renameat2(2)."""
        source, goal = self._writable_directory(parent), self._writable_directory(new_parent)
        await self._renames.rename(source, name, goal, new_name, flags)

    async def readlink(self, ino: Ino) -> bytes:
        """readlink(2)."""
        node = self._tree.get(ino)
        if not stat.S_ISLNK(node.attributes.mode):
            raise InvalidArgument("not a symbolic link")
        if node.current_size > LINK_MAX:
            raise IntegrityError("the target of the link is no path")
        if node.target is None:
            node.target = await self._content.read_all(node)
        return node.target

    # --- attributes ----------------------------------------------------------------------------

    async def getattr(self, ino: Ino) -> Stat:
        """stat(2)."""
        node = self._tree.get(ino)
        await self._lookups.refresh(node)
        return self._stat(node)

    async def setattr(self, ino: Ino, changes: Changes, handle: HandleId | None = None) -> Stat:
        """chmod, chown, utimens, truncate; handle: the open file through which it was asked for."""
        self._check_writable()
        node = self._tree.get(ino)
        if changes.size is not None and handle is None and self._behaviour.check_at_open:
            node.checked = NEVER  # it is an open and a close in one
        await self._lookups.refresh(node)
        if handle is not None:
            self._handles.file(handle).check_version()
        try:
            await self._metadata.change(node, changes, by_handle=handle is not None)
        except OssfsError:
            # Cut off but not stored: such a kernel would go on with the size that it knows.
            cut = handle is None and changes.size == node.current_size and node.dirty
            if self._behaviour.kernel_writeback and cut:
                self._lookups.renumber(node)
            raise
        if handle is not None and changes.size is not None:
            self._handles.file(handle).wrote = node.generation
        return self._stat(node)

    async def getxattr(self, ino: Ino, name: bytes) -> bytes:
        """getxattr(2) of names below user."""
        return await self._metadata.get_xattr(await self._fresh(ino), name)

    async def listxattr(self, ino: Ino) -> list[bytes]:
        """listxattr(2)."""
        return await self._metadata.list_xattrs(await self._fresh(ino))

    async def setxattr(self, ino: Ino, name: bytes, value: bytes, flags: int = 0) -> None:
        """setxattr(2); flags: XATTR_CREATE, XATTR_REPLACE."""
        self._check_writable()
        await self._metadata.set_xattr(await self._fresh(ino), name, value, flags)

    async def removexattr(self, ino: Ino, name: bytes) -> None:
        """removexattr(2)."""
        self._check_writable()
        await self._metadata.remove_xattr(await self._fresh(ino), name)

    async def _fresh(self, ino: Ino) -> Node:
        node = self._tree.get(ino)
        await self._lookups.refresh(node)
        return node

    # --- files ---------------------------------------------------------------------------------

    async def create(
        self, parent: Ino, name: bytes, mode: int, flags: int, caller: Caller
    ) -> tuple[Opened, Stat]:
        """open(2) with O_CREAT of a name that the kernel does not know."""
        directory = self._writable_directory(parent)
        text = self._creation.creatable(directory, name, is_directory=False)
        node = await self._lookups.child(directory, text)
        if node is not None:
            if flags & os.O_EXCL:
                raise EntryExists("the name is taken")
            opened = await self._content.open(node, flags)
            return opened, self._referenced(node)
        node = self._creation.new_file(directory, text, stat.S_IMODE(mode), caller)
        node.exclusive = bool(flags & os.O_EXCL)
        return self._content.opened(node, flags), self._referenced(node)

    async def open(self, ino: Ino, flags: int) -> Opened:
        """open(2) of an existing file."""
        if flags & os.O_ACCMODE != os.O_RDONLY or flags & os.O_TRUNC:
            self._check_writable()
        return await self._content.open(self._tree.get(ino), flags)

    async def read(self, handle: HandleId, offset: int, length: int) -> Buffer:
        """pread(2)."""
        return await self._content.read(handle, offset, length)

    async def write(
        self, handle: HandleId, offset: int, data: Buffer, *, placed: bool = False
    ) -> int:
        """pwrite(2); placed: at *offset* even through a handle that appends."""
        written = await self._content.write(handle, offset, data, placed=placed)
        node = self._handles.file(handle).node
        node.shown_size = max(node.shown_size, offset + written)
        return written

    def believed_end(self, handle: HandleId) -> int:
        """Where the caller must believe the file to end, from what it was shown and wrote."""
        return self._handles.file(handle).node.shown_size

    async def flush(self, handle: HandleId) -> None:
        """One close(2) of a descriptor of the handle."""
        await self._content.flush(handle)

    async def fsync(self, handle: HandleId) -> None:
        """fsync(2), fdatasync(2), msync(2)."""
        await self._content.fsync(handle)

    async def release(self, handle: HandleId) -> None:
        """The last descriptor and mapping are gone."""
        await self._content.release(handle)

    # --- directories ---------------------------------------------------------------------------

    async def opendir(self, ino: Ino) -> HandleId:
        """opendir(3)."""
        return self._listings.open(self._directory(ino))

    async def readdir(self, handle: HandleId, position: int, count: int) -> list[DirectoryEntry]:
        """At most *count* entries from *position* on; none at the end."""
        entries = await self._listings.read(handle, position, count)
        return [self._entry(entry) for entry in entries]

    def _entry(self, entry: Entry) -> DirectoryEntry:
        return DirectoryEntry(
            name=entry.name.encode(),
            position=entry.position,
            stat=self._stat(entry.node),
        )

    async def fsyncdir(self, handle: HandleId) -> None:
        """fsync(2) of a directory: its own attributes; its entries are stored already."""
        await self._saver.store(self._handles.directory(handle).node)

    async def releasedir(self, handle: HandleId) -> None:
        """closedir(3)."""
        node = self._handles.remove(handle).node
        node.handles -= 1
        self._tree.release(node)

    # --- the whole -----------------------------------------------------------------------------

    async def recover(self) -> None:
        """Settle renames that a crash cut short, before anything is asked of this mount."""
        if not self._behaviour.read_only:
            await self._recovery.run()

    def unsaved(self) -> list[Unsaved]:
        """What OSS does not hold yet."""
        return self._saver.unsaved()

    async def drain(self, timeout: float) -> list[Unsaved]:
        """Store everything, for *timeout* seconds at most; returns what could not be stored."""
        return await self._saver.drain(timeout)

    def _stat(self, node: Node) -> Stat:
        shown = self._metadata.stat(node, self._lookups.validity(node))
        node.shown_size = shown.size
        return shown

    def _directory(self, ino: Ino) -> Node:
        node = self._tree.get(ino)
        if not node.is_directory:
            raise NotADirectory("not a directory")
        return node

    def _writable_directory(self, ino: Ino) -> Node:
        self._check_writable()
        return self._directory(ino)

    def _check_writable(self) -> None:
        if self._behaviour.read_only:
            raise ReadOnlyFileSystem("mounted read-only")
