"""What is asked of OSS and when; what other clients do; answers that come too late."""

import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from ossfs.staging import StagedFile
from ossfs.vfs.metadata import Changes
from tests.vfs.bucket import Hold
from tests.vfs.world import CALLER, ROOT, Mount, World, refused


@asynccontextmanager
async def meanwhile(
    mount: Mount, request: str, act: Callable[[], Awaitable[object]], key: str | None = None
) -> AsyncIterator[None]:
    """Run *act*, and the block while the answer to its first *request*, already given, is under
    way.
    """
    async with trio.open_nursery() as tasks:
        with mount.bucket.held(request, key, after=True) as hold:

            async def quietly() -> None:
                await act()

            tasks.start_soon(quietly)
            await hold.reached.wait()
            mount.bucket.let_pass(hold)
            yield


# --- how much is asked -------------------------------------------------------------------------


async def test_opening_a_clean_file_asks_once(mount: Mount, world: World) -> None:
    await mount.write("f", b"hello")
    async with mount.at("f") as stat:
        for flags in (os.O_RDONLY, os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_TRUNC):
            mount.bucket.forget()
            opened = await mount.fs.open(stat.ino, flags)
            assert len(mount.bucket.calls) == 1
            if flags == os.O_RDONLY:
                assert await mount.fs.read(opened.handle, 0, 99) == b"hello"
            assert len(mount.bucket.calls) == 1
            await mount.fs.release(opened.handle)


async def test_opening_an_empty_file_asks_once(mount: Mount) -> None:
    await mount.write("f", b"")
    async with mount.at("f") as stat:
        mount.bucket.forget()
        await mount.fs.open(stat.ino, os.O_RDONLY)
        assert mount.bucket.names() == ["head"]


async def test_opening_a_file_that_is_staged_asks_nothing(mount: Mount) -> None:
    handle = await mount.create("f")
    await mount.fs.write(handle, 0, b"x")
    async with mount.at("f") as stat:
        mount.bucket.forget()
        await mount.fs.open(stat.ino, os.O_RDONLY)
    assert mount.bucket.names() == []


async def test_attributes_may_be_trusted_at_open_if_the_user_says_so(world: World) -> None:
    mount = world.mount(check_at_open=False)
    await mount.write("f", b"hello")
    mount.bucket.forget()
    handle = await mount.open("f")
    assert mount.bucket.names() == []
    assert await mount.read_all(handle) == b"hello"


async def test_what_is_known_is_not_asked_again_within_its_time(mount: Mount) -> None:
    await mount.write("f", b"hello")
    mount.bucket.forget()
    for _ in range(3):
        await mount.stat("f")
        assert not await mount.exists("nothing")
    assert len(mount.bucket.calls) <= 3
    await trio.sleep(6)
    mount.bucket.forget()
    await mount.stat("f")
    assert mount.bucket.calls


async def test_with_no_time_to_live_every_change_is_seen_at_once(world: World) -> None:
    mount = world.mount(attr_ttl=0.0, negative_ttl=0.0)
    for content in (b"one", b"three"):
        await world.put("d/f", content)
        assert (await mount.stat("d/f")).size == len(content)
        assert await mount.read("d/f") == content
        assert await mount.names("d") == {"f"}
        await world.delete("d/f")
        assert not await mount.exists("d/f")
        assert not await mount.exists("d")
        assert await mount.names() == set()
    assert (await mount.stat("")).valid == 0.0


# --- other clients -----------------------------------------------------------------------------


async def test_a_handle_of_a_replaced_version_is_stale_and_a_new_open_has_the_new_bytes(
    world: World,
) -> None:
    one, two = world.mount(), world.mount()
    old, new = os.urandom(5 << 20), os.urandom(100)
    await one.write("f", old)
    handle, writer = await one.open("f"), await one.open("f", os.O_RDWR)
    await two.write("f", new)
    assert await one.read("f") == new
    with refused(errno.ESTALE):
        await one.fs.read(handle, 4 << 20, 10)
    with refused(errno.ESTALE):
        await one.fs.write(writer, 0, b"x")
    async with one.at("f") as stat:
        with refused(errno.ESTALE):
            await one.fs.setattr(stat.ino, Changes(size=1), writer)
    await one.close(writer)
    await one.close(handle)
    assert await two.read("f") == new


async def test_a_read_that_finds_another_version_is_stale_and_never_mixed(world: World) -> None:
    one, two = world.mount(), world.mount()
    await one.write("f", b"a" * (5 << 20))
    handle = await one.open("f")
    assert await one.fs.read(handle, 0, 4) == b"aaaa"
    await two.write("f", b"b" * (5 << 20))
    with refused(errno.ESTALE):
        await one.fs.read(handle, (5 << 20) - 4, 4)
    with refused(errno.ESTALE):
        await one.fs.read(handle, 0, 4)
    assert (await one.read("f"))[:4] == b"bbbb"


async def test_a_change_learned_while_content_is_copied_up_is_not_written_over(
    world: World,
) -> None:
    """A write through a handle of the old version must not land on the new one."""
    one, two = world.mount(), world.mount()
    await one.write("f", b"a" * (5 << 20))
    await trio.sleep(10)
    handle = await one.open("f", os.O_RDWR)
    async with one.at("f"), trio.open_nursery() as tasks:
        with one.bucket.held("get") as get:

            async def write() -> None:
                with refused(errno.ESTALE):
                    await one.fs.write(handle, 0, b"mixed")

            tasks.start_soon(write)
            await get.reached.wait()
            await two.write("f", b"b" * (5 << 20))
            await trio.sleep(10)
            await one.stat("f")
    await one.fs.release(handle)
    assert await one.read("f") == b"b" * (5 << 20)


@pytest.mark.parametrize("by_handle", [False, True])
async def test_a_change_learned_while_a_copy_waits_for_room_is_not_written_over(
    mount: Mount, world: World, monkeypatch: pytest.MonkeyPatch, by_handle: bool
) -> None:
    await mount.write("f", b"former")
    other = world.mount()
    ino = (await other.find("f")).ino
    waited = False

    async def settle(_staged: StagedFile, _incoming: int) -> None:
        nonlocal waited
        if not waited:
            waited = True
            await mount.write("f", b"newer version")
            await trio.sleep(60)
            await other.fs.getattr(ino)

    monkeypatch.setattr(StagedFile, "settle", settle)
    if not by_handle:
        await other.truncate("f", 5)
        assert await mount.read("f") == b"newer"
        return
    handle = await other.open("f", os.O_RDWR)
    with refused(errno.ESTALE):
        await other.fs.setattr(ino, Changes(size=5), handle)
    await other.close(handle)
    assert await mount.read("f") == await other.read("f") == b"newer version"


async def test_the_kernel_is_told_of_another_version_before_the_open_replies(
    world: World,
) -> None:
    one = world.mount()
    await one.write("f", b"old")
    async with one.at("f") as stat:
        first = await one.fs.open(stat.ino, os.O_RDONLY)
        assert first.keep_pages
        await world.put("f", b"new")
        one.kernel.invalidated.clear()
        second = await one.fs.open(stat.ino, os.O_RDONLY)
        assert stat.ino in one.kernel.invalidated
        assert not second.keep_pages
        assert (await one.fs.open(stat.ino, os.O_RDONLY)).keep_pages


async def test_pages_of_a_version_that_was_replaced_before_a_cut_are_not_kept(
    world: World,
) -> None:
    """The kernel saw the old version, and this mount truncated the new one by path."""
    one = world.mount()
    await one.write("f", b"old content")
    handle = await one.open("f")
    await one.fs.release(handle)
    await world.put("f", b"NEW CONTENT")
    await trio.sleep(10)
    await one.truncate("f", 3)
    async with one.at("f") as stat:
        assert not (await one.fs.open(stat.ino, os.O_RDONLY)).keep_pages


async def test_pages_stay_over_a_local_write_and_a_rename(mount: Mount) -> None:
    await mount.write("f", b"hello")
    await mount.rename("f", "g")
    async with mount.at("g") as stat:
        opened = await mount.fs.open(stat.ino, os.O_RDWR)
        assert opened.keep_pages
        await mount.fs.write(opened.handle, 0, b"j")
        await mount.close(opened.handle)
        assert (await mount.fs.open(stat.ino, os.O_RDONLY)).keep_pages


async def test_a_file_that_another_client_removed_is_stale_for_those_who_know_it(
    mount: Mount, world: World
) -> None:
    await mount.write("f", b"hello")
    handle = await mount.open("f", os.O_RDWR)
    async with mount.at("f") as stat:
        await world.delete("f")
        await trio.sleep(10)
        for _ in range(2):
            with refused(errno.ESTALE):
                await mount.fs.getattr(stat.ino)
            with refused(errno.ESTALE):
                await mount.fs.open(stat.ino, os.O_RDONLY)
        with refused(errno.ESTALE):
            await mount.fs.write(handle, 0, b"x")
    assert not await mount.exists("f")
    await mount.write("f", b"new")
    await mount.fs.release(handle)
    assert await mount.read("f") == b"new"
    assert len(mount.known) == 2


async def test_a_name_that_came_back_is_not_hidden_by_the_node_that_left_it(
    mount: Mount, world: World
) -> None:
    await mount.write("f", b"hello")
    async with mount.at("f") as stat:
        await world.delete("f")
        await trio.sleep(10)
        assert not await mount.exists("f")
        await trio.sleep(10)
        await world.put("f", b"again")
        assert (await mount.stat("f")).ino != stat.ino
        await trio.sleep(10)
        with refused(errno.ESTALE):
            await mount.fs.getattr(stat.ino)
        assert await mount.exists("f")


async def test_a_file_that_became_a_directory_gets_another_inode(
    mount: Mount, world: World
) -> None:
    await mount.write("x", b"hello")
    before = await mount.stat("x")
    await world.delete("x")
    await world.put("x/y", b"")
    await trio.sleep(10)
    after = await mount.stat("x")
    assert after.ino != before.ino
    assert await mount.names("x") == {"y"}


async def test_what_is_encrypted_under_a_real_key_is_shared_by_two_mounts(
    rsa_world: World,
) -> None:
    one, two = rsa_world.mount(), rsa_world.mount()
    content = os.urandom(200_000)
    await one.write("f", content)
    assert (await rsa_world.head("f")).metadata["client-side-encryption-wrap-alg"].startswith("RSA")
    assert await two.read("f") == content
    await two.rename("f", "g")
    assert await rsa_world.mount().read("g") == content


async def test_two_mounts_see_each_others_files_after_close(world: World) -> None:
    one, two = world.mount(), world.mount()
    for content in (b"one", b"second", b"3"):
        await one.write("f", content)
        assert await two.read("f") == content
        one, two = two, one


# --- answers that come too late ------------------------------------------------------------------


async def test_a_lookup_under_way_does_not_undo_a_create(mount: Mount) -> None:
    async with meanwhile(mount, "list_page", lambda: mount.exists("f")):
        handle = (await mount.fs.create(ROOT, b"f", 0o644, os.O_WRONLY, CALLER))[0].handle
        await mount.fs.write(handle, 0, b"ours")
        await mount.close(handle)
    assert await mount.exists("f")
    assert await mount.names() == {"f"}


async def test_a_lookup_under_way_does_not_bring_back_what_was_unlinked(mount: Mount) -> None:
    await mount.write("f", b"x")
    await trio.sleep(10)
    found: list[bool] = []

    async def look() -> None:
        found.append(await mount.exists("f"))

    async with meanwhile(mount, "head", look):
        await mount.unlink("f")
    assert found == [False]
    assert not await mount.exists("f")
    assert len(mount.known) == 1


async def test_a_lookup_under_way_does_not_bring_back_what_was_renamed(mount: Mount) -> None:
    await mount.write("f", b"x")
    await trio.sleep(10)
    async with meanwhile(mount, "head", lambda: mount.exists("f")):
        await mount.rename("f", "g")
    assert await mount.names() == {"g"}
    assert not await mount.exists("f")
    assert await mount.read("g") == b"x"


async def test_a_lookup_under_way_does_not_undo_an_upload(mount: Mount) -> None:
    await mount.write("f", b"old")
    await trio.sleep(10)
    async with meanwhile(mount, "head", lambda: mount.stat("f")):
        await mount.write("f", b"much newer")
    assert (await mount.stat("f")).size == 10
    handle = await mount.open("f")
    assert await mount.read_all(handle) == b"much newer"


async def test_a_getattr_under_way_does_not_undo_a_change(mount: Mount) -> None:
    await mount.write("f", b"old")
    async with mount.at("f") as stat:
        await trio.sleep(10)
        async with meanwhile(mount, "head", lambda: mount.fs.getattr(stat.ino)):
            # An even number of changes, each of them stored: nothing looks as before.
            for mode in (0o600, 0o640):
                await mount.change("f", mode=mode)
                await mount.drain()
        assert (await mount.fs.getattr(stat.ino)).mode & 0o777 == 0o640


async def test_a_getattr_under_way_does_not_end_a_file_that_is_renamed(mount: Mount) -> None:
    await mount.write("f", b"hello")
    handle = await mount.open("f", os.O_RDWR)
    async with mount.at("f") as stat:
        await trio.sleep(10)
        with mount.bucket.held("delete", after=True) as delete:
            async with trio.open_nursery() as tasks:
                tasks.start_soon(mount.rename, "f", "g")
                await delete.reached.wait()
                assert (await mount.fs.getattr(stat.ino)).size == 5
                delete.release()
    assert await mount.fs.read(handle, 0, 9) == b"hello"
    await mount.close(handle)


async def test_a_getattr_of_a_busy_directory_ends(mount: Mount) -> None:
    """Each new name changes the directory's times; that must not begin the question anew."""
    await mount.mkdir("d")
    async with mount.at("d") as stat:
        await trio.sleep(10)
        done = trio.Event()

        async def ask() -> None:
            await mount.fs.getattr(stat.ino)
            done.set()

        async with trio.open_nursery() as tasks:
            with mount.bucket.held("head", "d/", after=True) as hold:
                tasks.start_soon(ask)
                await hold.reached.wait()
                await mount.fs.create(stat.ino, b"f", 0o644, os.O_WRONLY, CALLER)
                mount.bucket.forget()
                hold.release()
                await done.wait()
        assert mount.bucket.names() == []


async def test_a_listing_under_way_shows_what_changed_meanwhile(mount: Mount) -> None:
    for name in ("unlinked", "renamed", "kept", "rewritten"):
        await mount.write(name, b"x")
    await mount.mkdir("moved")
    await mount.write("moved/f", b"x")
    await trio.sleep(10)
    listed: list[set[str]] = []

    async def read() -> None:
        listed.append(await mount.names())

    directory = await mount.find("moved")
    async with meanwhile(mount, "list_page", read):
        await mount.unlink("unlinked")
        await mount.rename("renamed", "new name")
        await mount.write("created", b"x")
        await mount.write("rewritten", b"y")
        await mount.mkdir("made")
        await mount.symlink("link", b"x")
        await mount.rename("moved", "there")
    assert listed == [
        {"new name", "kept", "created", "rewritten", "made", "link", "there"},
    ]
    assert (await mount.find("there")).ino == directory.ino
    assert await mount.names("there") == {"f"}


async def test_a_listing_under_way_does_not_lose_the_children_of_a_renamed_directory(
    mount: Mount,
) -> None:
    await mount.mkdir("d")
    await mount.write("d/f", b"hello")
    handle = await mount.open("d/f")
    await mount.mkdir("e")
    await trio.sleep(10)
    async with meanwhile(mount, "list_page", lambda: mount.names("e"), "e/"):
        await mount.rename("d", "e/d")
    assert await mount.names("e") == {"d"}
    assert await mount.fs.read(handle, 0, 9) == b"hello"
    assert await mount.read("e/d/f") == b"hello"


async def test_an_open_under_way_does_not_undo_a_write(mount: Mount) -> None:
    await mount.write("f", b"old")
    writer = await mount.open("f", os.O_WRONLY)
    await trio.sleep(10)
    async with mount.at("f") as stat:
        contents: list[bytes] = []

        async def read() -> None:
            handle = (await mount.fs.open(stat.ino, os.O_RDONLY)).handle
            contents.append(await mount.read_all(handle))
            await mount.close(handle)

        async with meanwhile(mount, "get", read):
            await mount.truncate("f", 0)
            await mount.fs.write(writer, 0, b"newer")
            await mount.close(writer)
    assert contents == [b"newer"]
    assert (await mount.stat("f")).size == 5


async def test_an_open_under_way_does_not_undo_a_rename(mount: Mount) -> None:
    await mount.write("f", b"hello")
    async with mount.at("f") as stat:
        contents: list[bytes] = []

        async def read() -> None:
            handle = (await mount.fs.open(stat.ino, os.O_RDONLY)).handle
            contents.append(await mount.read_all(handle))
            await mount.close(handle)

        async with meanwhile(mount, "get", read):
            await mount.rename("f", "g")
    assert contents == [b"hello"]


async def test_a_lookup_that_finds_a_new_link_before_its_maker_knows_is_no_harm(
    mount: Mount,
) -> None:
    async def lookups(hold: Hold, name: str) -> None:
        await hold.reached.wait()
        await trio.sleep(10)
        assert await mount.exists(name)
        hold.release()

    makers: dict[str, Callable[[], Awaitable[None]]] = {
        "link": lambda: mount.symlink("link", b"x"),
        "node": lambda: mount.mknod("node", 0o100600),
        "fifo": lambda: mount.mknod("fifo", 0o010600),
        "made": lambda: mount.mkdir("made"),
    }
    for name, make in makers.items():
        async with trio.open_nursery() as tasks:
            with mount.bucket.held("put", after=True) as hold:
                tasks.start_soon(lookups, hold, name)
                await make()
        assert name in await mount.names()
    mount.check_invariants()


async def test_a_lookup_that_finds_the_copy_of_a_rename_is_no_harm(mount: Mount) -> None:
    await mount.write("f", b"hello")
    await mount.mkdir("d")
    await mount.write("d/f", b"hello")
    for old, new in (("f", "g"), ("d", "e")):
        async with trio.open_nursery() as tasks:
            with mount.bucket.held("copy", after=True) as hold:
                tasks.start_soon(mount.rename, old, new)
                await hold.reached.wait()
                await trio.sleep(10)
                assert await mount.exists(new)
                hold.release()
        assert not await mount.exists(old)
    assert await mount.read("g") == b"hello"
    assert await mount.read("e/f") == b"hello"
    mount.check_invariants()


async def test_a_truncation_to_nothing_wins_over_a_copy_that_is_under_way(mount: Mount) -> None:
    await mount.write("f", b"x" * (5 << 20))
    handle = await mount.open("f", os.O_RDWR)
    async with mount.at("f") as stat, trio.open_nursery() as tasks:
        with mount.bucket.held("get") as get:
            tasks.start_soon(mount.fs.write, handle, 0, b"ab")
            await get.reached.wait()
            mount.bucket.let_pass(get)
            await mount.fs.setattr(stat.ino, Changes(size=0), handle)
            get.release()
    await mount.close(handle)
    assert await mount.read("f") == b"ab"


async def test_a_read_under_way_while_the_file_is_rewritten_here_is_not_stale(
    mount: Mount,
) -> None:
    await mount.write("f", b"a" * (5 << 20))
    reader, writer = await mount.open("f"), await mount.open("f", os.O_WRONLY)
    results: list[bytes] = []

    async def read() -> None:
        results.append(bytes(await mount.fs.read(reader, 4 << 20, 4)))

    async with mount.at("f") as stat, trio.open_nursery() as tasks:
        with mount.bucket.held("get") as get, mount.bucket.held("put", after=True) as put:
            tasks.start_soon(read)
            await get.reached.wait()
            await mount.fs.setattr(stat.ino, Changes(size=0), writer)
            await mount.fs.write(writer, 0, b"b" * (5 << 20))
            tasks.start_soon(mount.close, writer)
            await put.reached.wait()
            get.release()
            await wait_all_tasks_blocked()
            put.release()
    assert results == [b"bbbb"]
    assert await mount.fs.read(reader, 0, 4) == b"bbbb"
    await mount.close(reader)


@pytest.mark.parametrize("size", [10, 5 << 20])
async def test_a_status_poll_does_not_keep_a_copy_up_from_ending(mount: Mount, size: int) -> None:
    """Every stat of the same version makes new facts; they are of the same version still."""
    await mount.write("f", b"x" * size)
    await trio.sleep(10)
    handle = await mount.open("f", os.O_RDWR)
    written = trio.Event()

    async def write() -> None:
        await mount.fs.write(handle, 1, b"y")
        written.set()

    async with mount.at("f") as stat, trio.open_nursery() as tasks:
        with mount.bucket.held("get") as get:
            tasks.start_soon(write)
            await wait_all_tasks_blocked()
            await trio.sleep(10)
            await mount.fs.getattr(stat.ino)
            mount.bucket.forget()
            get.release()
            await written.wait()
    assert mount.bucket.count("get") <= size // (4 << 20)
    await mount.close(handle)
    assert (await mount.read("f"))[:3] == b"xyx"


@pytest.mark.parametrize("above", [False, True])
async def test_another_clients_version_counts_when_it_was_moved_beneath_what_a_writer_had_stored(
    above: bool, mount: Mount, world: World
) -> None:
    await mount.mkdir("d")
    writer = await mount.create("d/f")
    await mount.fs.write(writer, 0, b"ours")
    await mount.fs.flush(writer)
    await world.mount().write("d/f", b"theirs, longer")
    await (mount.rename("d", "e") if above else mount.rename("d/f", "d/g"))
    path = "e/f" if above else "d/g"
    assert await mount.read(path) == b"theirs, longer"
    with refused(errno.ESTALE):
        await mount.fs.write(writer, 0, b"x")
    with refused(errno.ESTALE):
        await mount.fs.read(writer, 0, 99)
    await mount.fs.release(writer)
    assert (await mount.stat(path)).size == len(b"theirs, longer")
    assert await world.mount().read(path) == b"theirs, longer"


async def test_names_that_oss_would_refuse_to_look_up_do_not_exist(
    mount: Mount, world: World
) -> None:
    directory = "/".join(letter * 250 for letter in "abc")
    await world.put(f"{directory}/here", b"x")
    assert await mount.exists(f"{directory}/here")
    room = "/".join((directory, "d" * 250))
    await world.put(f"{room}/here", b"x")
    for length in (18, 19, 20, 21):
        assert not await mount.exists(f"{room}/{'x' * length}")
    longest = max(len(call.key.encode()) for call in mount.bucket.calls)
    assert longest <= 1023
    assert not await mount.exists("\\x")
    assert "\\x" not in {call.key for call in mount.bucket.calls}


# --- under a kernel that gathers writes --------------------------------------------------------


async def test_a_kernel_that_gathers_writes_gets_a_new_number_for_a_foreign_version(
    world: World,
) -> None:
    mount = world.mount(kernel_writeback=True)
    await mount.write("f", b"ours")
    handle = await mount.open("f")
    old = await mount.find("f")
    await world.put("f", b"a foreign version")
    with refused(errno.ESTALE):
        await mount.fs.open(old.ino, os.O_RDONLY)
    # What the kernel does then: it looks the name up and opens what stands there.
    new = await mount.stat("f")
    assert (new.ino != old.ino, new.size) == (True, 17)
    assert await mount.read("f") == b"a foreign version"
    with refused(errno.ESTALE):
        await mount.fs.read(handle, 0, 10)
    await mount.fs.release(handle)
    mount.fs.forget(old.ino, 1)
    mount.check_invariants()


async def test_an_open_file_keeps_its_number_while_its_content_does(world: World) -> None:
    mount = world.mount(kernel_writeback=True, attr_ttl=0)
    await world.put("f", b"plain")
    handle = await mount.open("f")
    number = (await mount.stat("f")).ino
    await mount.rename("f", "g")
    await trio.sleep(5)
    assert (await mount.stat("g")).ino == number
    assert await mount.fs.read(handle, 0, 10) == b"plain"
    await mount.close(handle)


async def test_a_file_that_was_cut_off_and_not_stored_gets_a_new_number(world: World) -> None:
    mount = world.mount(kernel_writeback=True)
    await mount.write("f", b"content")
    old = await mount.find("f")
    mount.bucket.fail("put", times=1)
    with refused(errno.EIO):
        await mount.fs.setattr(old.ino, Changes(size=3))
    with refused(errno.ESTALE):
        await mount.fs.getattr(old.ino)
    assert (await mount.stat("f")).size == 3
    assert await mount.drain() == []
    mount.fs.forget(old.ino, 1)
    assert await mount.read("f") == b"con"
    mount.check_invariants()


async def test_a_link_that_another_client_made_a_file_is_found_at_once(world: World) -> None:
    mount = world.mount()
    await mount.symlink("f", b"target")
    async with mount.at("f") as stat:
        await world.put("f", b"a file")
        with refused(errno.ESTALE):
            await mount.fs.open(stat.ino, os.O_RDONLY)
    assert await mount.read("f") == b"a file"
