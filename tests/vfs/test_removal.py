"""unlink and rmdir, of open files too, and what stays in the bucket."""

import errno
import os
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.vfs.world import CALLER, Mount, World, refused

ORPHANS = ".ossfs/orphans/"


def orphans(world: World) -> list[str]:
    return [key for key in world.stored() if ORPHANS in key]


async def test_an_open_file_reads_on_after_unlink_until_its_last_close(
    mount: Mount, world: World
) -> None:
    content = os.urandom(300_000)
    await mount.write("f", content)
    handles = [await mount.open("f"), await mount.open("f")]
    await mount.unlink("f")
    assert world.visible() == []
    assert len(orphans(world)) == 1
    assert not await mount.exists("f")
    for handle in handles:
        assert await mount.read_all(handle) == content
        await mount.close(handle)
    assert world.stored() == []
    mount.check_invariants()
    assert len(mount.known) == 1


async def test_orphans_lie_below_the_prefix(world: World) -> None:
    mount = world.mount(prefix="team/a")
    await mount.write("f", b"hello")
    handle = await mount.open("f")
    await mount.unlink("f")
    (key,) = world.stored()
    assert key.startswith("team/a/" + ORPHANS)
    await mount.close(handle)
    assert world.stored() == []


async def test_an_unlinked_open_file_can_still_be_written_and_nothing_of_it_is_stored(
    mount: Mount, world: World
) -> None:
    await mount.write("f", b"hello")
    handle = await mount.open("f", os.O_RDWR)
    await mount.unlink("f")
    await mount.fs.write(handle, 5, b" world")
    await mount.fs.flush(handle)
    await mount.fs.fsync(handle)
    assert await mount.read_all(handle) == b"hello world"
    assert await mount.drain() == []
    await mount.close(handle)
    assert world.stored() == []


async def test_a_staged_file_that_is_unlinked_is_never_uploaded(mount: Mount, world: World) -> None:
    handle = await mount.create("f")
    await mount.fs.write(handle, 0, b"hello")
    mount.bucket.forget()
    await mount.unlink("f")
    assert await mount.read_all(handle) == b"hello"
    await mount.close(handle)
    await trio.sleep(100)
    assert mount.bucket.names() == []
    assert len(mount.known) == 1


async def test_the_staged_content_outlives_the_last_writer_for_those_who_read(
    mount: Mount, world: World
) -> None:
    await mount.write("f", b"old")
    writer, reader = await mount.open("f", os.O_WRONLY), await mount.open("f")
    await mount.fs.write(writer, 0, b"new")
    await mount.unlink("f")
    await mount.close(writer)
    assert await mount.read_all(reader) == b"new"
    await mount.close(reader)
    assert world.stored() == []


async def test_unlink_during_an_upload_gives_it_up_and_nothing_stays(
    mount: Mount, world: World
) -> None:
    for after in (False, True):
        handle = await mount.create("f", os.O_WRONLY)
        await mount.fs.write(handle, 0, b"hello")
        async with trio.open_nursery() as tasks:
            with mount.bucket.held("put", after=after) as hold:
                tasks.start_soon(mount.fs.flush, handle)
                await hold.reached.wait()
                await mount.unlink("f")
        assert world.stored() == []
        await mount.fs.release(handle)
        assert len(mount.known) == 1
        await mount.close(await mount.create("g"))
        await mount.unlink("g")


async def test_unlink_during_an_upload_in_parts_leaves_no_part(world: World) -> None:
    mount = world.mount(part_size=1 << 20)
    handle = await mount.create("f", os.O_WRONLY)
    await mount.fs.write(handle, 0, b"x" * (5 << 20))
    async with trio.open_nursery() as tasks:
        with mount.bucket.held("put_part") as part:
            tasks.start_soon(mount.fs.flush, handle)
            await part.reached.wait()
            await mount.unlink("f")
    await mount.fs.release(handle)
    assert world.stored() == []
    assert mount.bucket.count("abort_multipart") == 1
    mount.check_invariants()


async def test_a_flush_waits_for_an_unlink_that_gave_its_upload_up(
    mount: Mount, world: World
) -> None:
    """If the unlink fails, the content must be stored before close returns 0."""
    await mount.write("f", b"old")
    handle = await mount.open("f", os.O_WRONLY)
    await mount.fs.write(handle, 0, b"new")
    flushed = trio.Event()

    async def flush() -> None:
        await mount.fs.flush(handle)
        flushed.set()

    mount.bucket.fail("delete")
    async with trio.open_nursery() as tasks:
        with mount.bucket.held("put") as put, mount.bucket.held("delete") as delete:
            tasks.start_soon(flush)
            await put.reached.wait()

            async def unlink() -> None:
                with refused(errno.EIO):
                    await mount.unlink("f")

            tasks.start_soon(unlink)
            await delete.reached.wait()
            await wait_all_tasks_blocked()
            assert not flushed.is_set()
            put.release()
            delete.release()
    assert await world.mount().read("f") == b"new"


async def test_a_close_during_an_unlink_that_fails_loses_nothing(
    mount: Mount, world: World
) -> None:
    await mount.write("f", b"old")
    handle = await mount.open("f", os.O_WRONLY)
    await mount.fs.write(handle, 0, b"new")
    mount.bucket.fail("delete")
    async with trio.open_nursery() as tasks:
        with mount.bucket.held("delete") as delete:

            async def unlink() -> None:
                with refused(errno.EIO):
                    await mount.unlink("f")

            tasks.start_soon(unlink)
            await delete.reached.wait()
            await mount.fs.release(handle)
    await trio.sleep(10)
    assert await world.mount().read("f") == b"new"
    assert await mount.read("f") == b"new"
    mount.check_invariants()


async def test_an_unlink_that_fails_leaves_the_file_as_it_was(mount: Mount, world: World) -> None:
    await mount.write("f", b"hello")
    reader = await mount.open("f")
    mount.bucket.fail("delete")
    with refused(errno.EIO):
        await mount.unlink("f")
    assert world.stored() == ["f"]
    assert await mount.read_all(reader) == b"hello"
    assert await mount.read("f") == b"hello"
    await mount.change("f", mode=0o600)
    assert await mount.drain() == []
    assert "ossfs.attr" in await world.tags("f")


async def test_an_unlink_whose_answer_is_lost_leaves_what_is_open_readable(
    mount: Mount, world: World
) -> None:
    content = os.urandom(5 << 20)
    await mount.write("f", content)
    handle = await mount.open("f")
    mount.bucket.fail("delete", "f", answer_lost=True)
    with refused(errno.EIO):
        await mount.unlink("f")
    assert not await mount.exists("f")
    assert await mount.read_all(handle) == content
    await mount.close(handle)
    assert world.stored() == []
    assert len(mount.known) == 1


async def test_what_was_made_with_a_lost_answer_is_shown_at_once(mount: Mount) -> None:
    makers: dict[str, Callable[[], Awaitable[None]]] = {
        "d": lambda: mount.mkdir("d"),
        "n": lambda: mount.mknod("n", 0o010600),
    }
    for name, make in makers.items():
        assert not await mount.exists(name)
        mount.bucket.fail("put", answer_lost=True)
        mount.bucket.fail("head")
        with refused(errno.EIO):
            await make()
        mount.bucket.heal()
        assert await mount.exists(name)
    mount.bucket.fail("delete", "d/", answer_lost=True)
    with refused(errno.EIO):
        await mount.rmdir("d")
    assert await mount.names() == {"n"}
    assert not await mount.exists("d")


async def test_attributes_that_wait_survive_an_unlink_that_fails(
    mount: Mount, world: World
) -> None:
    await mount.write("f", b"hello")
    await mount.change("f", mode=0o600)
    mount.bucket.fail("delete")
    async with trio.open_nursery() as tasks:
        with mount.bucket.held("delete") as delete:

            async def unlink() -> None:
                with refused(errno.EIO):
                    await mount.unlink("f")

            tasks.start_soon(unlink)
            await delete.reached.wait()
            await trio.sleep(10)  # the gathering ends meanwhile
    await trio.sleep(10)
    assert "ossfs.attr" in await world.tags("f")


async def test_an_open_during_an_unlink_learns_how_it_ended(mount: Mount) -> None:
    await mount.write("f", b"hello")
    async with mount.at("f") as stat, trio.open_nursery() as tasks:
        with mount.bucket.held("delete") as delete:
            tasks.start_soon(mount.unlink, "f")
            await delete.reached.wait()

            async def late() -> None:
                with refused(errno.ESTALE):
                    await mount.fs.open(stat.ino, os.O_RDONLY)

            tasks.start_soon(late)
            await wait_all_tasks_blocked()
            delete.release()
    mount.check_invariants()
    assert len(mount.known) == 1


async def test_an_open_that_is_under_way_when_the_name_goes_keeps_the_content(
    mount: Mount,
) -> None:
    await mount.write("f", b"hello")
    async with mount.at("f") as stat:
        results: list[bytes] = []

        async def read() -> None:
            handle = (await mount.fs.open(stat.ino, os.O_RDONLY)).handle
            results.append(await mount.read_all(handle))
            await mount.close(handle)

        async with trio.open_nursery() as tasks:
            with mount.bucket.held("get") as get:
                tasks.start_soon(read)
                await get.reached.wait()
                await mount.unlink("f")
    assert results == [b"hello"]
    assert mount.bucket.inner._keys == []


async def test_an_orphan_that_cannot_be_deleted_is_logged_and_the_close_succeeds(
    mount: Mount, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await mount.write("f", b"hello")
    handle = await mount.open("f")
    await mount.unlink("f")
    mount.bucket.fail("delete")
    await mount.close(handle)
    assert len(orphans(world)) == 1
    assert "fsck" in caplog.text


async def test_unlinking_what_another_client_replaced_removes_what_is_there(
    mount: Mount, world: World
) -> None:
    await mount.write("f", b"hello")
    handle = await mount.open("f")
    await world.put("f", b"theirs")
    await mount.unlink("f")
    assert world.stored() == []
    with refused(errno.ESTALE):
        await mount.fs.read(handle, 0, 5)
    await mount.close(handle)


async def test_unlinking_what_another_client_removed_succeeds(mount: Mount, world: World) -> None:
    await mount.write("f", b"hello")
    handle = await mount.open("f")
    await world.delete("f")
    await mount.unlink("f")
    assert world.stored() == []
    await mount.close(handle)
    assert len(mount.known) == 1


# --- directories -------------------------------------------------------------------------------


async def test_the_marker_is_put_before_the_last_child_goes(mount: Mount, world: World) -> None:
    await world.put("d/f", b"x")
    assert await mount.names("d") == {"f"}
    with mount.bucket.held("delete") as delete:
        async with trio.open_nursery() as tasks:
            tasks.start_soon(mount.unlink, "d/f")
            await delete.reached.wait()
            assert world.stored() == ["d/", "d/f"]
            delete.release()
    assert await mount.names("d") == set()
    assert await world.mount().names() == {"d"}


async def test_a_directory_without_a_marker_outlives_what_is_moved_out_of_it(
    mount: Mount, world: World
) -> None:
    await world.put("d/f", b"x")
    await world.put("e/g/f", b"x")
    await mount.rename("d/f", "f")
    await mount.rename("e/g", "g")
    assert await world.mount().names() == {"d", "e", "f", "g"}


async def test_no_marker_is_put_while_others_hold_the_directory(mount: Mount, world: World) -> None:
    await world.put("d/f", b"x")
    await world.put("d/g", b"x")
    assert await mount.names("d") == {"f", "g"}
    await mount.unlink("d/f")
    assert world.stored() == ["d/g"]


async def test_a_directory_without_a_marker_that_has_files_is_not_empty(
    mount: Mount, world: World
) -> None:
    await world.put("d/e/f", b"x")
    with refused(errno.ENOTEMPTY):
        await mount.rmdir("d")
    await mount.unlink("d/e/f")
    await mount.rmdir("d/e")
    await mount.rmdir("d")
    assert world.stored() == []
    assert await mount.names() == set()


async def test_a_directory_with_a_file_that_is_not_stored_yet_is_not_empty(
    mount: Mount,
) -> None:
    await mount.mkdir("d")
    handle = await mount.create("d/f")
    with refused(errno.ENOTEMPTY):
        await mount.rmdir("d")
    await mount.unlink("d/f")
    await mount.rmdir("d")
    await mount.close(handle)


async def test_a_file_that_another_host_made_meanwhile_keeps_the_directory(
    mount: Mount, world: World
) -> None:
    await mount.mkdir("d")
    await world.put("d/f", b"x")
    with refused(errno.ENOTEMPTY):
        await mount.rmdir("d")


async def test_an_object_that_is_no_name_here_keeps_the_directory(
    mount: Mount, world: World
) -> None:
    await mount.mkdir("d")
    await world.put("d//x", b"x")
    assert await mount.names("d") == set()
    with refused(errno.ENOTEMPTY):
        await mount.rmdir("d")


async def test_a_directory_that_goes_when_another_client_empties_it_stays_while_it_holds_ours(
    mount: Mount, world: World
) -> None:
    await world.put("d/f", b"x")
    assert await mount.exists("d/f")
    handle = await mount.create("d/new")
    await mount.fs.write(handle, 0, b"ours")
    await world.delete("d/f")
    await trio.sleep(10)
    assert await mount.names() == {"d"}
    assert await mount.names("d") == {"new"}
    assert await mount.exists("d/new")
    await mount.close(handle)
    assert world.stored() == ["d/new"]


async def test_nothing_can_be_made_in_a_directory_that_is_going(mount: Mount) -> None:
    await mount.mkdir("d")
    async with mount.at("d") as stat, trio.open_nursery() as tasks:
        with mount.bucket.held("delete") as delete:
            tasks.start_soon(mount.rmdir, "d")
            await delete.reached.wait()
            with refused(errno.ENOENT):
                await mount.create("d/f")
            delete.release()
        await wait_all_tasks_blocked()
        with refused(errno.ENOENT):
            await mount.fs.mkdir(stat.ino, b"e", 0o755, CALLER)
    assert mount.bucket.inner._keys == []


async def test_a_directory_without_a_marker_outlives_its_last_file_though_others_were_seen_once(
    mount: Mount, world: World
) -> None:
    await world.put("d/a", b"a")
    await world.put("d/b", b"b")
    assert await mount.names("d") == {"a", "b"}
    await world.delete("d/a")
    await trio.sleep(10)
    await mount.unlink("d/b")
    assert world.stored() == ["d/"]
