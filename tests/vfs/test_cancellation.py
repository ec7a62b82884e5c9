"""Cancelled at any checkpoint, an operation leaves the locks free, the state consistent and nothing
lost.
"""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
from trio.lowlevel import Task
from trio.testing import wait_all_tasks_blocked

from ossfs.errors import OssfsError
from ossfs.store.memory import MemoryStore
from ossfs.types import HandleId
from tests.keys.fakes import FakeKey
from tests.vfs.world import Mount, Wall, World


class CancelAt(trio.abc.Instrument):
    """Cancels *scope* when *task* waits for the n-th time."""

    def __init__(self, task: Task, scope: trio.CancelScope, count: int) -> None:
        self._task = task
        self._scope = scope
        self._count = count

    def after_task_step(self, task: Task) -> None:
        if task is self._task:
            self._count -= 1
            if not self._count:
                self._scope.cancel()


@dataclass
class Stage:
    """A furnished mount; contents: of every file, whatever its name is after the operation."""

    world: World
    mount: Mount
    open: dict[bytes, HandleId] = field(default_factory=dict)
    contents: set[bytes] = field(default_factory=set)

    async def file(self, path: str, content: bytes, *, opened: bool = True) -> None:
        await self.mount.write(path, content)
        self.contents.add(content)
        if opened:
            self.open[content] = await self.mount.open(path, os.O_RDWR)

    async def staged(self, path: str, content: bytes) -> HandleId:
        handle = await self.mount.create(path, os.O_RDWR)
        await self.mount.fs.write(handle, 0, content)
        self.contents.add(content)
        self.open[content] = handle
        return handle


Operation = Callable[[Stage], Awaitable[object]]


async def create(stage: Stage) -> None:
    handle = await stage.mount.create("new")
    stage.contents.add(b"new")
    stage.open[b"new"] = handle
    await stage.mount.fs.write(handle, 0, b"new")
    await stage.mount.fs.flush(handle)


async def create_exclusively(stage: Stage) -> None:
    handle = await stage.mount.create("new", os.O_RDWR | os.O_EXCL)
    stage.contents.add(b"new")
    stage.open[b"new"] = handle
    await stage.mount.fs.write(handle, 0, b"new")
    await stage.mount.fs.flush(handle)


async def rewrite(stage: Stage) -> None:
    handle = stage.open.pop(b"f" * 10)
    await stage.mount.fs.write(handle, 10, b"more")
    stage.contents.discard(b"f" * 10)
    stage.contents.add(b"f" * 10 + b"more")
    stage.open[b"f" * 10 + b"more"] = handle
    await stage.mount.fs.flush(handle)


async def rename_dirty(stage: Stage) -> None:
    await stage.mount.rename("dirty", "d/dirty")


async def rename_dirty_over(stage: Stage) -> None:
    stage.contents.discard(b"g" * 10)
    await stage.mount.rename("dirty", "g")


async def rename_over(stage: Stage) -> None:
    stage.contents.discard(b"g" * 10)
    await stage.mount.rename("f", "g")


async def unlink(stage: Stage) -> None:
    stage.contents.discard(b"f" * 10)
    await stage.mount.unlink("f")


async def unlink_dirty(stage: Stage) -> None:
    stage.contents.discard(b"dirty")
    await stage.mount.unlink("dirty")


async def change(stage: Stage) -> None:
    await stage.mount.change("f", mode=0o600)
    await stage.mount.set_xattr("g", b"user.big", b"v" * 400)
    for handle in list(stage.open.values()):
        await stage.mount.fs.fsync(handle)


async def make(stage: Stage) -> None:
    await stage.mount.mkdir("m")
    await stage.mount.symlink("l", b"target")
    await stage.mount.mknod("n", 0o100600)


async def look(stage: Stage) -> None:
    for name in sorted(await stage.mount.names()):
        await stage.mount.stat(name)
    assert await stage.mount.read("f") == b"f" * 10


OPERATIONS: dict[str, Operation] = {
    "create": create,
    "create exclusively": create_exclusively,
    "rewrite": rewrite,
    "rename": lambda stage: stage.mount.rename("f", "d/f"),
    "rename over": rename_over,
    "rename dirty": rename_dirty,
    "rename dirty over": rename_dirty_over,
    "rename directory": lambda stage: stage.mount.rename("d", "e"),
    "rename directory over": lambda stage: stage.mount.rename("d", "empty"),
    "unlink": unlink,
    "unlink dirty": unlink_dirty,
    "rmdir": lambda stage: stage.mount.rmdir("empty"),
    "change": change,
    "make": make,
    "look": look,
}


async def furnish(world: World) -> Stage:
    stage = Stage(world, world.mount())
    await stage.mount.mkdir("d")
    await stage.mount.mkdir("empty")
    await stage.file("f", b"f" * 10)
    await stage.file("g", b"g" * 10)
    await stage.file("d/x", b"x" * 10)
    await stage.file("d/y", b"y" * 10, opened=False)
    await world.put("implicit/z", b"z")
    stage.contents.add(b"z")
    await stage.staged("dirty", b"dirty")
    await stage.staged("d/fresh", b"fresh")
    await trio.sleep(100)
    return stage


async def contents(mount: Mount, directory: str = "") -> list[bytes]:
    found: list[bytes] = []
    for name in await mount.names(directory):
        path = f"{directory}/{name}".removeprefix("/")
        mode = (await mount.stat(path)).mode
        if mode & 0o170000 == 0o040000:
            found += await contents(mount, path)
        elif mode & 0o170000 == 0o100000:
            found.append(await mount.read(path))
    return found


async def check(stage: Stage) -> None:
    mount = stage.mount
    await wait_all_tasks_blocked()
    mount.check_invariants()
    for content, handle in stage.open.items():
        shown = await mount.read_all(handle)
        assert shown in {content, b""} if content == b"new" else shown == content
    assert await mount.drain() == []
    await trio.sleep(10)
    here, elsewhere = await contents(mount), await contents(stage.world.mount())
    assert sorted(here) == sorted(elsewhere)
    assert stage.contents - {b"new"} <= set(elsewhere)
    for handle in stage.open.values():
        await mount.close(handle)
    await wait_all_tasks_blocked()
    mount.check_invariants()
    # Everything still works, what was cancelled too.
    for name in await mount.names():
        await mount.rename(name, f"renamed {name}")
    assert sorted(await contents(mount)) == sorted(here)


@pytest.mark.parametrize("name", OPERATIONS)
async def test_cancelled_at_any_checkpoint_nothing_is_lost_and_nothing_is_stuck(
    name: str, tmp_path: Path, nursery: trio.Nursery
) -> None:
    cancelled = True
    count = 0
    while cancelled:
        count += 1
        wall = Wall()
        world = World(MemoryStore(clock=wall.seconds), nursery, tmp_path, FakeKey(), wall)
        stage = await furnish(world)
        with trio.CancelScope() as scope:
            instrument = CancelAt(trio.lowlevel.current_task(), scope, count)
            trio.lowlevel.add_instrument(instrument)
            try:
                await OPERATIONS[name](stage)
            finally:
                trio.lowlevel.remove_instrument(instrument)
        cancelled = scope.cancelled_caught
        try:
            await check(stage)
        except (AssertionError, OssfsError) as error:
            raise AssertionError(f"cancelled at checkpoint {count}") from error
