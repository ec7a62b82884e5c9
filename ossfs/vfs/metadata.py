"""Attributes as callers see and change them: stat, chmod, chown, utimens, truncate, xattrs."""

import stat
from collections.abc import Callable
from dataclasses import dataclass, replace

from ossfs.errors import (
    EntryExists,
    FileTooLarge,
    InvalidArgument,
    IsADirectory,
    NoAttribute,
    NoAttributeRoom,
    Unsupported,
)
from ossfs.format import attributes as attribute_format
from ossfs.format import xattrs
from ossfs.format.attributes import Attributes
from ossfs.types import Ino
from ossfs.vfs.attribute_saving import AttributeSaver
from ossfs.vfs.content import Content, without_privileges
from ossfs.vfs.kernel import Behaviour
from ossfs.vfs.node import Node
from ossfs.vfs.saving import Saver
from ossfs.vfs.server_side import ServerSideChanges
from ossfs.vfs.status import STATUS_PREFIX, Status

SSE = STATUS_PREFIX + b"sse"
XATTR_CREATE = 1
XATTR_REPLACE = 2
USER = b"user."
BLOCK_SIZE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """What stat(2) shows; times in nanoseconds; valid: seconds for which a cache may believe it."""

    ino: Ino
    mode: int
    uid: int
    gid: int
    nlink: int
    size: int
    blocks: int
    atime_ns: int
    mtime_ns: int
    ctime_ns: int
    valid: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What setattr asks for; None leaves a field as it is.

    ctime_ns: of a kernel that keeps the times of what it gathers; any other change makes it now.
    """

    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    size: int | None = None
    atime_ns: int | None = None
    mtime_ns: int | None = None
    ctime_ns: int | None = None


class Metadata:
    """now: wall clock in nanoseconds."""

    def __init__(
        self,
        *,
        content: Content,
        saver: Saver,
        attributes: AttributeSaver,
        status: Status,
        server_side: ServerSideChanges,
        behaviour: Behaviour,
        now: Callable[[], int],
    ) -> None:
        self._content = content
        self._saver = saver
        self._attributes = attributes
        self._status = status
        self._server_side = server_side
        self._behaviour = behaviour
        self._now = now

    def stat(self, node: Node, valid: float) -> Stat:
        """The node as it is known now."""
        attributes, behaviour = node.attributes, self._behaviour
        mode = attributes.mode
        if behaviour.show_umask is not None and not stat.S_ISLNK(mode):
            mode = stat.S_IFMT(mode) | (0o777 & ~behaviour.show_umask)
        size = 0 if node.is_directory else node.current_size
        return Stat(
            ino=node.ino,
            mode=mode,
            uid=attributes.uid if behaviour.show_uid is None else behaviour.show_uid,
            gid=attributes.gid if behaviour.show_gid is None else behaviour.show_gid,
            # One, also for directories: find and others then do not count subdirectories by it.
            nlink=0 if node.unlinked else 1,
            size=size,
            blocks=-(-size // BLOCK_SIZE),
            atime_ns=attributes.atime_ns,
            mtime_ns=attributes.mtime_ns,
            ctime_ns=attributes.ctime_ns,
            valid=valid,
        )

    async def change(self, node: Node, changes: Changes, *, by_handle: bool) -> None:
        """setattr.

        A size given by path is stored before this returns, since no flush will follow.
        """
        if changes.size is not None:
            if node.is_directory:
                raise IsADirectory("is a directory")
            if changes.size < 0:
                raise InvalidArgument("negative size")
            await self._content.truncate(node, changes.size, by_handle=by_handle)
        # A request without a field is a chown that keeps both owners: a new ctime, like any other.
        if changes.size is None or changes != Changes(size=changes.size):
            before, node.attributes = node.attributes, self._changed(node.attributes, changes)
            # A kernel that keeps the times tells the ctime of a rename in this way, for which no
            # request is worth it.
            if changes != Changes(mtime_ns=before.mtime_ns, ctime_ns=changes.ctime_ns):
                self._attributes.changed(node)
        if changes.size is not None and not by_handle:
            try:
                await self._saver.store_content(node)
            finally:
                self._saver.let_go(node)

    def _changed(self, before: Attributes, changes: Changes) -> Attributes:
        mode = before.mode
        if changes.mode is not None:
            if stat.S_ISLNK(mode):
                raise Unsupported("symbolic links have no mode of their own")
            mode = stat.S_IFMT(mode) | stat.S_IMODE(changes.mode)
        elif (changes.uid, changes.gid) != (None, None) and not stat.S_ISDIR(mode):
            mode = without_privileges(mode)

        def chosen(new: int | None, old: int) -> int:
            return old if new is None else new

        return replace(
            before,
            mode=mode,
            uid=chosen(changes.uid, before.uid),
            gid=chosen(changes.gid, before.gid),
            atime_ns=chosen(changes.atime_ns, before.atime_ns),
            mtime_ns=chosen(changes.mtime_ns, before.mtime_ns),
            ctime_ns=chosen(changes.ctime_ns, self._now()),
        )

    # --- extended attributes ---------------------------------------------------------------------

    async def get_xattr(self, node: Node, name: bytes) -> bytes:
        """Raises NoAttribute."""
        if name.startswith(STATUS_PREFIX):
            value = await self._status.value(
                node, name[len(STATUS_PREFIX) :].decode("utf-8", "replace")
            )
            if value is None:
                raise NoAttribute("no such status attribute")
            return value.encode()
        try:
            return node.attributes.xattrs[name]
        except KeyError:
            raise NoAttribute("no such attribute") from None

    async def list_xattrs(self, node: Node) -> list[bytes]:
        """Names of the user's attributes, and of the status attributes unless they are hidden."""
        names = list(node.attributes.xattrs)
        if self._behaviour.list_status:
            names += [STATUS_PREFIX + name.encode() for name in await self._status.listed(node)]
        return names

    async def set_xattr(self, node: Node, name: bytes, value: bytes, flags: int) -> None:
        """Raises EntryExists (CREATE), NoAttribute (REPLACE), NoAttributeRoom, Unsupported,
        FileTooLarge, InvalidArgument.
        """
        if name.startswith(STATUS_PREFIX):
            await self._set_status(node, name, value)
            return
        if name == USER:
            raise InvalidArgument("an attribute without a name")
        if not name.startswith(USER):
            raise Unsupported("only attributes named user.* are kept")
        present = name in node.attributes.xattrs
        if flags & XATTR_CREATE and present:
            raise EntryExists("the attribute exists")
        if flags & XATTR_REPLACE and not present:
            raise NoAttribute("no such attribute")
        if not present or node.attributes.xattrs[name] != value:
            self._replace_xattrs(node, {**node.attributes.xattrs, name: value})

    async def remove_xattr(self, node: Node, name: bytes) -> None:
        """Raises NoAttribute, Unsupported, and as `set_xattr` where that changes the object."""
        if name == SSE:
            await self._set_status(node, name, b"none")
            return
        if name.startswith(STATUS_PREFIX):
            return  # Status belongs to the object; cp -a and rsync -X must not fail over it.
        if not name.startswith(USER):
            raise NoAttribute("no such attribute")
        rest = dict(node.attributes.xattrs)
        if rest.pop(name, None) is None:
            raise NoAttribute("no such attribute")
        self._replace_xattrs(node, rest)

    async def _set_status(self, node: Node, name: bytes, value: bytes) -> None:
        """Accepted and without effect, except for `sse`, which changes what is stored."""
        if name != SSE:
            return
        if not node.is_regular:
            raise Unsupported("server-side encryption can be chosen for regular files")
        await self._server_side.change(node, value.decode("utf-8", "replace"))

    def _replace_xattrs(self, node: Node, new: dict[bytes, bytes]) -> None:
        xattrs.to_header(new)  # raises NoAttributeRoom here, not at close
        changed = replace(node.attributes, xattrs=new, ctime_ns=self._now())
        self._check_reupload(node, changed)
        node.attributes = changed
        self._attributes.changed(node)

    def _check_reupload(self, node: Node, changed: Attributes) -> None:
        """Xattrs too large for a tag need the file uploaded again: refused if that is too large."""
        limit, info = self._behaviour.reupload_max, node.info
        if info is None or node.dirty or node.is_directory or info.size <= limit:
            return
        try:
            attribute_format.to_tags(changed, 0, stored=info.metadata)
        except NoAttributeRoom as error:
            raise FileTooLarge("the attributes need an upload of the whole file") from error
