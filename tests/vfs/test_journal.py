"""A rename of a directory that is cut short is finished or undone by another mount."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from ossfs.errors import OssfsError
from ossfs.store.base import PutOptions
from ossfs.types import ObjectKey
from ossfs.vfs.journal import LEASE, parse
from ossfs.vfs.owner import ThisProcess
from tests.vfs.world import Mount, World, refused

FILES = {"a": b"a", "empty": b"", "s/b": b"b" * 70_000, "s/t/c": b"c"}
DIRECTORIES = ("d", "d/s", "d/s/t", "d/nothing")


async def furnish(mount: Mount, top: str = "d") -> None:
    for path in DIRECTORIES:
        await mount.mkdir(path.replace("d", top, 1))
    for path, content in FILES.items():
        await mount.write(f"{top}/{path}", content)


async def tree(mount: Mount, top: str) -> dict[str, bytes | None]:
    """Everything below *top*: content of files, None for directories."""
    found: dict[str, bytes | None] = {}
    for name in await mount.names(top):
        path = f"{top}/{name}"
        if (await mount.stat(path)).mode & 0o040000:
            found[path] = None
            found |= await tree(mount, path)
        else:
            found[path] = await mount.read(path)
    return found


def wanted(top: str) -> dict[str, bytes | None]:
    directories = {f"{top}{path[1:]}": None for path in DIRECTORIES[1:]}
    return directories | {f"{top}/{path}": content for path, content in FILES.items()}


async def killed_at(world: World, mount: Mount, count: int, **options: Any) -> bool:
    """Kill the mount when it makes its count-th request during a rename; False if it made less."""
    before = len(mount.bucket.calls)

    def dies() -> bool:
        if len(mount.bucket.calls) - before < count:
            return False
        world.kill(mount, **options)
        return True

    mount.bucket.chance_of_failure = dies
    try:
        await mount.rename("d", "e")
    except OssfsError:
        return True
    return len(mount.bucket.calls) - before >= count


def intents(world: World) -> list[str]:
    return [key for key in world.stored() if ".ossfs/journal/" in key]


@pytest.mark.parametrize("replaces", [False, True])
async def test_killed_at_any_request_the_next_mount_finishes_or_undoes_the_rename(
    replaces: bool, world: World
) -> None:
    count, outcomes, killed = 0, set(), True
    while killed:
        count += 1
        mount = world.mount()
        await furnish(mount)
        if replaces:
            await mount.mkdir("e", mode=0o700)
        killed = await killed_at(world, mount, count)
        world.kill(mount)
        after = world.mount()
        await after.fs.recover()
        names = await after.names() - {"e"} if replaces else await after.names()
        top = "d" if "d" in names else "e"
        assert await tree(after, top) == wanted(top)
        if replaces and top == "d":
            assert await tree(after, "e") == {}
        else:
            assert len(await after.names()) == 1
        assert intents(world) == []
        outcomes.add(top)
        for key in world.stored():
            await world.delete(key)
        await trio.sleep(100)
    assert outcomes == {"d", "e"}


async def test_what_other_clients_did_meanwhile_is_never_lost(world: World) -> None:
    for count in range(1, 100):
        mount, other = world.mount(attr_ttl=0, negative_ttl=0), world.mount(attr_ttl=0)
        await furnish(mount)
        killed = await killed_at(world, mount, count)
        for top in ("d", "e"):
            if await other.exists(f"{top}/a"):
                await other.write(f"{top}/a", f"changed in {top}".encode())
            if await other.exists(top):
                await other.write(f"{top}/new", f"new in {top}".encode())
        left = {bytes(c) for top in ("d", "e") for c in await contents(other, top)}
        after = world.mount()
        await after.fs.recover()
        found = {bytes(c) for top in ("d", "e") for c in await contents(after, top)}
        assert found == left
        for key in world.stored():
            await world.delete(key)
        if not killed:
            return
        await trio.sleep(100)


async def contents(mount: Mount, top: str) -> list[bytes]:
    if not await mount.exists(top):
        return []
    return [content for content in (await tree(mount, top)).values() if content is not None]


async def test_the_rename_of_a_live_host_is_left_alone_however_long_it_takes(world: World) -> None:
    mount, other = world.mount(), world.mount()
    await furnish(mount)
    async with trio.open_nursery() as tasks:
        with mount.bucket.held("copy", "d/s/b") as copy:
            tasks.start_soon(mount.rename, "d", "e")
            await copy.reached.wait()
            await other.fs.recover()
            await trio.sleep(20 * LEASE)
            with refused(errno.EBUSY):
                await other.rename("d/s", "elsewhere")
    assert await tree(mount, "e") == wanted("e")
    await trio.sleep(2 * LEASE)
    assert intents(world) == []
    await other.rename("e", "f")


@pytest.mark.parametrize("count", [16, 24])
async def test_the_rename_of_a_host_that_fell_silent_is_settled_after_a_lease(
    world: World, count: int
) -> None:
    mount, other = world.mount(), world.mount()
    await furnish(mount)
    assert await killed_at(world, mount, count, seen=False)
    await other.fs.recover()
    assert len(intents(world)) == 1
    await trio.sleep(LEASE + 20)
    (top,) = await other.names()
    assert await tree(other, top) == wanted(top)
    assert intents(world) == []


async def test_a_host_that_cannot_say_that_it_is_alive_deletes_no_source(world: World) -> None:
    mount = world.mount()
    await furnish(mount)
    async with trio.open_nursery() as tasks:
        with mount.bucket.held("copy", "d/s/b") as copy:
            tasks.start_soon(fails, mount)
            await copy.reached.wait()
            mount.bucket.fail("put", times=100)
            await trio.sleep(LEASE)
    mount.bucket.heal()
    await trio.sleep(2 * LEASE)
    assert await tree(world.mount(), "d") == wanted("d")
    assert intents(world) == []


async def fails(mount: Mount) -> None:
    with refused(errno.EIO):
        await mount.rename("d", "e")


async def test_a_read_only_mount_leaves_the_journal_alone(world: World) -> None:
    mount = world.mount()
    await furnish(mount)
    assert await killed_at(world, mount, 8)
    stored = world.stored()
    await world.mount(read_only=True).fs.recover()
    await trio.sleep(2 * LEASE)
    assert world.stored() == stored


async def test_a_mount_without_the_journal_in_reach_begins_all_the_same(world: World) -> None:
    mount = world.mount()
    await furnish(mount)
    assert await killed_at(world, mount, 16)
    after = world.mount()
    after.bucket.fail("list_page")
    await after.fs.recover()
    assert len(intents(world)) == 1
    after.bucket.fail("delete")
    await after.fs.recover()
    assert len(intents(world)) == 1
    await trio.sleep(4 * LEASE)
    assert intents(world) == []


async def test_an_empty_directory_is_renamed_without_an_intent(mount: Mount) -> None:
    await mount.mkdir("d")
    mount.bucket.forget()
    await mount.rename("d", "e")
    assert "put" not in mount.bucket.names()


GOOD: dict[str, object] = {
    "version": 1,
    "source": "p/a/",
    "goal": "p/b/",
    "replaces": False,
    "owner": "x",
    "copied": True,
    "beat": 0,
}
CHANGES: list[Callable[[dict[str, object]], object]] = [
    lambda fields: fields.update(version=2),
    lambda fields: fields.update(source="elsewhere/"),
    lambda fields: fields.update(source="p/"),
    lambda fields: fields.update(source="p/a"),
    lambda fields: fields.update(source="p/.ossfs/tags/"),
    lambda fields: fields.update(source="p/a//"),
    lambda fields: fields.update(goal="p/a/c/"),
    lambda fields: fields.update(goal="p/" + "x" * 2000 + "/"),
    lambda fields: fields.update(goal=7),
    lambda fields: fields.update(copied=1),
    lambda fields: fields.pop("owner"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_no_mount_would_have_stored_is_no_intent(
    change: Callable[[dict[str, object]], object],
) -> None:
    key = ObjectKey("p/.ossfs/journal/x")
    assert (
        parse(key, json.dumps(GOOD).encode(), "p/").to_json()
        == json.dumps(GOOD, sort_keys=True).encode()
    )
    fields = dict(GOOD)
    change(fields)
    with pytest.raises(ValueError):  # noqa: PT011 - whichever of its reasons
        parse(key, json.dumps(fields).encode(), "p/")


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"7", b"[" * 10_000])
async def test_rubbish_in_the_journal_is_left_alone(body: bytes, world: World) -> None:
    await world.store.put(ObjectKey(".ossfs/journal/x"), body, PutOptions())
    mount = world.mount()
    await furnish(mount)
    await mount.fs.recover()
    await mount.rename("d", "e")
    assert intents(world) == [".ossfs/journal/x"]


def test_a_process_is_known_to_be_gone_once_it_has_ended() -> None:
    own = ThisProcess()
    script = "from ossfs.vfs.owner import ThisProcess; print(ThisProcess().name); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        name = child.stdout.readline().rstrip("\n")
        assert not own.is_gone(name)
        child.communicate("\n")
    assert own.is_gone(name)
    assert not own.is_gone(own.name)
    assert own.is_gone(own.name[:-1] + "x")  # the number of the process was given to another one
    assert not own.is_gone(f"elsewhere {name}")
    assert not own.is_gone("")
    assert str(os.getpid()) in own.name


async def test_directories_beside_each_other_are_renamed_at_once(world: World) -> None:
    mount = world.mount()
    await furnish(mount)
    await furnish(mount, "x")
    async with trio.open_nursery() as tasks:
        with mount.bucket.held("copy", "d/s/b") as copy:
            tasks.start_soon(mount.rename, "d", "e")
            await copy.reached.wait()
            await mount.rename("x", "y")
            await wait_all_tasks_blocked()
            assert len(intents(world)) == 1
    assert await mount.names() == {"e", "y"}
