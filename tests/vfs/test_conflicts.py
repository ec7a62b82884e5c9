"""Two clients change one file: nothing of either is lost, and the one that comes second is told."""

import errno
import os
import re
import stat
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from ossfs.store.base import ServerEncryption
from ossfs.types import HandleId
from ossfs.vfs import conflicts
from tests.vfs.world import ROOT, Mount, World, refused

FORM = re.compile(r"f\.conflict-[A-Za-z0-9_-]+-\d{8}T\d{6}\.\d{3}Z(-\d+)?")


async def opened_and_changed(world: World, mount: Mount, theirs: bytes = b"theirs") -> HandleId:
    """A handle of `f` through which `ours` was written, while another mount stored its own."""
    if "f" not in world.stored():
        await mount.write("f", b"old")
    handle = await mount.open("f", os.O_RDWR | os.O_TRUNC)
    await mount.fs.write(handle, 0, b"ours")
    await world.mount().write("f", theirs)
    return handle


def copies(world: World) -> list[str]:
    return sorted(key for key in world.visible() if ".conflict-" in key)


async def the_copy(world: World, mount: Mount) -> str:
    """The name of the only one, which both the bucket and the mount know."""
    (name,) = copies(world)
    assert name in await mount.names()
    return name


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


# --- keep-both -----------------------------------------------------------------------------------


async def test_ours_goes_beside_the_version_of_another_client_and_close_says_so(
    world: World, mount: Mount, caplog: pytest.LogCaptureFixture
) -> None:
    await mount.names()
    handle = await opened_and_changed(world, mount)
    with refused(errno.ESTALE):
        await mount.close(handle)
    name = await the_copy(world, mount)
    assert FORM.fullmatch(name)
    for view in (mount, world.mount()):
        assert await view.read("f") == b"theirs"
        assert await view.read(name) == b"ours"
    assert mount.fs.unsaved() == []
    assert await mount.status("f", "upload") == await mount.status(name, "upload") == "clean"
    assert await mount.status("", "conflicts") == "1"
    assert warnings(caplog) == ["another client changed <name>; ours is kept as <name>"]
    mount.check_invariants()


async def test_of_two_clients_that_make_a_file_the_first_to_close_has_the_name(
    world: World, mount: Mount, caplog: pytest.LogCaptureFixture
) -> None:
    handle = await mount.create("f", os.O_WRONLY, 0o600)
    await mount.fs.write(handle, 0, b"ours")
    await world.mount().write("f", b"theirs")
    with refused(errno.ESTALE):
        await mount.close(handle)
    name = await the_copy(world, mount)
    assert await mount.read("f") == b"theirs"
    assert await mount.read(name) == b"ours"
    assert stat.S_IMODE((await mount.stat("f")).mode) == 0o644
    assert stat.S_IMODE((await world.mount().stat(name)).mode) == 0o600
    assert "another client created" in caplog.text


async def test_attributes_tags_and_encryption_of_the_file_go_along(world: World) -> None:
    letters, plain = ServerEncryption(algorithm="AES256"), None
    mount = world.mount(rules=[("f", letters, False), ("*.conflict*", plain, True)])
    await mount.write("f", b"old")
    await mount.set_xattr("f", b"user.a", b"1")
    await mount.drain()
    tags = await world.tags("f")
    await world.store.put_tags((await world.head("f")).key, tags | {"team": "a"})
    await trio.sleep(6)
    handle = await opened_and_changed(world, mount)
    await mount.change("f", mode=0o640)
    with refused(errno.ESTALE):
        await mount.close(handle)
    name = await the_copy(world, mount)
    fresh = world.mount()
    assert await fresh.xattrs(name) == {b"user.a": b"1"}
    assert stat.S_IMODE((await fresh.stat(name)).mode) == 0o640
    assert (await world.head(name)).encryption == letters
    assert await fresh.status(name, "encryption") == "server"
    assert await world.tags(name) == {"team": "a"}


async def test_two_conflicts_at_one_moment_have_two_names(world: World) -> None:
    one, two = world.mount(), world.mount()
    await one.write("f", b"old")
    handles = [(mount, await mount.open("f", os.O_WRONLY)) for mount in (one, two)]
    for number, (mount, handle) in enumerate(handles):
        await mount.fs.write(handle, 0, b"ours%d" % number)
    await world.put("f", b"theirs")
    for mount, handle in handles:
        with refused(errno.ESTALE):
            await mount.close(handle)
    assert len(copies(world)) == 2
    assert {await one.read(name) for name in copies(world)} == {b"ours0", b"ours1"}


async def test_a_name_that_is_taken_is_never_replaced(
    world: World, mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conflicts, "suffix", lambda now, number: f".conflict-{number}")
    await world.put("f.conflict-1", b"of another host")
    staged = await mount.create("f.conflict-2")
    with refused(errno.ESTALE):
        await mount.close(await opened_and_changed(world, mount))
    assert await mount.read("f.conflict-3") == b"ours"
    await mount.close(staged)
    assert await world.mount().read("f.conflict-1") == b"of another host"


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127, "x" + "é" * 127, "a.txt"])
async def test_the_name_beside_fits_wherever_the_file_does(
    world: World, mount: Mount, name: str
) -> None:
    handle = await mount.create(name)
    await world.put(name, b"theirs")
    with refused(errno.ESTALE):
        await mount.close(handle)
    (key,) = copies(world)
    assert len(key.encode()) <= 255
    assert key.startswith(name[:80])
    assert await mount.read(key) == b""


async def test_where_a_key_has_no_room_ours_goes_into_the_next_directory_that_has(
    world: World, mount: Mount
) -> None:
    path = "d" * 200
    await mount.mkdir(path)
    for letter in "efgh":
        path += "/" + letter * 200
        await mount.mkdir(path)
    long = f"{path}/{'n' * (1023 - len(path) - 1)}"
    handle = await mount.create(long)
    await mount.fs.write(handle, 0, b"ours")
    await world.put(long, b"theirs")
    with refused(errno.ESTALE):
        await mount.close(handle)
    (key,) = copies(world)
    assert key.rpartition("/")[0] == path.rpartition("/")[0]
    assert await mount.read(key) == b"ours"
    assert await mount.read(long) == b"theirs"


async def test_where_no_key_has_room_ours_stays_staged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conflicts, "suffix", lambda now, number: ".conflict-" + "h" * 60)
    prefix = "/".join(["p" * 192] * 5)
    mount = world.mount(prefix=prefix)
    handle = await mount.create("f")
    await mount.fs.write(handle, 0, b"ours")
    await world.put(f"{prefix}/f", b"theirs")
    with refused(errno.ESTALE):
        await mount.close(handle)
    assert copies(world) == []
    assert await mount.read("f") == b"ours"
    assert await mount.status("f", "upload") == (
        "failed: conflict: another client changed the file since it was opened"
    )


async def test_every_handle_of_what_was_displaced_is_stale(world: World, mount: Mount) -> None:
    writer = await opened_and_changed(world, mount)
    reader, second = await mount.open("f"), await mount.open("f", os.O_WRONLY)
    await mount.fs.write(second, 4, b" too")
    idle = await mount.open("f", os.O_WRONLY)
    with refused(errno.ESTALE):
        await mount.fs.fsync(writer)
    for handle in (writer, second):
        with refused(errno.ESTALE):
            await mount.fs.write(handle, 0, b"x")
        with refused(errno.ESTALE):
            await mount.close(handle)
    with refused(errno.ESTALE):
        await mount.fs.read(reader, 0, 9)
    await mount.close(reader)
    await mount.close(idle)  # nothing was written through it
    assert await mount.read(await the_copy(world, mount)) == b"ours too"
    assert mount.kernel.invalidated


async def test_closes_that_wait_for_one_upload_are_all_told(
    world: World, mount: Mount, nursery: trio.Nursery
) -> None:
    one = await opened_and_changed(world, mount)
    two = await mount.open("f", os.O_WRONLY)
    await mount.fs.write(two, 4, b" too")
    told = []

    async def close(handle: HandleId) -> None:
        with refused(errno.ESTALE):
            await mount.close(handle)
        told.append(handle)

    async with trio.open_nursery() as tasks:
        tasks.start_soon(close, one)
        tasks.start_soon(close, two)
    assert sorted(told) == [one, two]
    await the_copy(world, mount)


async def test_what_is_written_while_ours_goes_beside_goes_there_too(
    world: World, mount: Mount
) -> None:
    handle = await opened_and_changed(world, mount)
    with mount.bucket.held("put") as hold:
        async with trio.open_nursery() as tasks:

            async def flush() -> None:
                with refused(errno.ESTALE):
                    await mount.fs.flush(handle)

            tasks.start_soon(flush)
            await hold.reached.wait()
            await mount.fs.write(handle, 4, b", and more")
            mount.bucket.let_pass(hold)
            hold.release()
    with refused(errno.ESTALE):
        await mount.close(handle)
    await wait_all_tasks_blocked()
    name = await the_copy(world, mount)
    assert await world.mount().read(name) == b"ours, and more"
    assert await mount.read("f") == b"theirs"
    mount.check_invariants()


async def test_a_lookup_that_finds_ours_before_its_node_is_there_is_no_harm(
    world: World, mount: Mount
) -> None:
    handle = await opened_and_changed(world, mount)
    with mount.bucket.held("put", after=True) as hold:
        async with trio.open_nursery() as tasks:

            async def flush() -> None:
                with refused(errno.ESTALE):
                    await mount.fs.flush(handle)

            tasks.start_soon(flush)
            await hold.reached.wait()
            (name,) = copies(world)
            assert await mount.read(name) == b"ours"
            hold.release()
    await mount.fs.release(handle)
    assert await mount.read(await the_copy(world, mount)) == b"ours"
    mount.check_invariants()


async def test_without_anyone_to_tell_ours_goes_beside_all_the_same(
    world: World, mount: Mount
) -> None:
    """A mapping after the last close, a retry, the drain at the end."""
    handle = await mount.create("mapped")
    await mount.fs.flush(handle)
    await mount.fs.write(handle, 0, b"mapped")
    await world.put("mapped", b"theirs")
    await mount.fs.release(handle)
    await wait_all_tasks_blocked()

    mount.bucket.fail("put")
    with refused(errno.EIO):
        await mount.write("retried", b"retried")
    await world.put("retried", b"theirs")
    await trio.sleep(10)

    handle = await mount.create("drained")
    await mount.fs.write(handle, 0, b"drained")
    await world.put("drained", b"theirs")
    assert await mount.drain() == []
    await mount.fs.release(handle)

    fresh = world.mount()
    for name in ("mapped", "retried", "drained"):
        (key,) = [key for key in copies(world) if key.startswith(name)]
        assert await fresh.read(key) == name.encode()
        assert await fresh.read(name) == b"theirs"
    assert await mount.status("", "conflicts") == "3"


async def test_a_cut_by_path_is_told_too(world: World, mount: Mount) -> None:
    await mount.write("f", b"old content")
    async with mount.at("f"), trio.open_nursery() as tasks:
        with mount.bucket.held("head", after=True) as hold:

            async def cut() -> None:
                with refused(errno.ESTALE):
                    await mount.truncate("f", 0)

            tasks.start_soon(cut)
            await hold.reached.wait()
            await world.mount().write("f", b"theirs")
    assert await mount.read("f") == b"theirs"
    assert await mount.read(await the_copy(world, mount)) == b""


@pytest.mark.parametrize("names_only", [False, True])
async def test_a_kernel_that_gathers_writes_gets_another_file_for_the_other_version(
    world: World, names_only: bool
) -> None:
    mount = world.mount(kernel_writeback=True, list_names_only=names_only)
    await mount.write("f", b"old")
    async with mount.at("f") as before:
        handle = await opened_and_changed(world, mount)
        with refused(errno.ESTALE):
            await mount.close(handle)
        assert (await mount.stat("f")).ino != before.ino
        assert await mount.read("f") == b"theirs"
        assert await mount.read(await the_copy(world, mount)) == b"ours"
    mount.check_invariants()


async def test_a_link_in_the_place_of_the_file_is_shown(world: World, mount: Mount) -> None:
    await mount.write("f", b"old")
    handle = await mount.open("f", os.O_WRONLY)
    await mount.fs.write(handle, 0, b"ours")
    other = world.mount()
    await other.unlink("f")
    await other.symlink("f", b"elsewhere")
    with refused(errno.ESTALE):
        await mount.close(handle)
    assert await mount.readlink("f") == b"elsewhere"
    assert await mount.read(await the_copy(world, mount)) == b"ours"


async def test_a_change_that_comes_while_parts_are_sent_is_seen_before_they_are_joined(
    world: World,
) -> None:
    mount = world.mount(part_size=256 << 10)
    await mount.write("f", b"old")
    handle = await mount.open("f", os.O_WRONLY)
    await mount.fs.write(handle, 0, b"x" * (1 << 20))
    mount.bucket.forget()
    with mount.bucket.held("put_part") as hold:
        async with trio.open_nursery() as tasks:

            async def close() -> None:
                with refused(errno.ESTALE):
                    await mount.close(handle)

            tasks.start_soon(close)
            await hold.reached.wait()
            await world.put("f", b"theirs")
            await trio.sleep(2)
            hold.release()
    assert mount.bucket.count("complete_multipart") == 1
    assert await mount.read("f") == b"theirs"
    assert len(await mount.read(await the_copy(world, mount))) == 1 << 20


async def test_a_change_that_comes_while_an_upload_waits_is_seen_before_it_is_sent(
    world: World, mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await opened_and_changed(world, mount, theirs=b"old")
    mount.bucket.forget()
    with refused(errno.ESTALE):
        await mount.close(handle)
    handle = await mount.open("f", os.O_WRONLY)
    await mount.fs.write(handle, 0, b"ours again")
    with mount.bucket.held("head", after=True) as hold:
        async with trio.open_nursery() as tasks:

            async def close() -> None:
                with refused(errno.ESTALE):
                    await mount.close(handle)

            tasks.start_soon(close)
            await hold.reached.wait()
            await world.put("f", b"theirs")
            await trio.sleep(2)
            mount.bucket.let_pass(hold)
            hold.release()
    assert await mount.read("f") == b"theirs"
    assert len(copies(world)) == 2


# --- what is no conflict -------------------------------------------------------------------------


async def test_our_own_version_is_not_a_foreign_one_where_its_answer_was_lost(
    world: World, mount: Mount
) -> None:
    await mount.write("f", b"old")
    handle = await mount.open("f", os.O_WRONLY)
    await mount.fs.write(handle, 0, b"one")
    mount.bucket.fail("put", answer_lost=True)
    mount.bucket.fail("head", skip=1)  # so it cannot even be asked whether it got through
    with refused(errno.EIO):
        await mount.fs.flush(handle)
    await mount.fs.write(handle, 0, b"two")
    await mount.close(handle)
    assert await world.mount().read("f") == b"two"
    assert world.stored() == ["f"]
    assert await mount.status("", "conflicts") == "0"


async def test_a_foreign_version_over_our_lost_one_is_a_foreign_one(
    world: World, mount: Mount
) -> None:
    await mount.write("f", b"old")
    handle = await mount.open("f", os.O_WRONLY)
    await mount.fs.write(handle, 0, b"one")
    mount.bucket.fail("put", answer_lost=True)
    mount.bucket.fail("head", skip=1)
    with refused(errno.EIO):
        await mount.fs.flush(handle)
    await world.mount().write("f", b"theirs")
    with refused(errno.ESTALE):
        await mount.close(handle)
    assert await mount.read(await the_copy(world, mount)) == b"one"


async def test_a_lost_answer_leaves_one_version_beside(world: World, mount: Mount) -> None:
    handle = await opened_and_changed(world, mount)
    mount.bucket.fail("put", answer_lost=True)
    mount.bucket.fail("head", skip=1)
    with refused(errno.EIO):
        await mount.fs.flush(handle)
    await trio.sleep(0.1)
    await mount.fs.write(handle, 0, b"OURS")
    with refused(errno.ESTALE):
        await mount.close(handle)
    assert await mount.read(await the_copy(world, mount)) == b"OURS"


@pytest.mark.parametrize(
    "change",
    [
        lambda other: other.change("f", mode=0o600),
        lambda other: other.set_xattr("f", b"user.a", b"v" * 600),
        lambda other: other.set_xattr("f", b"user.ossfs.sse", b"AES256"),
    ],
    ids=["tag", "headers", "server-side"],
)
async def test_the_same_content_stored_again_is_no_conflict(
    world: World, mount: Mount, change: Callable[[Mount], Awaitable[object]]
) -> None:
    await mount.write("f", b"old")
    handle = await mount.open("f", os.O_WRONLY)
    await mount.fs.write(handle, 0, b"ours")
    other = world.mount()
    await change(other)
    await other.drain()
    await mount.close(handle)
    assert await world.mount().read("f") == b"ours"
    assert copies(world) == []


async def test_a_cut_by_path_is_of_the_newest_version(world: World, mount: Mount) -> None:
    await mount.write("f", b"old")
    async with mount.at("f"):
        await world.mount().write("f", b"theirs")
        await mount.truncate("f", 5)
    assert await world.mount().read("f") == b"their"
    assert copies(world) == []


async def test_attributes_alone_never_make_a_conflict(world: World, mount: Mount) -> None:
    await mount.write("f", b"old")
    await mount.change("f", mode=0o600)
    await world.mount().write("f", b"theirs")
    await trio.sleep(10)
    assert await mount.drain() == []
    assert await mount.read("f") == b"theirs"
    assert copies(world) == []


async def test_what_another_client_removed_is_stored_anew_and_replaces_nothing(
    world: World, mount: Mount, caplog: pytest.LogCaptureFixture
) -> None:
    await mount.write("f", b"old")
    handle = await mount.open("f", os.O_WRONLY)
    await mount.fs.write(handle, 0, b"ours")
    await world.delete("f")
    with mount.bucket.held("put") as hold:
        async with trio.open_nursery() as tasks:

            async def close() -> None:
                with refused(errno.ESTALE):
                    await mount.close(handle)

            tasks.start_soon(close)
            await hold.reached.wait()
            await world.put("f", b"theirs")
            mount.bucket.let_pass(hold)
            hold.release()
    assert "another client removed" in caplog.text
    assert await mount.read("f") == b"theirs"
    assert await mount.read(await the_copy(world, mount)) == b"ours"


# --- names that move -----------------------------------------------------------------------------


async def test_a_rename_takes_ours_along_and_leaves_the_other_version_its_name(
    world: World, mount: Mount
) -> None:
    handle = await opened_and_changed(world, mount)
    await mount.rename("f", "g")
    assert await mount.read("f") == b"theirs"
    await mount.close(handle)
    fresh = world.mount()
    assert (await fresh.read("f"), await fresh.read("g")) == (b"theirs", b"ours")
    assert copies(world) == []


async def test_a_rename_of_the_directory_takes_both_along(world: World, mount: Mount) -> None:
    await mount.mkdir("d")
    await mount.write("d/f", b"old")
    changed, new = await mount.open("d/f", os.O_WRONLY), await mount.create("d/n", os.O_WRONLY)
    for handle in (changed, new):
        await mount.fs.write(handle, 0, b"ours")
    for name in ("f", "n"):
        await world.mount().write(f"d/{name}", b"theirs")
    await mount.rename("d", "e")
    for handle in (changed, new):
        with refused(errno.ESTALE):
            await mount.close(handle)
    fresh = world.mount()
    for name in ("f", "n"):
        (key,) = [key for key in copies(world) if key.startswith(f"e/{name}")]
        assert (await fresh.read(f"e/{name}"), await fresh.read(key)) == (b"theirs", b"ours")


# --- last-wins -----------------------------------------------------------------------------------


async def test_the_last_close_wins_where_the_user_wants_it_and_is_logged_and_counted(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    mount = world.mount(conflict="last-wins")
    await mount.close(await opened_and_changed(world, mount))
    new = await mount.create("n", os.O_WRONLY)
    await mount.fs.write(new, 0, b"ours")
    await world.put("n", b"theirs")
    await mount.close(new)
    fresh = world.mount()
    assert (await fresh.read("f"), await fresh.read("n")) == (b"ours", b"ours")
    assert warnings(caplog) == [
        "another client changed <name>; the last close wins",
        "another client created <name>; the last close wins",
    ]
    assert await mount.status("", "conflicts") == "2"
    assert copies(world) == []


# --- fail ----------------------------------------------------------------------------------------


@pytest.fixture
async def strict(world: World) -> Mount:
    return world.mount(conflict="fail")


@pytest.fixture
async def failed(world: World, strict: Mount) -> HandleId:
    """A handle whose content could not be stored."""
    handle = await opened_and_changed(world, strict)
    with refused(errno.ESTALE):
        await strict.fs.flush(handle)
    return handle


async def test_a_conflict_may_leave_ours_staged_and_is_not_tried_again_by_itself(
    world: World, strict: Mount, failed: HandleId, caplog: pytest.LogCaptureFixture
) -> None:
    await strict.fs.release(failed)
    strict.bucket.forget()
    await trio.sleep(500)
    assert strict.bucket.names() == []
    assert await strict.read("f") == b"ours"
    assert (await strict.status("f", "upload")).startswith("failed: conflict: ")
    assert await world.mount().read("f") == b"theirs"
    (left,) = await strict.drain()
    assert left.reason.startswith("conflict: ")
    assert warnings(caplog) == ["another client changed <name>; it stays staged"]
    assert await strict.status("", "conflicts") == "1"


async def test_a_new_close_fails_again_while_the_other_version_stands(
    world: World, strict: Mount, failed: HandleId
) -> None:
    await strict.fs.release(failed)
    handle = await strict.open("f", os.O_WRONLY | os.O_APPEND)
    await strict.fs.write(handle, 0, b" again")
    with refused(errno.ESTALE):
        await strict.fs.flush(handle)
    await world.delete("f")
    await strict.close(handle)
    assert await world.mount().read("f") == b"ours again"


@pytest.mark.parametrize("by_path", [False, True])
async def test_whoever_empties_the_file_replaces_the_other_version(
    world: World, strict: Mount, failed: HandleId, by_path: bool
) -> None:
    await strict.fs.release(failed)
    if by_path:
        await strict.truncate("f", 0)
        assert await world.mount().read("f") == b""
    await strict.write("f", b"after all")
    assert await world.mount().read("f") == b"after all"
    assert await strict.status("f", "upload") == "clean"


async def test_whoever_empties_the_file_does_not_replace_what_came_still_later(
    world: World, strict: Mount, failed: HandleId
) -> None:
    await strict.fs.release(failed)
    handle = await strict.open("f", os.O_WRONLY | os.O_TRUNC)
    await world.mount().write("f", b"theirs again")
    with refused(errno.ESTALE):
        await strict.close(handle)
    assert await world.mount().read("f") == b"theirs again"


async def test_unlink_gives_ours_up_and_shows_the_other_version(
    world: World, strict: Mount, failed: HandleId
) -> None:
    await strict.fs.release(failed)
    await strict.unlink("f")
    assert await strict.read("f") == b"theirs"
    assert strict.fs.unsaved() == []


@pytest.mark.parametrize("new", [False, True])
async def test_a_rename_away_ends_the_conflict(world: World, strict: Mount, new: bool) -> None:
    if new:
        handle = await strict.create("f")
        await strict.fs.write(handle, 0, b"ours")
        await world.put("f", b"theirs")
    else:
        handle = await opened_and_changed(world, strict)
    with refused(errno.ESTALE):
        await strict.close(handle)
    await strict.rename("f", "mine")
    assert await strict.read("f") == b"theirs"
    await trio.sleep(10)
    fresh = world.mount()
    assert (await fresh.read("f"), await fresh.read("mine")) == (b"theirs", b"ours")
    assert strict.fs.unsaved() == []
    assert (await strict.fs.getattr(ROOT)).ino == ROOT
    strict.check_invariants()
