"""pyfuse3 requests in, calls of the file system out. Nothing is decided here."""

import errno
import logging
from collections.abc import Sequence

import pyfuse3
from pyfuse3 import (
    EntryAttributes,
    FileHandleT,
    FileInfo,
    FileNameT,
    FlagT,
    InodeT,
    ModeT,
    ReaddirToken,
    RequestContext,
    SetattrFields,
    StatvfsData,
    XAttrNameT,
)

from ossfs.fuse.boundary import never_raises, replies_errno
from ossfs.types import HandleId, Ino
from ossfs.vfs.content import Opened
from ossfs.vfs.creation import Caller
from ossfs.vfs.filesystem import FileSystem
from ossfs.vfs.metadata import Changes, Stat

log = logging.getLogger(__name__)

USER = b"user."
ENTRIES_AT_A_TIME = 64
IO_SIZE = 128 * 1024
"""st_blksize: what stdio and cp read at a time."""

PIB = 1 << 50
BLOCK = 4096
MAX_NAME = 255
MAX_FILES = 1 << 32


class KernelNotifier:
    """Tells the kernel which attributes it must ask for again."""

    def invalidate_attributes(self, ino: Ino) -> None:
        """Attributes alone never block: no page is waited for."""
        try:
            pyfuse3.invalidate_inode(InodeT(ino), attr_only=True)
        except OSError as error:
            # The kernel does not know the inode, or the mount is going away.
            log.debug("invalidating attributes: %s", error)


class Operations(pyfuse3.Operations):
    """One method per request; each wears the boundary.

    writeback: the kernel gathers writes, so that all of them come with offsets of its own.
    """

    supports_dot_lookup = False
    enable_acl = False

    def __init__(self, filesystem: FileSystem, *, writeback: bool = False) -> None:
        super().__init__()
        self._fs = filesystem
        self.enable_writeback_cache = writeback

    # --- names -------------------------------------------------------------------------------

    @replies_errno
    async def lookup(
        self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        found = await self._fs.lookup(Ino(parent_inode), name)
        if found is not None:
            return _entry(found)
        absent = EntryAttributes()
        absent.st_ino = InodeT(0)  # the kernel remembers the absence for entry_timeout
        absent.entry_timeout = self._fs.absence_valid(Ino(parent_inode), name)
        return absent

    @never_raises
    async def forget(self, inode_list: Sequence[tuple[InodeT, int]]) -> None:
        for inode, count in inode_list:
            self._fs.forget(Ino(inode), count)

    @replies_errno
    async def mkdir(
        self, parent_inode: InodeT, name: FileNameT, mode: ModeT, ctx: RequestContext
    ) -> EntryAttributes:
        return _entry(await self._fs.mkdir(Ino(parent_inode), name, mode, _caller(ctx)))

    @replies_errno
    async def mknod(
        self, parent_inode: InodeT, name: FileNameT, mode: ModeT, rdev: int, ctx: RequestContext
    ) -> EntryAttributes:
        return _entry(await self._fs.mknod(Ino(parent_inode), name, mode, _caller(ctx)))

    @replies_errno
    async def symlink(
        self, parent_inode: InodeT, name: FileNameT, target: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        return _entry(await self._fs.symlink(Ino(parent_inode), name, target, _caller(ctx)))

    @replies_errno
    async def link(
        self, inode: InodeT, new_parent_inode: InodeT, new_name: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        raise pyfuse3.FUSEError(errno.EPERM)  # one key, one object

    @replies_errno
    async def unlink(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> None:
        await self._fs.unlink(Ino(parent_inode), name)

    @replies_errno
    async def rmdir(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> None:
        await self._fs.rmdir(Ino(parent_inode), name)

    @replies_errno
    async def rename(
        self,
        parent_inode_old: InodeT,
        name_old: FileNameT,
        parent_inode_new: InodeT,
        name_new: FileNameT,
        flags: FlagT,
        ctx: RequestContext,
    ) -> None:
        await self._fs.rename(
            Ino(parent_inode_old), name_old, Ino(parent_inode_new), name_new, flags
        )

    @replies_errno
    async def readlink(self, inode: InodeT, ctx: RequestContext) -> FileNameT:
        target = await self._fs.readlink(Ino(inode))
        if not target or b"\0" in target:
            raise pyfuse3.FUSEError(errno.EIO)
        return FileNameT(target)

    # --- attributes ----------------------------------------------------------------------------

    @replies_errno
    async def getattr(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes:
        return _entry(await self._fs.getattr(Ino(inode)))

    @replies_errno
    async def setattr(
        self,
        inode: InodeT,
        attr: EntryAttributes,
        fields: SetattrFields,
        fh: FileHandleT | None,
        ctx: RequestContext,
    ) -> EntryAttributes:
        changes = Changes(
            mode=attr.st_mode if fields.update_mode else None,
            uid=attr.st_uid if fields.update_uid else None,
            gid=attr.st_gid if fields.update_gid else None,
            size=attr.st_size if fields.update_size else None,
            atime_ns=attr.st_atime_ns if fields.update_atime else None,
            mtime_ns=attr.st_mtime_ns if fields.update_mtime else None,
            ctime_ns=attr.st_ctime_ns if fields.update_ctime else None,
        )
        handle = None if fh is None else HandleId(fh)
        return _entry(await self._fs.setattr(Ino(inode), changes, handle))

    @replies_errno
    async def access(self, inode: InodeT, mode: ModeT, ctx: RequestContext) -> bool:
        return True  # the kernel checks the permission bits itself (default_permissions)

    @replies_errno
    async def getxattr(self, inode: InodeT, name: XAttrNameT, ctx: RequestContext) -> bytes:
        if not name.startswith(USER):
            raise pyfuse3.FUSEError(errno.ENODATA)  # asked for at every write: no request, no log
        return await self._fs.getxattr(Ino(inode), name)

    @replies_errno
    async def listxattr(self, inode: InodeT, ctx: RequestContext) -> Sequence[XAttrNameT]:
        return [XAttrNameT(name) for name in await self._fs.listxattr(Ino(inode))]

    @replies_errno
    async def setxattr(
        self, inode: InodeT, name: XAttrNameT, value: bytes, ctx: RequestContext
    ) -> None:
        await self._fs.setxattr(Ino(inode), name, value)

    @replies_errno
    async def removexattr(self, inode: InodeT, name: XAttrNameT, ctx: RequestContext) -> None:
        await self._fs.removexattr(Ino(inode), name)

    @replies_errno
    async def statfs(self, ctx: RequestContext) -> StatvfsData:
        data = StatvfsData()
        data.f_bsize = data.f_frsize = BLOCK
        data.f_blocks = data.f_bfree = data.f_bavail = PIB // BLOCK
        data.f_files = data.f_ffree = data.f_favail = MAX_FILES
        data.f_namemax = MAX_NAME
        return data

    # --- files ---------------------------------------------------------------------------------

    @replies_errno
    async def create(
        self,
        parent_inode: InodeT,
        name: FileNameT,
        mode: ModeT,
        flags: FlagT,
        ctx: RequestContext,
    ) -> tuple[FileInfo, EntryAttributes]:
        opened, made = await self._fs.create(Ino(parent_inode), name, mode, flags, _caller(ctx))
        return _file_info(opened), _entry(made)

    @replies_errno
    async def open(self, inode: InodeT, flags: FlagT, ctx: RequestContext) -> FileInfo:
        return _file_info(await self._fs.open(Ino(inode), flags))

    @replies_errno
    async def read(self, fh: FileHandleT, off: int, size: int) -> bytes:
        data = await self._fs.read(HandleId(fh), off, size)
        if len(data) > size:
            raise pyfuse3.FUSEError(errno.EIO)
        return data  # type: ignore[return-value]  # any contiguous buffer will do

    @replies_errno
    async def write(self, fh: FileHandleT, off: int, buf: bytes) -> int:
        # Pages of a mapping come through any handle that can write, one that appends too. An
        # append begins where the kernel believes the end to be, a page before it.
        placed = self.enable_writeback_cache or off < self._fs.believed_end(HandleId(fh))
        return await self._fs.write(HandleId(fh), off, buf, placed=placed)

    @replies_errno
    async def flush(self, fh: FileHandleT) -> None:
        await self._fs.flush(HandleId(fh))

    @replies_errno
    async def fsync(self, fh: FileHandleT, datasync: bool) -> None:
        await self._fs.fsync(HandleId(fh))

    @replies_errno
    async def release(self, fh: FileHandleT) -> None:
        await self._fs.release(HandleId(fh))

    # --- directories ---------------------------------------------------------------------------

    @replies_errno
    async def opendir(self, inode: InodeT, ctx: RequestContext) -> FileHandleT:
        return FileHandleT(await self._fs.opendir(Ino(inode)))

    @replies_errno
    async def readdir(self, fh: FileHandleT, start_id: int, token: ReaddirToken) -> None:
        position = start_id
        while True:
            entries = await self._fs.readdir(HandleId(fh), position, ENTRIES_AT_A_TIME)
            if not entries:
                return
            for entry in entries:
                if not pyfuse3.readdir_reply(
                    token, FileNameT(entry.name), _entry(entry.stat), entry.position
                ):
                    return
                if entry.name not in {b".", b".."}:
                    self._fs.count_reference(entry.stat.ino)
                position = entry.position

    @replies_errno
    async def fsyncdir(self, fh: FileHandleT, datasync: bool) -> None:
        await self._fs.fsyncdir(HandleId(fh))

    @replies_errno
    async def releasedir(self, fh: FileHandleT) -> None:
        await self._fs.releasedir(HandleId(fh))


def _caller(ctx: RequestContext) -> Caller:
    return Caller(uid=ctx.uid, gid=ctx.gid)


def _file_info(opened: Opened) -> FileInfo:
    return FileInfo(
        fh=FileHandleT(opened.handle),
        keep_cache=opened.keep_pages,
        direct_io=opened.past_pages,
    )


def _entry(stat: Stat) -> EntryAttributes:
    entry = EntryAttributes()
    entry.st_ino = InodeT(stat.ino)
    entry.entry_timeout = entry.attr_timeout = stat.valid
    entry.st_mode = ModeT(stat.mode)
    entry.st_nlink = stat.nlink
    entry.st_uid = stat.uid
    entry.st_gid = stat.gid
    entry.st_size = stat.size
    entry.st_blocks = stat.blocks
    entry.st_blksize = IO_SIZE
    entry.st_atime_ns = stat.atime_ns
    entry.st_mtime_ns = stat.mtime_ns
    entry.st_ctime_ns = stat.ctime_ns
    return entry
