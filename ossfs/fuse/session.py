"""One mount from its beginning to its end: kernel session, signals, control socket, drain.

Ends
- umount(8), fusermount3 -u: the kernel ends the session, then what is still staged is stored.
- `ossfs umount`, SIGTERM, SIGINT: everything is stored first, then the session ends.
- an error of the session itself: the mount is left dead, so that nobody takes the empty directory
  below it for the bucket, and the log says so.
"""

import logging
import math
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyfuse3
import trio

from ossfs import log as names_in_log
from ossfs.errors import MountPointError
from ossfs.fuse.control import serve_control
from ossfs.fuse.operations import Operations
from ossfs.vfs.filesystem import FileSystem
from ossfs.vfs.saving import Unsaved

log = logging.getLogger(__name__)

TASKS = 1000
"""Requests served at a time.

Slow closes must never keep a stat waiting; uploads have limits of their own.
"""

READ_AHEAD_KIB = 1024
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """source: as the mount table shows it, `oss://bucket/prefix`; control: path of the socket;
    drain_seconds: how long staged content is tried after the mount is gone; then its loss is
    logged.
    """

    mountpoint: Path
    source: str
    control: Path
    drain_seconds: float = 300.0
    allow_other: bool = False
    read_only: bool = False
    no_exec: bool = False
    kernel_writeback: bool = False

    def for_libfuse(self) -> set[str]:
        """Mount options; devices and set-uid programs of a bucket are never honoured."""
        options = {
            "default_permissions",
            "nosuid",
            "nodev",
            f"fsname={_escaped(self.source)}",
            "subtype=ossfs",
        }
        flags = {"allow_other": self.allow_other, "ro": self.read_only, "noexec": self.no_exec}
        return options | {name for name, given in flags.items() if given}


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(",", "\\,")


class Session:
    """Serves *filesystem* at a mount point.

    One per process, since pyfuse3 keeps its state in the module.
    """

    def __init__(
        self,
        filesystem: FileSystem,
        options: SessionOptions,
        *,
        facts: Mapping[str, object],
        ready: Callable[[], None],
    ) -> None:
        self._filesystem = filesystem
        self._options = options
        self._facts = facts
        self._ready = ready
        self._mounted = False
        self._last_drain = trio.CancelScope()

    async def run(self) -> list[Unsaved]:
        """Mount, serve, and return what could not be stored.

        Raises MountPointError before it is ready.
        """
        self._mount()
        planned = False
        async with trio.open_nursery() as nursery:
            try:
                await nursery.start(self._signals)
                await nursery.start(self._control)
                nursery.start_soon(self._announce)
                await pyfuse3.main(max_tasks=TASKS, min_tasks=TASKS // 4)
                planned = True
            finally:
                # Before the last drain: nobody answers any more, so whoever entered would hang.
                self._close(planned=planned)
            left = await self._drain_finally()
            nursery.cancel_scope.cancel()
        return left

    def _mount(self) -> None:
        try:
            pyfuse3.init(
                Operations(self._filesystem, writeback=self._options.kernel_writeback),
                str(self._options.mountpoint),
                self._options.for_libfuse(),
            )
        except RuntimeError as error:
            raise MountPointError(
                f"{self._options.mountpoint} could not be mounted: {error}"
                " (is /dev/fuse there, and may this user mount? allow_other needs"
                " user_allow_other in /etc/fuse.conf)"
            ) from error
        self._mounted = True

    def _close(self, *, planned: bool) -> None:
        if not planned:
            log.critical(
                "the session with the kernel ended unexpectedly; %s stays a dead mount"
                " until it is unmounted",
                self._options.mountpoint,
            )
        self._mounted = False
        pyfuse3.close(unmount=planned)

    async def _announce(self) -> None:
        """Say that the mount is ready once it has answered a request from the kernel."""
        await trio.to_thread.run_sync(self._options.mountpoint.stat, abandon_on_cancel=True)
        self._widen_read_ahead()
        log.info("mounted %s at %s", self._options.source, self._options.mountpoint)
        self._ready()

    def _widen_read_ahead(self) -> None:
        """Let the kernel read 1 MiB ahead instead of 128 KiB, where this user may say so."""
        device = _device_of(self._options.mountpoint)
        if device is None:
            return
        try:
            Path(f"/sys/class/bdi/{device}/read_ahead_kb").write_text(f"{READ_AHEAD_KIB}\n")
        except OSError as error:
            log.info("kernel read-ahead stays as it is: %s", error.strerror)

    # --- the end -------------------------------------------------------------------------------

    async def _signals(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """The first signal drains and unmounts; a second one stops waiting for the drain."""
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            task_status.started()
            async with trio.open_nursery() as nursery:
                first = True
                async for number in signals:
                    log.info("%s: %s", signal.Signals(number).name, "draining" if first else "now")
                    if first:
                        nursery.start_soon(self._drain_and_end)
                    else:
                        self._end()
                        self._last_drain.cancel()
                    first = False

    async def _drain_and_end(self) -> None:
        await self._filesystem.drain(self._options.drain_seconds)
        self._end()

    def _end(self) -> None:
        """Let requests under way finish and take no more; does nothing once the mount is gone."""
        if self._mounted:
            pyfuse3.terminate()

    async def _drain_finally(self) -> list[Unsaved]:
        """The mount is gone: try to store the rest, and log what is lost if it cannot be."""
        with self._last_drain:
            self._last_drain.deadline = trio.current_time() + self._options.drain_seconds
            await self._drain_patiently()
        left = self._filesystem.unsaved()
        for item in left:
            log.error("%s was not stored: %s", names_in_log.name(item.key), item.reason)
        return left

    async def _drain_patiently(self) -> None:
        """An attempt fails while OSS is out of reach; nobody else will make another one."""
        pause = FIRST_PAUSE
        while left := await self._filesystem.drain(math.inf):
            log.warning("%d files are not stored yet; trying again", len(left))
            await trio.sleep(pause)  # back-off; the drain's deadline ends it
            pause = min(2 * pause, LONGEST_PAUSE)

    # --- the control socket ----------------------------------------------------------------------

    async def _control(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        handlers = {
            "umount": self._umount,
            "store": self._store,
            "pending": self._pending,
            "where": self._where,
        }
        await serve_control(self._options.control, handlers, task_status=task_status)

    async def _umount(self, request: Mapping[str, Any]) -> Mapping[str, object]:
        """Store everything. Who asked then unmounts, so that a busy mount is refused as usual."""
        return {"unmounted": False, **await self._store(request)}

    async def _store(self, request: Mapping[str, Any]) -> Mapping[str, object]:
        limit = request.get("timeout")
        left = await self._filesystem.drain(math.inf if limit is None else float(limit))
        return {"unstored": _listed(left)}

    async def _pending(self, request: Mapping[str, Any]) -> Mapping[str, object]:
        return {"unstored": _listed(self._filesystem.unsaved())}

    async def _where(self, request: Mapping[str, Any]) -> Mapping[str, object]:
        return dict(self._facts)


def _listed(items: list[Unsaved]) -> list[dict[str, str]]:
    return [{"name": item.key, "reason": item.reason} for item in items]


def _device_of(mountpoint: Path) -> str | None:
    """`major:minor` of the newest mount at *mountpoint*, from the kernel's table: no request to
    ourselves.
    """
    device = None
    wanted = str(mountpoint).replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011")
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split(" ")
        if fields[4] == wanted:
            device = fields[2]
    return device
