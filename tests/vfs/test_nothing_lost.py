"""Two mounts and another client at the same few files, with failures and lost answers: whatever
write() took is in the bucket in the end, under some name.

Each write appends text that occurs once, so a version that builds on another holds its text too.
The steps come one after another: what happens between the last look at an object and the request
that replaces it is the window that `docs/semantics.md` speaks of.
"""

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, note, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from ossfs.errors import OssfsError
from ossfs.store.memory import MemoryStore
from ossfs.types import HandleId
from tests.keys.fakes import FakeKey
from tests.vfs.test_cancellation import contents
from tests.vfs.test_model import CLOCKS, PROFILE, sequences, step
from tests.vfs.world import Mount, Wall, World

PATHS = st.sampled_from(["f", "g", "d/f"])
MOUNTS = st.integers(0, 1)
INDEX = st.integers(0, 5)

STEPS = (
    step("open", MOUNTS, PATHS),
    step("open", MOUNTS, PATHS),
    step("append", INDEX),
    step("append", INDEX),
    step("append", INDEX),
    step("flush", INDEX),
    step("close", INDEX),
    step("close", INDEX),
    step("release", INDEX),
    step("rename", MOUNTS, PATHS),
    step("rename_directory", MOUNTS),
    step("chmod", MOUNTS, PATHS),
    step("set_xattr", MOUNTS, PATHS),
    step("fail", MOUNTS, st.sampled_from(["put", "head", "copy", None]), INDEX, st.booleans()),
    step("sleep", st.sampled_from([0.3, 3, 30])),
    step("drain", MOUNTS),
)


class Players:
    """The mounts, their open handles, and all that was written."""

    def __init__(self, world: World, **options: Any) -> None:
        self.world = world
        self.mounts = [world.mount(**options) for _ in range(2)]
        self.handles: list[tuple[Mount, HandleId]] = []
        self.written: list[bytes] = []
        self.moved = 0

    def new_name(self) -> str:
        self.moved += 1
        return f"moved{self.moved}"

    def chosen(self, index: int) -> tuple[Mount, HandleId]:
        return (
            self.handles[index % len(self.handles)]
            if self.handles
            else (self.mounts[0], HandleId(0))
        )

    async def open(self, mount: int, path: str) -> None:
        flags = os.O_RDWR | os.O_APPEND
        self.handles.append((self.mounts[mount], await self.mounts[mount].create(path, flags)))

    async def append(self, index: int) -> None:
        mount, handle = self.chosen(index)
        text = b"<%d>" % len(self.written)
        await mount.fs.write(handle, 0, text)
        self.written.append(text)

    async def flush(self, index: int) -> None:
        mount, handle = self.chosen(index)
        await mount.fs.flush(handle)

    async def close(self, index: int) -> None:
        mount, handle = self.chosen(index)
        if handle:
            self.handles.remove((mount, handle))
            await mount.close(handle)

    async def release(self, index: int) -> None:
        """As after a write through a mapping that comes behind the last flush."""
        mount, handle = self.chosen(index)
        if handle:
            self.handles.remove((mount, handle))
            await mount.fs.release(handle)

    async def rename(self, mount: int, path: str) -> None:
        await self.mounts[mount].rename(path, self.new_name())

    async def rename_directory(self, mount: int) -> None:
        await self.mounts[mount].rename("d", self.new_name())

    async def chmod(self, mount: int, path: str) -> None:
        await self.mounts[mount].change(path, mode=0o600)

    async def set_xattr(self, mount: int, path: str) -> None:
        """Too large for a tag, so the same content is stored again."""
        await self.mounts[mount].set_xattr(path, b"user.a", b"v" * (300 + len(self.written)))

    async def fail(self, mount: int, request: str | None, skip: int, answer_lost: bool) -> None:
        self.mounts[mount].bucket.fail(request, skip=skip, answer_lost=answer_lost)

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)

    async def drain(self, mount: int) -> None:
        await self.mounts[mount].drain()

    async def finish(self) -> None:
        for mount in self.mounts:
            mount.bucket.heal()
        while self.handles:
            with contextlib.suppress(OssfsError):
                await self.close(0)
        for mount in self.mounts:
            assert await mount.drain() == []
        await trio.sleep(100)
        await wait_all_tasks_blocked()


@settings(PROFILE, max_examples=60)
@given(steps=sequences(*STEPS), ttl=st.sampled_from([5.0, 0.0]), clock=CLOCKS)
async def test_with_keep_both_all_that_was_written_is_there_under_some_name(
    steps: list[Any], ttl: float, clock: MockClock, scratch: Path
) -> None:
    wall = Wall()
    async with trio.open_nursery() as nursery:
        world = World(MemoryStore(clock=wall.seconds), nursery, scratch, FakeKey(), wall)
        players = Players(world, attr_ttl=ttl, negative_ttl=ttl)
        await players.mounts[0].mkdir("d")
        for name, *arguments in steps:
            note(f"{name} {arguments!r}")
            with contextlib.suppress(OssfsError, OSError):
                await getattr(players, name)(*arguments)
            await wait_all_tasks_blocked()
        await players.finish()
        for mount in players.mounts:
            mount.check_invariants()
        stored = b"".join(await contents(world.mount()))
        missing = [text for text in players.written if text not in stored]
        assert missing == []
        nursery.cancel_scope.cancel()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")
