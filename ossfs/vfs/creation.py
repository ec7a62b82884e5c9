"""Making names: create, mkdir, symlink, mknod.

The kernel serialises these within one directory; uploads, other directories and the requests of
this mount to OSS run beside them. A name enters the tree only after OSS has acknowledged it, except
that of a regular file, which is stored when it is closed.
"""

import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ossfs.errors import (
    AlreadyExists,
    EntryExists,
    InvalidArgument,
    NameNotUtf8,
    NameTooLong,
    NoEntry,
    NotPermitted,
)
from ossfs.format.attributes import Attributes
from ossfs.format.names import NAME_MAX, RESERVED, is_component
from ossfs.store.base import ObjectInfo
from ossfs.transfer.uploader import Uploader
from ossfs.types import ObjectKey
from ossfs.vfs.gate import TreeGate
from ossfs.vfs.known_names import Listing
from ossfs.vfs.lookups import Lookups
from ossfs.vfs.node import NEVER, Node
from ossfs.vfs.policy import Policy
from ossfs.vfs.saving import Saver
from ossfs.vfs.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: user and group of the process; its umask is in the modes already."""

    uid: int
    gid: int


class Creation:
    """now: wall clock in nanoseconds; clock: seconds, monotonic."""

    def __init__(
        self,
        *,
        tree: Tree,
        gate: TreeGate,
        lookups: Lookups,
        saver: Saver,
        uploader: Uploader,
        policy: Policy,
        now: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self._tree = tree
        self._gate = gate
        self._lookups = lookups
        self._saver = saver
        self._uploader = uploader
        self._policy = policy
        self._now = now
        self._clock = clock

    # --- finding -----------------------------------------------------------------------------

    async def existing(self, directory: Node, name: bytes) -> Node:
        """The node of that name. Raises NoEntry."""
        node = await self._lookups.named(directory, name)
        if node is None:
            raise NoEntry("no such name")
        return node

    async def free_name(self, directory: Node, name: bytes, *, is_directory: bool = False) -> str:
        """A name that can be created. Raises EntryExists and what `creatable` raises."""
        text = self.creatable(directory, name, is_directory=is_directory)
        if await self._lookups.child(directory, text) is not None:
            raise EntryExists("the name is taken")
        return text

    def creatable(self, directory: Node, name: bytes, *, is_directory: bool) -> str:
        """The text of a name that may stand in a key.

        Raises NameTooLong, NameNotUtf8, InvalidArgument, NotPermitted (reserved), NoEntry (the
        directory was removed).
        """
        text = _decoded(name)
        check_exists(directory)
        self._tree.check_key(directory, text, is_directory=is_directory)
        return text

    # --- making --------------------------------------------------------------------------------

    def new_file(self, directory: Node, name: str, mode: int, caller: Caller) -> Node:
        """A regular file with empty staged content; nothing is stored yet."""
        check_exists(directory)
        node = self._tree.new(name, self._attributes(directory, stat.S_IFREG | mode, caller))
        self._saver.start_empty(node)
        self._add(directory, name, node)
        return node

    async def make_directory(self, directory: Node, name: bytes, mode: int, caller: Caller) -> Node:
        """mkdir(2): puts the marker."""
        text = await self.free_name(directory, name, is_directory=True)
        attributes = self._attributes(directory, stat.S_IFDIR | mode, caller)
        async with self._gate.shared(directory):
            check_exists(directory)
            key = self._tree.directory_key(directory, text)
            with self._storing(directory, text):
                info = await self._put_marker(key, attributes)
            found = directory.entries().children.get(text)
            if found is not None and found.is_directory:
                return found  # a lookup under way was faster
            self.make_way(directory, text)
            node = self._tree.new(text, attributes)
            node.info, node.checked = info, self._clock()
            node.entries().listing = Listing(self._clock(), {})
            self._add(directory, text, node)
        return node

    async def make_link(self, directory: Node, name: bytes, target: bytes, caller: Caller) -> Node:
        """symlink(2): the target is the encrypted content of the object."""
        text = await self.free_name(directory, name)
        node = await self._store_new(directory, text, stat.S_IFLNK | 0o777, caller, target)
        node.target = target
        return node

    async def make_node(self, directory: Node, name: bytes, mode: int, caller: Caller) -> Node:
        """mknod(2) of a regular file, a fifo or a socket. Raises NotPermitted for devices."""
        kind = stat.S_IFMT(mode) or stat.S_IFREG
        if kind not in {stat.S_IFREG, stat.S_IFIFO, stat.S_IFSOCK}:
            raise NotPermitted("device nodes do not exist here")
        text, mode = await self.free_name(directory, name), kind | stat.S_IMODE(mode)
        if kind == stat.S_IFREG:
            return await self._store_new(directory, text, mode, caller, b"")
        async with self._gate.shared(directory):
            check_exists(directory)
            key = self._tree.child_key(directory, text)
            attributes = self._attributes(directory, mode, caller)
            with self._storing(directory, text):
                info = await self._put_marker(key, attributes)
            self.make_way(directory, text)
            node = self._tree.new(text, attributes)
            node.info, node.checked = info, self._clock()
            self._add(directory, text, node)
        return node

    async def _put_marker(self, key: ObjectKey, attributes: Attributes) -> ObjectInfo:
        return await self._uploader.put_marker(
            key,
            attributes=attributes,
            forbid_overwrite=True,
            protection=self._policy.protection(key),
        )

    async def _store_new(
        self, directory: Node, name: str, mode: int, caller: Caller, content: bytes
    ) -> Node:
        """For what no flush follows: in the bucket, then in the directory."""
        async with self._gate.shared(directory):
            check_exists(directory)
            node = self._tree.new(name, self._attributes(directory, mode, caller))
            try:
                with self._storing(directory, name):
                    key = self._tree.child_key(directory, name)
                    await self._saver.upload_new(node, key, content)
                self.make_way(directory, name)
            except BaseException:
                self._tree.release(node)
                raise
            self._add(directory, name, node)
        return node

    @contextmanager
    def _storing(self, directory: Node, name: str) -> Iterator[None]:
        """Around what stores a new name: if it fails, only OSS knows whether the name is there."""
        try:
            yield
        except BaseException as error:
            self.unsure(directory, name)
            if isinstance(error, AlreadyExists):
                raise EntryExists("another client made it") from None
            raise

    @staticmethod
    def unsure(directory: Node, name: str) -> None:
        """OSS is to be asked again whether there is such a name."""
        folder = directory.entries()
        folder.absent.pop(name, None)
        folder.listing = None
        if name in folder.children:
            folder.children[name].checked = NEVER

    def make_way(self, directory: Node, name: str) -> None:
        """A lookup that was under way may have found what was just stored before it has its node.

        Raises EntryExists if that is something of this mount, NoEntry if another client removed the
        directory meanwhile.
        """
        check_exists(directory)
        found = directory.entries().children.get(name)
        if found is None:
            return
        if found.pinned or not self._lookups.vanished(found):
            raise EntryExists("the name was taken meanwhile")

    def _attributes(self, directory: Node, mode: int, caller: Caller) -> Attributes:
        """Those of something new.

        A set-gid directory hands its group on, to directories the bit too.
        """
        now, gid = self._now(), caller.gid
        if directory.attributes.mode & stat.S_ISGID:
            gid = directory.attributes.gid
            if stat.S_ISDIR(mode):
                mode |= stat.S_ISGID
        return Attributes(
            mode=mode, uid=caller.uid, gid=gid, atime_ns=now, mtime_ns=now, ctime_ns=now, xattrs={}
        )

    def _add(self, directory: Node, name: str, node: Node) -> None:
        self._tree.attach(directory, name, node)
        self.entries_changed(directory)

    def changed(self, node: Node) -> None:
        """Something but its attributes changed: a new ctime, in memory till they are stored."""
        node.attributes = replace(node.attributes, ctime_ns=self._now())

    def entries_changed(self, directory: Node) -> None:
        """A directory whose entries changed has new times, in memory till its marker is put."""
        now = self._now()
        directory.attributes = replace(directory.attributes, mtime_ns=now, ctime_ns=now)


def check_exists(directory: Node) -> None:
    """Raises NoEntry for a directory that was removed."""
    if directory.leaving or directory.unlinked or not directory.attached:
        raise NoEntry("the directory was removed")


def _decoded(name: bytes) -> str:
    if len(name) > NAME_MAX:
        raise NameTooLong("name above 255 bytes")
    try:
        text = name.decode()
    except UnicodeDecodeError:
        raise NameNotUtf8("OSS keys are UTF-8, this name is not") from None
    if text == RESERVED:
        raise NotPermitted(f"the name {RESERVED} is reserved")
    if not is_component(text):
        raise InvalidArgument("not a name")
    return text
