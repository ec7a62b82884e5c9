"""Reading, writing, truncating: the content of nodes, by way of open handles.

Reads come from staged content if there is any, else from the stored version that the handle opened.
The first write copies the stored content into staging; from then on the node's content is there
until OSS has it and nobody can write any more.
"""

import dataclasses
import os
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ossfs.errors import (
    BadHandle,
    FileTooLarge,
    IntegrityError,
    IsADirectory,
    NotFound,
    OssfsError,
    Stale,
    StaleHandle,
)
from ossfs.staging.staged import StagedFile
from ossfs.store.base import ObjectInfo
from ossfs.transfer.opener import Opener
from ossfs.transfer.reader import ObjectReader
from ossfs.types import Buffer, HandleId, ObjectKey
from ossfs.vfs.foresight import Foresight
from ossfs.vfs.handles import FileHandle, HandleTable
from ossfs.vfs.kernel import Behaviour
from ossfs.vfs.lookups import Lookups
from ossfs.vfs.node import NEVER, Node
from ossfs.vfs.remote import Found, Remote, same_version
from ossfs.vfs.saving import Saver
from ossfs.vfs.tree import Tree

COPY_UP = 4 << 20
"""Bytes read at a time when stored content is copied into staging."""

MAX_SIZE = 48_800_000_000_000
"""What OSS allows for one object (48.8 TB)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """keep_pages: the kernel's cached pages are those of the version that was opened; past_pages:
    the kernel must neither use nor fill them for this handle.
    """

    handle: HandleId
    keep_pages: bool
    past_pages: bool = False


class Content:
    """now: wall clock in nanoseconds; discard: called with an unlinked node once nobody has it
    open.
    """

    def __init__(
        self,
        *,
        tree: Tree,
        handles: HandleTable,
        lookups: Lookups,
        remote: Remote,
        opener: Opener,
        saver: Saver,
        behaviour: Behaviour,
        now: Callable[[], int],
        foresight: Foresight,
        discard: Callable[[Node], Awaitable[None]],
    ) -> None:
        self._tree = tree
        self._handles = handles
        self._lookups = lookups
        self._remote = remote
        self._opener = opener
        self._saver = saver
        self._behaviour = behaviour
        self._now = now
        self._foresight = foresight
        self._discard = discard

    # --- open and close ------------------------------------------------------------------------

    async def open(self, node: Node, flags: int) -> Opened:
        """open(2) of an existing file. Raises the error that reading it would meet."""
        if node.is_directory:
            raise IsADirectory("is a directory")
        handle = FileHandle(node=node, flags=flags, epoch=node.epoch)
        truncates = bool(flags & os.O_TRUNC)
        if handle.readable and not truncates:
            self._foresight.opened(node)
        # Counted before anything is waited for: whoever takes the name away now keeps the content.
        node.handles += 1
        try:
            await self._wait_for_removal(node)
            await self._foresight.arrival(node)
            if node.staged is None and not node.dirty:
                await self._check(node, needs_content=not truncates)
            if truncates:
                self.cut_to_nothing(node)
                handle.wrote = node.generation
                if not handle.writable:
                    await self._saver.store_content(node)  # its close will store nothing
        except BaseException:
            await self._closed(node)
            raise
        handle.epoch = node.epoch
        return self._number(handle)

    def opened(self, node: Node, flags: int) -> Opened:
        """The first handle of a new file."""
        node.handles += 1
        handle = FileHandle(node=node, flags=flags, epoch=node.epoch, wrote=node.generation)
        return self._number(handle)

    def _number(self, handle: FileHandle) -> Opened:
        node = handle.node
        node.writers += handle.writable
        version = node.info.etag if node.info is not None else None
        keep = node.kernel_pages == version
        node.kernel_pages = version
        # Handles share the kernel's pages: one that has become stale must not find there what
        # another client stored, and read a mixture of two versions.
        past = node.epoch > 0 and node.handles > 1 and self._handles.any_stale(node)
        return Opened(handle=self._handles.add(handle), keep_pages=keep, past_pages=past)

    async def _wait_for_removal(self, node: Node) -> None:
        """If the name is about to go, find out whether it does. Raises StaleHandle if it did and
        no other handle keeps the content.
        """
        if node.leaving:
            async with node.upload_lock:
                pass
        if node.unlinked and node.handles == 1:
            raise StaleHandle("the file was removed")
        self._lookups.check_attached(node)

    async def _check(self, node: Node, *, needs_content: bool) -> None:
        """Ask OSS once whether the node is still what this mount believes, as close-to-open
        demands.
        """
        if not self._behaviour.check_at_open and self._lookups.fresh(node):
            return
        async with node.content_lock:
            if node.busy or self._foresight.take(node):
                return
            stamp = self._lookups.stamp(node)
            found, reader = await self._ask(node, stamp.key, needs_content=needs_content)
            try:
                if not self._lookups.fits(stamp, node):
                    return
                self._lookups.accept(node, found)
                if reader is not None and not reader.is_closed:
                    _close_unless(node.reader, reader)
                    node.reader = reader
            finally:
                _close_unless(reader, node.reader)

    async def _ask(
        self, node: Node, key: ObjectKey, *, needs_content: bool
    ) -> tuple[Found | None, ObjectReader | None]:
        if not needs_content or not node.is_regular:
            return await self._remote.file(key), None
        try:
            info, reader = await self._opener.open(key, expect_size=node.size, known=node.reader)
        except NotFound:
            return None, None
        try:
            return await self._remote.of_info(info), reader
        except BaseException:
            _close_unless(reader, node.reader)
            raise

    async def flush(self, number: HandleId) -> None:
        """One of the close(2) of a descriptor: return once OSS has what was written."""
        handle = self._handles.file(number)
        if handle.writable:
            if handle.node.dirty:
                await self._saver.store_content(handle.node)
            handle.check_stored()

    async def fsync(self, number: HandleId) -> None:
        """fsync(2): content and attributes."""
        handle = self._handles.file(number)
        await self._saver.store(handle.node)
        handle.check_stored()

    async def release(self, number: HandleId) -> None:
        """The last descriptor of the handle is gone, and no mapping is left."""
        handle = self._handles.remove(number)
        assert isinstance(handle, FileHandle)
        handle.node.writers -= handle.writable
        await self._closed(handle.node)

    async def _closed(self, node: Node) -> None:
        node.handles -= 1
        if not node.handles and node.reader is not None:
            node.reader.close()
            node.reader = None
        if node.unlinked:
            await self._discard(node)
            return
        if node.dirty and not node.writers:
            self._saver.store_later(node)  # written through a mapping after the last flush
        self._saver.let_go(node)
        self._tree.release(node)

    # --- bytes ---------------------------------------------------------------------------------

    async def read(self, number: HandleId, offset: int, length: int) -> Buffer:
        """Up to *length* bytes from *offset*; fewer only at the end. Raises StaleHandle,
        IntegrityError…
        """
        handle = self._handles.file(number)
        # A kernel that gathers writes reads what surrounds them, through any handle.
        if not handle.readable and not self._behaviour.kernel_writeback:
            raise BadHandle("not open for reading")
        node = handle.node
        while True:
            handle.check_version()
            if node.staged is not None:
                return node.staged.pread(offset, length)
            if offset >= node.size:
                return b""
            if node.info is None:
                raise StaleHandle("the file was removed")
            piece = await self._fetch(node, offset, length)
            if piece is not None:
                return piece

    async def _fetch(self, node: Node, offset: int, length: int) -> Buffer | None:
        """Stored bytes; None if the node changed while they were asked for."""
        reader = node.reader
        if reader is None:
            async with node.content_lock:
                reader = await self._current_reader(node)
            if reader is None:
                return None
        return await self._fetch_from(node, reader, offset, length)

    async def _fetch_from(
        self, node: Node, reader: ObjectReader, offset: int, length: int
    ) -> Buffer | None:
        try:
            return await reader.read(offset, length)
        except OssfsError as error:
            if isinstance(error, Stale | NotFound) and node.staged is None:
                # It may be this mount that is replacing the version.
                async with node.upload_lock:
                    pass
            if node.reader is not reader or node.staged is not None:
                return None
            if isinstance(error, Stale | NotFound):
                self._lookups.replaced(node)
                node.checked = NEVER
                raise StaleHandle("another client replaced the file") from error
            raise

    async def _current_reader(self, node: Node) -> ObjectReader | None:
        """A reader of the stored version that this mount knows; None if there is none to read.

        The caller holds the content lock. Whether OSS still has that version shows when it reads.
        """
        info = node.info
        if node.reader is not None or node.staged is not None or info is None:
            return node.reader
        reader = await self._opener.open_known(info)
        if not _still(node.info, info):
            reader.close()
            return None
        node.reader = reader
        return reader

    async def write(
        self, number: HandleId, offset: int, data: Buffer, *, placed: bool = False
    ) -> int:
        """Stage *data* at *offset*, or at the end for O_APPEND unless it is *placed*. Returns its
        length.
        """
        handle = self._handles.file(number)
        if not handle.writable:
            raise BadHandle("not open for writing")
        node = handle.node
        handle.check_version()
        await self._stage_for(node, len(data))
        handle.check_version()
        assert node.staged is not None
        at = node.staged.size if handle.appends and not placed else offset
        if at + len(data) > MAX_SIZE:
            raise FileTooLarge("larger than an object may be")
        node.staged.pwrite(at, data)
        self._touched(node)
        handle.wrote = node.generation
        return len(data)

    async def truncate(self, node: Node, size: int, *, by_handle: bool = False) -> None:
        """Cut off or extend with a hole. Nothing is uploaded yet.

        by_handle: of the version that the node has now. Raises StaleHandle if another one came.
        """
        if size > MAX_SIZE:
            raise FileTooLarge("larger than an object may be")
        if size == 0:
            self.cut_to_nothing(node)
            return
        await self.stage(node, keep=size, epoch=node.epoch if by_handle else None)
        assert node.staged is not None
        node.staged.truncate(size)
        self._touched(node)

    def cut_to_nothing(self, node: Node) -> None:
        """Truncate to zero: needs neither the stored content nor a key for it."""
        self._saver.start_empty(node)
        self._touched(node)

    def _touched(self, node: Node) -> None:
        node.generation += 1
        now = self._now()
        attributes = node.attributes
        # A write by anyone takes set-uid and set-gid away; the kernel leaves that to the file
        # system.
        mode = attributes.mode
        if mode & (stat.S_ISUID | stat.S_ISGID):
            mode = without_privileges(mode)
        node.attributes = dataclasses.replace(attributes, mode=mode, mtime_ns=now, ctime_ns=now)

    async def _stage_for(self, node: Node, incoming: int) -> None:
        """Have the node's content in staging, and room there for *incoming* bytes."""
        settled = None
        while node.staged is None or node.staged is not settled:
            await self.stage(node)
            settled = node.staged
            if settled is not None:
                await settled.settle(incoming)

    async def stage(self, node: Node, *, keep: int | None = None, epoch: int | None = None) -> None:
        """Have the node's content in staging: all of it, or its first *keep* bytes.

        epoch: raises StaleHandle, with nothing staged, if the node is of another one by then.
        """
        if node.staged is not None:
            return
        async with node.content_lock:
            while node.staged is None:
                if epoch is not None and node.epoch != epoch:
                    raise StaleHandle("another client replaced the file")
                staged = await self._copy(node, keep)
                if staged is None:
                    continue
                if node.staged is None:
                    node.staged = staged
                else:
                    staged.close()  # truncated to nothing meanwhile, for which nobody waits

    async def _copy(self, node: Node, keep: int | None) -> StagedFile | None:
        info = node.info
        end = node.size if keep is None else min(keep, node.size)
        staged = self._saver.new_staged()
        try:
            while staged.size < end:
                reader = node.reader or await self._current_reader(node)
                piece: Buffer | None = None
                if reader is not None:
                    wanted = min(COPY_UP, end - staged.size)
                    piece = await self._fetch_from(node, reader, staged.size, wanted)
                if piece:
                    await staged.settle(len(piece))
                # Looked at last of all: the node is not busy before it has what is staged here.
                if piece is None or not _still(node.info, info):
                    staged.close()
                    return None
                if not piece:
                    raise IntegrityError("stored content ends before its size")
                staged.pwrite(staged.size, piece)
        except BaseException:
            staged.close()
            raise
        return staged

    async def read_all(self, node: Node) -> bytes:
        """The whole content of a small file or the target of a link."""
        if node.staged is not None:
            return node.staged.pread(0, node.staged.size)
        while True:
            piece = await self._fetch(node, 0, node.size) if node.size else b""
            if piece is not None:
                return bytes(piece)


def _still(now: ObjectInfo | None, before: ObjectInfo | None) -> bool:
    """Whether content of the one is content of the other, under the same key."""
    if now is None or before is None:
        return now is before
    return now.key == before.key and same_version(before, now)


def _close_unless(reader: ObjectReader | None, kept: ObjectReader | None) -> None:
    if reader is not None and reader is not kept:
        reader.close()


def without_privileges(mode: int) -> int:
    """The mode after someone wrote to the file: no set-uid, and set-gid only where it marks
    locking.
    """
    mode &= ~stat.S_ISUID
    return mode & ~stat.S_ISGID if mode & stat.S_IXGRP else mode
