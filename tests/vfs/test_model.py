"""Any sequence of operations does what the model says: also beside another client, over remounts,
and when a request to OSS fails in between.
"""

import contextlib
import copy
import errno
import os
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from ossfs.errors import OssfsError
from ossfs.store.memory import MemoryStore
from ossfs.types import HandleId
from ossfs.vfs.metadata import Changes
from tests.keys.fakes import FakeKey
from tests.vfs.bucket import Failure
from tests.vfs.model import Directory, Entry, File, Link, Model, Refused
from tests.vfs.world import Mount, Wall, World

LONGEST_TTL = 6


class Scenario:
    """The model and a mount side by side."""

    def __init__(self, world: World, **options: Any) -> None:
        self.world = world
        self.options = options
        self.base = f"{options['prefix']}/" if options["prefix"] else ""
        self.model = Model()
        self.mount = world.mount(**options)
        self.other = world.mount(**options)
        self.handles: dict[int, HandleId] = {}
        self.numbers = 0
        self.failure: Failure | None = None

    async def furnish(self) -> None:
        """Something to begin with."""
        for path in ("d", "d/e"):
            await self.mkdir(path)
        for path in ("a", "d/a", "d/e/a"):
            await self.create(path, os.O_RDWR, 0o644)
            await self.write(0, 0, path.encode())
            await self.close(0)

    def any_handle(self, index: int) -> int | None:
        numbers = sorted(self.handles)
        return numbers[index % len(numbers)] if numbers else None

    # --- one operation -----------------------------------------------------------------------

    async def both(
        self,
        model: Callable[[Model], Any],
        real: Callable[[], Awaitable[Any]],
        halfway: Callable[[str], list[Model]] = lambda request: [],
    ) -> None:
        """Do it in both and compare. halfway: what else may be after such a request failed."""
        before, applied = copy.deepcopy(self.model), self.model
        wanted, number, got, refused = None, 0, None, 0
        try:
            wanted = model(applied)
        except Refused as refusal:
            number = refusal.errno
        try:
            got = await real()
        except (OssfsError, OSError) as error:
            refused = error.errno or 0
            note(f"  {error!r}")
        failure, self.failure = self.failure, None
        self.mount.bucket.heal()
        if failure is None or failure.times or refused == number:
            assert refused == number, (errno.errorcode.get(refused), errno.errorcode.get(number))
            assert refused or wanted is None or wanted == got
            return
        assert refused == errno.EIO, errno.errorcode.get(refused)
        await self.settle(*halfway(failure.met), before, applied)

    async def settle(self, *candidates: Model) -> None:
        """After a failure the mount must show one of these."""
        problems = []
        for candidate in candidates:
            if not candidate.handles.keys() <= self.handles.keys():
                continue  # an open that failed
            try:
                await self.compare(self.mount, candidate)
            except AssertionError as problem:
                problems.append(problem)
            else:
                self.model = candidate
                return
        raise ExceptionGroup("after the failure it is none of", problems)

    # --- files -------------------------------------------------------------------------------

    async def create(self, path: str, flags: int, mode: int) -> None:
        number = self.numbers = self.numbers + 1
        if self.is_link(path):
            return

        async def real() -> None:
            self.handles[number] = await self.mount.create(path, flags, mode)

        await self.both(lambda m: m.create(number, path, flags, mode), real)

    async def open(self, path: str, flags: int) -> None:
        number = self.numbers = self.numbers + 1
        if self.is_link(path):
            return

        before = copy.deepcopy(self.model)

        async def real() -> None:
            self.handles[number] = await self.mount.open(path, flags)

        def truncated(request: str) -> list[Model]:
            """What a descriptor that only reads truncated could not be stored."""
            with contextlib.suppress(Refused):
                if flags & os.O_TRUNC:
                    before.file(path).truncate(0)
            return [before]

        await self.both(lambda m: m.open(number, path, flags), real, truncated)

    def is_link(self, path: str) -> bool:
        """The kernel would follow it."""
        try:
            return isinstance(self.model.find(path), Link)
        except Refused:
            return False

    async def write(self, index: int, offset: int, data: bytes) -> None:
        if (number := self.any_handle(index)) is not None:
            handle = self.handles[number]
            await self.both(
                lambda m: m.write(number, offset, data),
                lambda: self.mount.fs.write(handle, offset, data),
            )

    async def read(self, index: int, offset: int, length: int) -> None:
        if (number := self.any_handle(index)) is not None:
            handle = self.handles[number]

            async def real() -> bytes:
                return bytes(await self.mount.fs.read(handle, offset, length))

            await self.both(lambda m: m.read(number, offset, length), real)

    async def truncate(self, path: str, size: int) -> None:
        if not self.is_link(path):
            await self.both(
                lambda m: m.file(path).truncate(size), lambda: self.mount.truncate(path, size)
            )

    async def ftruncate(self, index: int, size: int) -> None:
        number = self.any_handle(index)
        if number is None or not self.model.handle(number).flags & os.O_ACCMODE:
            return
        handle = self.handles[number]
        ino = self.mount.fs._handles.file(handle).node.ino

        async def real() -> None:
            await self.mount.fs.setattr(ino, Changes(size=size), handle)

        await self.both(lambda m: m.handle(number).file.truncate(size), real)

    async def flush(self, index: int) -> None:
        if (number := self.any_handle(index)) is not None:
            handle = self.handles[number]
            await self.both(lambda m: None, lambda: self.mount.fs.flush(handle))

    async def fsync(self, index: int) -> None:
        if (number := self.any_handle(index)) is not None:
            handle = self.handles[number]
            await self.both(lambda m: None, lambda: self.mount.fs.fsync(handle))

    async def close(self, index: int) -> None:
        if (number := self.any_handle(index)) is not None:
            handle = self.handles.pop(number)
            del self.model.handles[number]
            await self.both(lambda m: None, lambda: self.mount.close(handle))

    async def release(self, index: int) -> None:
        if (number := self.any_handle(index)) is not None:
            handle = self.handles.pop(number)
            del self.model.handles[number]
            await self.both(lambda m: None, lambda: self.mount.fs.release(handle))

    # --- names -------------------------------------------------------------------------------

    async def mkdir(self, path: str) -> None:
        await self.both(lambda m: m.make(path, Directory()), lambda: self.mount.mkdir(path))

    async def symlink(self, path: str) -> None:
        await self.both(
            lambda m: m.make(path, Link(b"target")), lambda: self.mount.symlink(path, b"target")
        )

    async def mknod(self, path: str) -> None:
        await self.both(
            lambda m: m.make(path, File(mode=0o600)),
            lambda: self.mount.mknod(path, stat.S_IFREG | 0o600),
        )

    async def unlink(self, path: str) -> None:
        await self.both(lambda m: m.unlink(path), lambda: self.mount.unlink(path))

    async def rmdir(self, path: str) -> None:
        await self.both(lambda m: m.rmdir(path), lambda: self.mount.rmdir(path))

    async def rename(self, path: str, new: str, flags: int) -> None:
        before = copy.deepcopy(self.model)

        def halfway(request: str) -> list[Model]:
            """Both names: the new one is a copy until all is copied, then the old one is."""
            if path == new:
                return []
            try:
                entry = before.find(path)
                before.rename(path, new, flags)
            except Refused:
                return []
            directory, name = before.parent(path)
            directory.children[name] = entry
            copied, name = before.parent(path if request.startswith("delete") else new)
            copied.children[name] = copy.deepcopy(entry)
            return [before]

        await self.both(
            lambda m: m.rename(path, new, flags),
            lambda: self.mount.rename(path, new, flags),
            halfway,
        )

    async def chmod(self, path: str, mode: int) -> None:
        if not self.is_link(path):
            await self.both(
                lambda m: setattr(m.find(path), "mode", mode),
                lambda: self.mount.change(path, mode=mode),
            )

    async def setxattr(self, path: str, name: bytes, value: bytes) -> None:
        if not self.is_link(path):
            await self.both(
                lambda m: m.find(path).xattrs.update({name: value}),
                lambda: self.mount.set_xattr(path, name, value),
            )

    # --- the world around --------------------------------------------------------------------

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)

    async def drain(self) -> None:
        assert await self.mount.drain() == []

    async def fail(self, skip: int, answer_lost: bool) -> None:
        """Let a request of the next operation fail, when nothing is left to be stored."""
        self.mount.bucket.heal()
        await self.drain()
        self.failure = self.mount.bucket.fail(skip=skip, answer_lost=answer_lost)

    async def foreign(self, path: str, act: Callable[[str], Awaitable[Any]]) -> bool:
        """Another client changes an object while nothing of ours is on its way."""
        await self.drain()
        await trio.sleep(LONGEST_TTL)
        try:
            directory, _ = self.model.parent(path)
            entry = directory.children.get(path.rpartition("/")[2])
        except Refused:
            return False
        if isinstance(entry, Directory):
            return False
        for number, handle in list(self.model.handles.items()):
            if handle.file is entry:
                del self.model.handles[number]
                await self.mount.fs.release(self.handles.pop(number))
        await act(self.base + path)
        await trio.sleep(LONGEST_TTL)
        return True

    async def put(self, path: str, content: bytes) -> None:
        if await self.foreign(path, lambda key: self.world.put(key, content)):
            directory, name = self.model.parent(path)
            directory.children[name] = File(bytearray(content))

    async def put_encrypted(self, path: str, content: bytes) -> None:
        async def act(key: str) -> None:
            if await self.other.exists(path):
                await self.other.unlink(path)
            await self.other.write(path, content)

        if await self.foreign(path, act):
            directory, name = self.model.parent(path)
            directory.children[name] = File(bytearray(content))

    async def delete(self, path: str) -> None:
        if await self.foreign(path, self.world.delete):
            directory, name = self.model.parent(path)
            directory.children.pop(name, None)
            self.forget_implicit(path)

    def forget_implicit(self, path: str) -> None:
        """A directory without a marker vanishes with the last object in it."""
        above = path.rpartition("/")[0]
        prefix = f"{self.base}{above}/"
        if above and not any(key.startswith(prefix) for key in self.world.visible()):
            directory, name = self.model.parent(above)
            directory.children.pop(name, None)
            self.forget_implicit(above)

    async def put_deep(self, path: str, content: bytes) -> None:
        """An object in directories that nobody made."""
        try:
            self.model.find(path)
        except Refused as refusal:
            if refusal.errno == errno.ENOENT and await self.foreign(
                path, lambda key: self.world.put(f"{key}/deep/x", content)
            ):
                deep = Directory(children={"x": File(bytearray(content))})
                self.model.make(path, Directory(children={"deep": deep}))

    async def close_all(self) -> None:
        while self.handles:
            await self.close(0)

    async def remount(self) -> None:
        await self.close_all()
        await self.drain()
        self.mount = self.world.mount(**self.options)
        await self.compare(self.mount, self.model)

    # --- comparing ---------------------------------------------------------------------------

    async def compare(self, mount: Mount, model: Model) -> None:
        for path, entry in model.walk():
            found = await mount.stat(path)
            assert (path, stat.S_IFMT(found.mode)) == (path, entry.kind)
            if path:
                assert (path, oct(stat.S_IMODE(found.mode))) == (path, oct(entry.mode))
            assert (path, await mount.xattrs(path)) == (path, entry.xattrs)
            await self.compare_content(mount, path, entry, found.size)
        for number, handle in model.handles.items():
            if handle.flags & os.O_ACCMODE != os.O_WRONLY:
                assert await mount.read_all(self.handles[number]) == handle.file.content

    async def compare_content(self, mount: Mount, path: str, entry: Entry, size: int) -> None:
        if isinstance(entry, File):
            assert (path, size) == (path, len(entry.content))
            assert (path, await mount.read(path)) == (path, bytes(entry.content))
        elif isinstance(entry, Link):
            assert await mount.readlink(path) == entry.target
        else:
            assert (path, await mount.names(path)) == (path, set(entry.children))

    async def finish(self) -> None:
        """Nothing is lost, and nothing too much is in the bucket."""
        await self.compare(self.mount, self.model)
        await self.close_all()
        await self.drain()
        await wait_all_tasks_blocked()
        self.mount.check_invariants()
        files = {self.base + p for p, e in self.model.walk() if not isinstance(e, Directory)}
        assert {key for key in self.world.stored() if not key.endswith("/")} == files
        await self.compare(self.world.mount(**self.options), self.model)
        await trio.sleep(LONGEST_TTL)
        await self.compare(self.mount, self.model)


@dataclass(frozen=True)
class Pick:
    """A path that depends on what there is: one that exists, of some kind, or a name in it."""

    kinds: tuple[type[Entry], ...]
    index: int
    name: str = ""

    def path(self, model: Model) -> str:
        fitting = sorted(p for p, entry in model.walk() if isinstance(entry, self.kinds) and p)
        if self.name:
            fitting.append("")
        path = fitting[self.index % len(fitting)] if fitting else "a"
        return f"{path}/{self.name}".removeprefix("/") if self.name else path


def picks(*kinds: type[Entry]) -> st.SearchStrategy[Pick]:
    return st.builds(Pick, st.just(kinds), st.integers(0, 9))


NAMES = st.sampled_from(["a", "b", "é", "f", "g", "h"])
NEW = st.builds(Pick, st.just((Directory,)), st.integers(0, 9), NAMES)
ANY = st.one_of(picks(File), picks(Directory), picks(File, Link, Directory), NEW)
FILES = st.one_of(picks(File), picks(File), picks(File), ANY)
DIRECTORIES = st.one_of(picks(Directory), picks(Directory), ANY)
INDEX = st.integers(0, 3)
SIZES = st.one_of(st.integers(0, 40), st.sampled_from([4096, 65_536, 70_000]))
DATA = st.one_of(st.binary(max_size=30), st.sampled_from([b"x" * 5000, b"y" * 70_000]))
ACCESS = st.sampled_from([os.O_RDONLY, os.O_WRONLY, os.O_RDWR])
EXTRA = st.sampled_from([0, 0, os.O_TRUNC, os.O_APPEND, os.O_EXCL])
FLAGS = st.tuples(ACCESS, EXTRA).map(sum)


def step(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(st.just(name), *arguments)


FILE_STEPS = (
    step("create", ANY, FLAGS, st.sampled_from([0o644, 0o600, 0o755])),
    step("create", NEW, st.just(os.O_RDWR), st.just(0o644)),
    step("open", FILES, FLAGS),
    step("write", INDEX, SIZES, DATA),
    step("write", INDEX, SIZES, DATA),
    step("read", INDEX, SIZES, SIZES),
    step("truncate", FILES, SIZES),
    step("ftruncate", INDEX, SIZES),
    step("flush", INDEX),
    step("fsync", INDEX),
    step("close", INDEX),
    step("release", INDEX),
)
NAME_STEPS = (
    step("mkdir", NEW),
    step("mkdir", NEW),
    step("mkdir", ANY),
    step("symlink", NEW),
    step("mknod", NEW),
    step("unlink", FILES),
    step("unlink", ANY),
    step("rmdir", DIRECTORIES),
    step("rename", ANY, ANY, st.sampled_from([0, 0, 0, 1, 2])),
    step("rename", FILES, FILES, st.just(0)),
    step("rename", FILES, NEW, st.just(0)),
    step("rename", DIRECTORIES, DIRECTORIES, st.just(0)),
    step("rename", DIRECTORIES, NEW, st.just(0)),
    step("chmod", ANY, st.sampled_from([0o600, 0o755, 0o444])),
    step("setxattr", ANY, st.sampled_from([b"user.a", b"user.b"]), st.binary(max_size=9)),
    step("setxattr", ANY, st.just(b"user.big"), st.just(b"v" * 300)),
)
WORLD_STEPS = (
    step("sleep", st.sampled_from([0.3, 3, LONGEST_TTL, 100])),
    step("drain"),
    step("put", FILES, DATA),
    step("put_encrypted", FILES, DATA),
    step("put_deep", NEW, DATA),
    step("delete", FILES),
    step("remount"),
)
FAULT_STEPS = tuple(step("fail", st.integers(0, 3), st.booleans()) for _ in range(6))

PROFILE = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def sequences(*steps: st.SearchStrategy[tuple[Any, ...]]) -> st.SearchStrategy[list[Any]]:
    nothing = step("sleep", st.just(0))
    return st.lists(st.one_of(nothing, *steps), min_size=20, max_size=40)


CLOCKS = st.builds(MockClock, autojump_threshold=st.just(0.0))
OPTIONS = st.fixed_dictionaries(
    {"prefix": st.sampled_from(["", "p/q"]), "attr_ttl": st.sampled_from([5.0, 0.0])}
).map(lambda options: options | {"negative_ttl": options["attr_ttl"]})


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


async def play(steps: list[Any], options: dict[str, Any], scratch: Path) -> None:
    wall = Wall()
    async with trio.open_nursery() as nursery:
        world = World(MemoryStore(clock=wall.seconds), nursery, scratch, FakeKey(), wall)
        scenario = Scenario(world, **options)
        await scenario.furnish()
        for name, *arguments in steps:
            resolved = [a.path(scenario.model) if isinstance(a, Pick) else a for a in arguments]
            note(f"{name} {resolved!r:.200}")
            await getattr(scenario, name)(*resolved)
            await wait_all_tasks_blocked()
            scenario.mount.check_invariants()
        scenario.mount.bucket.heal()
        await scenario.finish()
        nursery.cancel_scope.cancel()


@settings(PROFILE, max_examples=45)
@given(steps=sequences(*FILE_STEPS, *NAME_STEPS), options=OPTIONS, clock=CLOCKS)
async def test_operations_do_what_the_model_says(
    steps: list[Any], options: dict[str, Any], clock: MockClock, scratch: Path
) -> None:
    await play(steps, options, scratch)


@settings(PROFILE, max_examples=30)
@given(steps=sequences(*FILE_STEPS, *NAME_STEPS, *WORLD_STEPS), options=OPTIONS, clock=CLOCKS)
async def test_beside_another_client_and_over_remounts_everything_is_still_there(
    steps: list[Any], options: dict[str, Any], clock: MockClock, scratch: Path
) -> None:
    await play(steps, options, scratch)


@settings(PROFILE, max_examples=45)
@given(steps=sequences(*FILE_STEPS, *NAME_STEPS, *FAULT_STEPS), options=OPTIONS, clock=CLOCKS)
async def test_a_failing_request_costs_its_operation_alone_and_nothing_is_lost(
    steps: list[Any], options: dict[str, Any], clock: MockClock, scratch: Path
) -> None:
    await play(steps, options, scratch)
