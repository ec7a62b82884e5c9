"""Many tasks at once on one small tree, each request as slow as chance has it: nothing gets stuck,
nothing mixes, and in the end the bucket holds what the mount shows.
"""

import contextlib
import os
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from ossfs.errors import OssfsError
from ossfs.store.memory import MemoryStore
from ossfs.types import Ino
from ossfs.vfs.metadata import Changes
from tests.keys.fakes import FakeKey
from tests.vfs.test_cancellation import contents
from tests.vfs.world import CALLER, Mount, Wall, World

NAMES = ("a", "b", "c")
DIRECTORIES = ("", "a", "b", "a/b", "b/a")


class Kernel:
    """Locks as the kernel does: who changes a directory has it alone."""

    def __init__(self) -> None:
        self._inodes: defaultdict[Ino, trio.Lock] = defaultdict(trio.Lock)
        self._renames = trio.Lock()

    @asynccontextmanager
    async def changes(self, *directories: Ino) -> AsyncIterator[None]:
        async with AsyncExitStack() as held:
            if len(set(directories)) > 1:
                await held.enter_async_context(self._renames)
            for ino in sorted(set(directories)):
                await held.enter_async_context(self._inodes[ino])
            yield


class Worker:
    """Does random things, and checks what it reads."""

    def __init__(self, mount: Mount, kernel: Kernel, chance: random.Random) -> None:
        self.mount = mount
        self.kernel = kernel
        self.chance = chance
        self.exclusive = True

    def path(self) -> str:
        directory = self.chance.choice(DIRECTORIES)
        return f"{directory}/{self.chance.choice(NAMES)}".removeprefix("/")

    async def work(self, steps: int) -> None:
        actions = [self.write, self.read, self.append, self.names, self.unlink, self.rename]
        actions += [self.mkdir, self.rmdir, self.change, self.write, self.read, self.rename]
        for _ in range(steps):
            await trio.sleep(self.chance.choice([0, 0.1, 1, 7]))
            with contextlib.suppress(OssfsError, FileNotFoundError, NotADirectoryError):
                await self.chance.choice(actions)()

    async def write(self) -> None:
        content = bytes([self.chance.randrange(256)]) * self.chance.choice([0, 1, 5000, 200_000])
        async with self.mount.parent(self.path()) as (ino, name):
            async with self.kernel.changes(ino):
                flags = os.O_RDWR | (self.exclusive and self.chance.choice([0, os.O_EXCL]))
                opened, stat = await self.mount.fs.create(ino, name, 0o644, flags, CALLER)
            try:
                await self.mount.fs.setattr(stat.ino, Changes(size=0), opened.handle)
                for _ in range(self.chance.randrange(3)):
                    await self.mount.fs.write(opened.handle, 0, content)
                    await self.mount.fs.flush(opened.handle)
                    await trio.sleep(self.chance.random())
            finally:
                self.mount.fs.forget(stat.ino, 1)
                await self.mount.close(opened.handle)

    async def append(self) -> None:
        handle = await self.mount.open(self.path(), os.O_RDWR | os.O_APPEND)
        try:
            first = bytes(await self.mount.fs.read(handle, 0, 1)) or b"x"
            await self.mount.fs.write(handle, 0, first * 100)
        finally:
            await self.mount.close(handle)

    async def read(self) -> None:
        handle = await self.mount.open(self.path())
        try:
            for _ in range(3):
                size = self.chance.choice([1, 100, 1 << 17])
                piece = await self.mount.fs.read(handle, self.chance.choice([0, 10, 66_000]), size)
                # Appended bytes repeat what stood first when the file was read, which another
                # write may have replaced since; whole versions are of one byte each.
                assert len(set(bytes(piece))) <= 3
                await trio.sleep(self.chance.random())
        finally:
            await self.mount.close(handle)

    async def names(self) -> None:
        await self.mount.names(self.chance.choice(DIRECTORIES))

    async def unlink(self) -> None:
        async with self.mount.parent(self.path()) as (ino, name), self.kernel.changes(ino):
            await self.mount.fs.unlink(ino, name)

    async def mkdir(self) -> None:
        async with self.mount.parent(self.path()) as (ino, name), self.kernel.changes(ino):
            self.mount.fs.forget((await self.mount.fs.mkdir(ino, name, 0o755, CALLER)).ino, 1)

    async def rmdir(self) -> None:
        path = self.path()
        async with (
            self.mount.parent(path) as (ino, name),
            self.mount.at(path) as victim,
            self.kernel.changes(ino, victim.ino),
        ):
            await self.mount.fs.rmdir(ino, name)

    async def rename(self) -> None:
        path, new = self.path(), self.path()
        async with (
            self.mount.parent(path) as (ino, name),
            self.mount.parent(new) as (to, new_name),
            AsyncExitStack() as held,
        ):
            victims = []
            with contextlib.suppress(OssfsError, OSError):
                target = await held.enter_async_context(self.mount.at(new))
                victims.append(target.ino)
            await held.enter_async_context(self.kernel.changes(ino, to, *victims))
            await self.mount.fs.rename(ino, name, to, new_name, 0)

    async def change(self) -> None:
        await self.mount.change(self.path(), mode=self.chance.choice([0o600, 0o755]))


@pytest.mark.parametrize("hosts", [1, 2])
@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("seed", range(4))
async def test_many_tasks_at_once_neither_get_stuck_nor_lose_anything(
    seed: int, failing: bool, hosts: int, tmp_path: Path, nursery: trio.Nursery
) -> None:
    chance = random.Random(seed)
    wall = Wall()
    world = World(MemoryStore(clock=wall.seconds), nursery, tmp_path, FakeKey(), wall)
    mounts = [world.mount(attr_ttl=2.0, negative_ttl=2.0) for _ in range(hosts)]
    for path in ("a", "b", "a/b"):
        await mounts[0].mkdir(path)
    with trio.fail_after(100_000):
        async with trio.open_nursery() as tasks:
            for mount in mounts:
                mount.bucket.delay = lambda: chance.choice([0, 0, 0.01, 0.3, 2])
                mount.bucket.chance_of_failure = lambda: failing and chance.random() < 0.03
                kernel = Kernel()
                for _ in range(10 // hosts):
                    worker = Worker(mount, kernel, random.Random(chance.random()))
                    worker.exclusive = hosts == 1
                    tasks.start_soon(worker.work, 25)
        for mount in mounts:
            mount.bucket.delay = lambda: 0
            mount.bucket.chance_of_failure = lambda: False
            assert await mount.drain() == []
    await trio.sleep(100)
    await wait_all_tasks_blocked()
    stored = sorted(await contents(world.mount()))
    assert all(len(set(content)) <= 3 for content in stored)
    for mount in mounts:
        mount.check_invariants()
        assert not [node for node in mount.known if node.handles or node.lookups]
        assert sorted(await contents(mount)) == stored
    if not failing:
        assert [key for key in world.stored() if ".ossfs" in key] == []
