"""Nothing but an errno leaves a handler: over the class, in process, and on a real mount."""

import errno
import inspect
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pyfuse3
import pytest
import trio

from ossfs import errors
from ossfs.fuse.boundary import never_raises, replies_errno
from ossfs.fuse.operations import Operations
from ossfs.vfs.filesystem import FileSystem

ANSWERED_BY_PYFUSE3 = {"poll"}
"""With ENOSYS, after which the kernel answers by itself: files are always ready."""

HANDLERS = {
    name
    for name, _ in inspect.getmembers(pyfuse3.Operations, inspect.iscoroutinefunction)
    if not name.startswith("_")
} - ANSWERED_BY_PYFUSE3


@pytest.mark.parametrize("name", sorted(HANDLERS))
def test_every_handler_wears_the_boundary(name: str) -> None:
    handler = vars(Operations).get(name)
    assert handler is not None, f"{name} is inherited, and raises what it likes"
    guard = never_raises if name == "forget" else replies_errno
    wrapper = guard(handler).__code__
    assert handler.__code__ is wrapper
    assert inspect.iscoroutinefunction(handler.__wrapped__)


def test_handlers_that_are_not_of_pyfuse3_do_not_exist() -> None:
    own = {name for name in vars(Operations) if not name.startswith("_")}
    known = {name for name in dir(pyfuse3.Operations) if not name.startswith("_")}
    assert own <= known


class Handler:
    """Something with one handler that fails as it is told."""

    def __init__(self, failure: BaseException | Callable[[], Awaitable[object]]) -> None:
        self.failure = failure

    @replies_errno
    async def reply(self) -> None:
        await self._fail()

    @never_raises
    async def forget(self) -> None:
        await self._fail()

    async def _fail(self) -> None:
        if isinstance(self.failure, BaseException):
            raise self.failure
        await self.failure()


def group(*failures: Exception) -> ExceptionGroup[Exception]:
    return ExceptionGroup("several", failures)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (pyfuse3.FUSEError(errno.EXDEV), errno.EXDEV),
        (errors.NoEntry("x"), errno.ENOENT),
        (errors.AccessDenied("x", code="AccessDenied", status=403), errno.EACCES),
        (errors.KeyUnavailable("x"), errno.ENOKEY),
        (errors.IntegrityError("x"), errno.EIO),
        (errors.TimedOut("x"), errno.ETIMEDOUT),
        (errors.StagingFull("x"), errno.ENOSPC),
        (MemoryError(), errno.ENOMEM),
        (ZeroDivisionError("x"), errno.EIO),
        (OSError(errno.ENOSPC, "x"), errno.EIO),
        (StopIteration(), errno.EIO),
        (StopAsyncIteration(), errno.EIO),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), errno.EIO),
        (RecursionError(), errno.EIO),
        (group(errors.NoEntry("x")), errno.ENOENT),
        (group(ValueError(), group(errors.Stale("x"))), errno.ESTALE),
        (group(ValueError()), errno.EIO),
    ],
)
async def test_any_failure_becomes_an_errno(failure: Exception, expected: int) -> None:
    with pytest.raises(pyfuse3.FUSEError) as replied:
        await Handler(failure).reply()
    assert replied.value.errno == expected
    await Handler(failure).forget()


async def test_a_nursery_inside_a_handler_becomes_one_errno() -> None:
    async def fail() -> None:
        raise errors.EntryExists("x")

    async def with_nursery() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            nursery.start_soon(trio.sleep_forever)

    with pytest.raises(pyfuse3.FUSEError) as replied:
        await Handler(with_nursery).reply()
    assert replied.value.errno == errno.EEXIST


async def test_being_cancelled_passes() -> None:
    with trio.move_on_after(0) as scope:
        await Handler(trio.sleep_forever).reply()
    assert scope.cancelled_caught


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), SystemExit(1)])
async def test_the_end_of_the_program_passes(failure: BaseException) -> None:
    with pytest.raises(type(failure)):
        await Handler(failure).reply()


# --- on a real mount -----------------------------------------------------------------------------


class Broken:
    """A file system that has a directory and lets everything else fail without plan."""

    async def getattr(self, ino: int) -> object:
        if ino == 1:
            return directory()
        raise RuntimeError("no plan for this")

    async def lookup(self, parent: int, name: bytes) -> object:
        if name == b"wrong":
            return "not what lookup returns"
        raise RuntimeError("no plan for this")

    async def opendir(self, ino: int) -> object:
        return "not a number"

    def __getattr__(self, name: str) -> Any:
        async def fail(*_: object) -> None:
            raise RuntimeError("no plan for this either")

        return fail


def directory() -> object:
    from ossfs.types import Ino
    from ossfs.vfs.metadata import Stat

    return Stat(
        ino=Ino(1),
        mode=0o40755,
        uid=0,
        gid=0,
        nlink=1,
        size=0,
        blocks=0,
        atime_ns=0,
        mtime_ns=0,
        ctime_ns=0,
        valid=0,
    )


DEEDS = """
import os, sys
path = sys.argv[1]
deeds = [
    lambda: os.stat(path + "/f"), lambda: os.stat(path + "/wrong"), lambda: os.listdir(path),
    lambda: os.mkdir(path + "/d"), lambda: open(path + "/f", "w"),
    lambda: os.getxattr(path, "user.a"), lambda: os.listxattr(path), lambda: os.chmod(path, 0o700),
    lambda: os.setxattr(path, "user.a", b""), lambda: os.symlink("x", path + "/l"),
]
for deed in deeds:
    try:
        deed()
        print("done")
    except OSError as error:
        print(error.errno)
print(os.stat(path).st_ino)
"""


@asynccontextmanager
async def serving(filesystem: object, path: Path) -> AsyncIterator[None]:
    """pyfuse3 in this process; whoever uses the mount must be in another one."""
    pyfuse3.init(Operations(cast(FileSystem, filesystem)), str(path), {"fsname=broken"})
    unmounted = False
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pyfuse3.main)
            yield
            pyfuse3.terminate()
        unmounted = True
    finally:
        pyfuse3.close(unmount=True)
    assert unmounted


@pytest.mark.fuse
async def test_a_handler_that_fails_without_plan_costs_its_request_and_the_mount_lives(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(Broken(), tmp_path):
        done = await trio.run_process(
            [sys.executable, "-c", DEEDS, str(tmp_path)], capture_stdout=True
        )
    *replies, root = done.stdout.split()
    assert replies == [b"%d" % errno.EIO] * 10
    assert root == b"1"
    assert "no plan for this" in caplog.text
    assert os.listdir(tmp_path) == []
