"""Reading directories: everything once, at positions that stay."""

import errno
import os
import stat

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from ossfs.format.names import is_component
from ossfs.store.base import PutOptions
from ossfs.store.memory import MemoryStore
from ossfs.types import ObjectKey
from ossfs.vfs.handles import HandleTable
from ossfs.vfs.kernel import Behaviour, NoKernel
from ossfs.vfs.listing import Listings
from ossfs.vfs.lookups import Lookups
from ossfs.vfs.remote import Defaults, Remote
from ossfs.vfs.tree import Tree
from tests.vfs.world import Mount, World, refused


async def test_a_directory_of_ten_thousand_entries_is_listed_completely(
    mount: Mount, world: World
) -> None:
    expected = {f"{number:05}" for number in range(10_000)}
    for name in expected:
        await world.put(f"d/{name}", b"")
    mount.bucket.forget()
    assert await mount.names("d") == expected
    assert mount.bucket.count("list_page") <= 12


async def test_attributes_are_asked_for_once_and_then_known(mount: Mount, world: World) -> None:
    for number in range(50):
        await world.put(f"f{number}", b"x" * number)
    await mount.names()
    heads = mount.bucket.count("head")
    assert heads == 50
    for number in range(50):
        assert (await mount.stat(f"f{number}")).size == number
    assert mount.bucket.count("head") == heads


async def test_positions_mean_the_same_while_the_directory_changes(
    mount: Mount, world: World
) -> None:
    for number in range(30):
        await mount.write(f"f{number:02}", b"")
    handle = await mount.fs.opendir((await mount.stat("")).ino)
    first = await mount.fs.readdir(handle, 0, 100)
    assert [entry.name for entry in first] == [b".", b".."]
    entries = await mount.fs.readdir(handle, 2, 10)
    seen = [entry.name for entry in entries]
    await mount.unlink("f03")
    await mount.unlink("f15")
    await mount.rename("f16", "g16")
    await mount.write("new", b"")
    position = entries[-1].position
    while entries := await mount.fs.readdir(handle, position, 4):
        seen += [entry.name for entry in entries]
        position = entries[-1].position
    assert len(seen) == len(set(seen))
    kept = {f"f{number:02}".encode() for number in range(30)} - {b"f15", b"f16"}
    assert kept - set(seen) == set()
    assert b"f15" not in seen
    again = await mount.fs.readdir(handle, 2 + 5, 1)
    assert again[0].position == 8
    await mount.fs.releasedir(handle)


async def test_rewinding_shows_the_directory_anew(mount: Mount) -> None:
    await mount.write("a", b"")
    handle = await mount.fs.opendir((await mount.stat("")).ino)

    async def read() -> set[bytes]:
        names = set()
        position = 0
        while entries := await mount.fs.readdir(handle, position, 10):
            names |= {entry.name for entry in entries}
            position = entries[-1].position
        return names

    assert await read() == {b".", b"..", b"a"}
    await mount.write("b", b"")
    await mount.unlink("a")
    assert await read() == {b".", b"..", b"b"}


async def test_files_that_are_not_stored_yet_are_listed_with_their_size(mount: Mount) -> None:
    await mount.mkdir("d")
    handle = await mount.create("d/f")
    await mount.fs.write(handle, 0, b"hello")
    directory = await mount.fs.opendir((await mount.stat("d")).ino)
    (entry,) = await mount.fs.readdir(directory, 2, 10)
    assert (entry.name, entry.stat.size) == (b"f", 5)


async def test_an_entry_whose_attributes_cannot_be_had_is_listed_by_name(
    mount: Mount, world: World
) -> None:
    await world.put("bad", b"x")
    await world.put("good", b"x")
    await world.put("dir/f", b"x")
    mount.bucket.fail("head", "bad", times=100)
    handle = await mount.fs.opendir((await mount.stat("")).ino)
    entries = await mount.fs.readdir(handle, 2, 10)
    shown = {entry.name: (stat.S_ISDIR(entry.stat.mode), entry.stat.valid) for entry in entries}
    assert shown == {b"bad": (False, 0.0), b"good": (False, 5.0), b"dir": (True, 5.0)}
    mount.bucket.heal()
    assert (await mount.stat("bad")).size == 1


async def test_many_cold_lookups_in_one_directory_become_one_listing(
    mount: Mount, world: World
) -> None:
    for number in range(40):
        await world.put(f"d/f{number}", b"")
    async with mount.at("d"):
        mount.bucket.forget()
        for number in range(40):
            assert await mount.exists(f"d/f{number}")
            assert not await mount.exists(f"d/g{number}")
    assert len(mount.bucket.calls) < 40 + 20


async def test_who_walks_through_names_finds_the_next_ones_asked_for(
    mount: Mount, world: World
) -> None:
    for number in range(1500):
        await world.put(f"d/f{number:04}", b"")
    mount.bucket.delay = lambda: 0.02
    begun = trio.current_time()
    for number in range(1500):
        assert await mount.exists(f"d/f{number:04}")
    assert trio.current_time() - begun < 1500 * 0.02 / 5
    assert mount.bucket.count("list_page") < 20
    assert mount.bucket.count("head") < 1520


async def test_what_is_asked_ahead_and_fails_fails_nobody_else(mount: Mount, world: World) -> None:
    for number in range(40):
        await world.put(f"d/f{number:02}", b"")
    mount.bucket.fail("head", "d/f20")
    mount.bucket.fail("head", "d/f21", times=2)
    for number in (*range(21), *range(22, 40)):
        assert await mount.exists(f"d/f{number:02}")
    with refused(errno.EIO):
        await mount.exists("d/f21")


async def test_lookups_without_an_order_in_a_huge_directory_do_not_list_it_again_and_again(
    mount: Mount, world: World
) -> None:
    for number in range(3000):
        await world.put(f"d/f{number:04}", b"")
    for number in range(600):
        assert await mount.exists(f"d/f{number * 1013 % 3000:04}")
    assert mount.bucket.count("list_page") < 600 + 25


async def test_reading_a_directory_that_is_renamed_goes_on(mount: Mount) -> None:
    await mount.mkdir("d")
    for number in range(20):
        await mount.write(f"d/f{number:02}", b"")
    handle = await mount.fs.opendir((await mount.stat("d")).ino)
    first = await mount.fs.readdir(handle, 2, 10)
    await mount.rename("d", "e")
    rest = await mount.fs.readdir(handle, first[-1].position, 100)
    assert len(first) + len(rest) == 20
    assert {entry.stat.valid > 0 for entry in rest} == {True}


async def test_a_listing_that_fails_fails_the_read_alone(mount: Mount, world: World) -> None:
    await world.put("f", b"")
    mount.bucket.fail("list_page")
    with refused(errno.EIO):
        await mount.names()
    assert await mount.names() == {"f"}


@settings(max_examples=60, deadline=None)
@given(
    names=st.sets(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), max_size=20),
    count=st.integers(1, 8),
)
async def test_every_valid_name_is_listed_once_whatever_it_is(names: set[str], count: int) -> None:
    store, defaults = MemoryStore(), Defaults(uid=0, gid=0)
    valid = {name for name in names if is_component(name) and name[0] not in "/\\"}
    for name in valid:
        await store.put(ObjectKey(name), b"", PutOptions())
    tree = Tree("", defaults.for_object(defaults.directory_mode, 0))
    remote = Remote(store, defaults)
    async with trio.open_nursery() as nursery:
        spawn = nursery.start_soon
        lookups = Lookups(tree, remote, Behaviour(), NoKernel(), trio.current_time, spawn)
        listings = Listings(HandleTable(), lookups, nursery.start_soon)
        handle = listings.open(tree.root)
        seen: list[str] = []
        position = 2
        while entries := await listings.read(handle, position, count):
            assert [entry.position for entry in entries] == sorted(
                {entry.position for entry in entries}
            )
            seen += [entry.name for entry in entries]
            position = entries[-1].position
    assert sorted(seen) == sorted(valid)
    assert os.sep not in "".join(seen)


async def test_a_long_run_of_names_that_went_is_skipped_without_end_of_stack(mount: Mount) -> None:
    await mount.mkdir("d")
    for number in range(2000):
        await mount.mknod(f"d/{number:04}", stat.S_IFIFO | 0o600)
    async with mount.at("d") as found:
        handle = await mount.fs.opendir(found.ino)
        assert await mount.fs.readdir(handle, 0, 1)
        for number in range(2000):
            await mount.unlink(f"d/{number:04}")
        assert await mount.fs.readdir(handle, 2, 1) == []
        await mount.fs.releasedir(handle)


async def test_names_alone_are_listed_without_a_question_and_believed_by_nobody(
    world: World,
) -> None:
    mount = world.mount(list_names_only=True)
    for number in range(30):
        await world.put(f"d/f{number}", b"x" * number)
    await world.put("d/sub/f", b"x")
    await mount.stat("d")
    mount.bucket.forget()
    handle = await mount.fs.opendir((await mount.stat("d")).ino)
    entries = {entry.name: entry.stat for entry in await mount.fs.readdir(handle, 2, 100)}
    await mount.fs.releasedir(handle)
    assert mount.bucket.names() == ["list_page"]
    assert {shown.valid for shown in entries.values()} == {0.0}
    modified = (await world.head("d/f7")).modified_ns
    shown = entries[b"f7"]
    assert (shown.mode, shown.size, shown.mtime_ns) == (stat.S_IFREG | 0o644, 7, modified)
    assert entries[b"sub"].mode == stat.S_IFDIR | 0o755
    mount.check_invariants()


async def test_what_was_listed_by_name_alone_is_what_oss_says_once_it_is_looked_up(
    world: World,
) -> None:
    mount = world.mount(list_names_only=True)
    other = world.mount()
    await other.symlink("link", b"target")
    await other.write("f", b"content")
    await other.change("f", mode=0o600)
    await other.drain()
    await other.write("gone", b"x")
    assert await mount.names() == {"f", "link", "gone"}
    number = mount.node("f").ino
    await other.unlink("gone")
    assert (await mount.stat("f")).mode == stat.S_IFREG | 0o600
    assert (await mount.stat("f")).ino == number
    assert await mount.readlink("link") == b"target"
    assert not await mount.exists("gone")
    assert await mount.names() == {"f", "link"}
    await mount.write("f", b"changed")
    assert await mount.read("f") == b"changed"
    mount.check_invariants()


async def test_what_this_mount_made_is_listed_as_it_knows_it(world: World) -> None:
    mount = world.mount(list_names_only=True)
    await mount.mkdir("d", 0o700)
    handle = await mount.create("d/f", mode=0o600)
    await mount.fs.write(handle, 0, b"staged")
    directory = await mount.fs.opendir((await mount.stat("d")).ino)
    (entry,) = await mount.fs.readdir(directory, 2, 10)
    assert (entry.stat.size, stat.S_IMODE(entry.stat.mode), entry.stat.valid) == (6, 0o600, 5.0)
    await mount.unlink("d/f")
    assert await mount.fs.readdir(directory, 2, 10) == []
