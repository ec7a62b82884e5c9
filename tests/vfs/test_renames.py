"""rename: of files in every state, over every kind of target, of whole trees, and halfway."""

import contextlib
import errno
import os

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from ossfs.errors import NoEntry, RefusedByServer, StoreError
from ossfs.store.base import ServerEncryption
from tests.vfs.world import Mount, World, refused


async def test_a_stored_file_is_copied_and_deleted_and_nothing_is_downloaded(
    mount: Mount, world: World
) -> None:
    await mount.write("f", b"x" * 100_000)
    before = await world.head("f")
    mount.bucket.forget()
    await mount.rename("f", "g")
    assert [name for name in mount.bucket.names() if name not in {"head", "list_page"}] == [
        "copy",
        "delete",
    ]
    after = await world.head("g")
    assert (after.etag, after.metadata) == (before.etag, before.metadata)
    assert await world.mount().read("g") == b"x" * 100_000


async def test_a_copy_keeps_server_side_encryption_and_storage_class(
    mount: Mount, world: World
) -> None:
    await world.put(
        "f", b"x", encryption=ServerEncryption(algorithm="KMS", key_id="k"), storage_class="IA"
    )
    await mount.rename("f", "g")
    info = await world.head("g")
    assert info.encryption == ServerEncryption(algorithm="KMS", key_id="k")
    assert info.storage_class == "IA"


async def test_open_handles_follow_a_rename(mount: Mount) -> None:
    content = os.urandom(6 << 20)
    await mount.write("f", content)
    reader, writer = await mount.open("f"), await mount.open("f", os.O_RDWR)
    await mount.rename("f", "g")
    assert await mount.fs.read(reader, 5 << 20, 10) == content[5 << 20 :][:10]
    await mount.fs.write(writer, 0, b"new")
    await mount.close(writer)
    assert (await mount.fs.read(reader, 0, 4)) == b"new" + content[3:4]
    assert (await mount.read("g"))[:3] == b"new"
    assert not await mount.exists("f")


async def test_a_read_under_way_during_a_rename_has_the_right_bytes(mount: Mount) -> None:
    await mount.write("f", b"a" * (6 << 20))
    reader = await mount.open("f")
    results: list[bytes] = []

    async def read() -> None:
        results.append(bytes(await mount.fs.read(reader, 5 << 20, 4)))

    async with trio.open_nursery() as tasks:
        with mount.bucket.held("get") as get, mount.bucket.held("delete", after=True) as delete:
            tasks.start_soon(read)
            await get.reached.wait()
            tasks.start_soon(mount.rename, "f", "g")
            await delete.reached.wait()
            get.release()
            await wait_all_tasks_blocked()
            delete.release()
    assert results == [b"aaaa"]


async def test_a_file_that_was_never_stored_only_changes_its_name(
    mount: Mount, world: World
) -> None:
    handle = await mount.create("f")
    await mount.fs.write(handle, 0, b"hello")
    mount.bucket.forget()
    await mount.rename("f", "g")
    assert set(mount.bucket.names()) <= {"head", "list_page"}
    await mount.close(handle)
    assert world.stored() == ["g"]
    assert await mount.read("g") == b"hello"


async def test_a_dirty_file_is_stored_under_its_new_name(mount: Mount, world: World) -> None:
    await mount.write("f", b"old")
    handle = await mount.open("f", os.O_RDWR)
    await mount.fs.write(handle, 0, b"new")
    await mount.rename("f", "g")
    await mount.close(handle)
    assert world.stored() == ["g"]
    assert await world.mount().read("g") == b"new"


async def test_a_dirty_file_over_a_stored_one_is_stored_before_the_rename_returns(
    mount: Mount, world: World
) -> None:
    await mount.write("target", b"old target")
    handle = await mount.create("f", os.O_RDWR | os.O_EXCL)
    await mount.fs.write(handle, 0, b"new")
    await mount.rename("f", "target")
    assert await world.mount().read("target") == b"new"
    await mount.close(handle)
    assert world.stored() == ["target"]


async def test_a_dirty_file_that_another_client_removed_keeps_what_was_written(
    mount: Mount, world: World
) -> None:
    await mount.write("f", b"old")
    handle = await mount.open("f", os.O_RDWR)
    await mount.fs.write(handle, 0, b"new")
    await world.delete("f")
    await mount.rename("f", "g")
    await mount.close(handle)
    assert world.stored() == ["g"]
    assert await world.mount().read("g") == b"new"


async def test_what_a_lost_answer_left_does_not_come_back_under_the_old_name(
    mount: Mount, world: World
) -> None:
    handle = await mount.create("f", os.O_RDWR | os.O_EXCL)
    await mount.fs.write(handle, 0, b"hello")
    mount.bucket.fail("put", answer_lost=True)
    mount.bucket.fail("head")
    with refused(errno.EIO):
        await mount.fs.flush(handle)
    await mount.rename("f", "g")
    await mount.close(handle)
    assert world.stored() == ["g"]


async def test_a_rename_waits_for_the_upload_and_takes_it_along(mount: Mount, world: World) -> None:
    handle = await mount.create("f", os.O_RDWR)
    await mount.fs.write(handle, 0, b"hello")
    async with trio.open_nursery() as tasks:
        with mount.bucket.held("put") as put:
            tasks.start_soon(mount.close, handle)
            await put.reached.wait()
            tasks.start_soon(mount.rename, "f", "g")
            await wait_all_tasks_blocked()
            assert "copy" not in mount.bucket.names()
            put.release()
    assert world.stored() == ["g"]
    assert await world.mount().read("g") == b"hello"


async def test_the_target_of_a_rename_reads_on_for_those_who_have_it_open(
    mount: Mount, world: World
) -> None:
    await mount.write("f", b"new")
    await mount.write("g", b"old")
    reader, writer = await mount.open("g"), await mount.open("g", os.O_RDWR)
    await mount.rename("f", "g")
    assert await mount.read("g") == b"new"
    assert await mount.read_all(reader) == b"old"
    await mount.fs.write(writer, 0, b"OLD")
    assert await mount.read_all(reader) == b"OLD"
    await mount.close(reader)
    await mount.close(writer)
    assert world.stored() == ["g"]
    assert await world.mount().read("g") == b"new"
    mount.check_invariants()


async def test_a_target_that_is_being_uploaded_is_given_up(mount: Mount, world: World) -> None:
    await mount.write("f", b"new")
    handle = await mount.create("g", os.O_WRONLY)
    await mount.fs.write(handle, 0, b"never stored")
    async with trio.open_nursery() as tasks:
        with mount.bucket.held("put", after=True) as put:
            tasks.start_soon(mount.fs.flush, handle)
            await put.reached.wait()
            mount.bucket.let_pass(put)
            await mount.rename("f", "g")
    await mount.fs.release(handle)
    await trio.sleep(100)
    assert world.stored() == ["g"]
    assert await world.mount().read("g") == b"new"


@pytest.mark.parametrize("request_name", ["copy", "put"])
async def test_a_rename_over_an_open_file_that_fails_leaves_both(
    mount: Mount, world: World, request_name: str
) -> None:
    await mount.write("g", b"old")
    target = await mount.open("g")
    if request_name == "copy":
        await mount.write("f", b"new")
        source = await mount.open("f", os.O_RDWR)
    else:
        source = await mount.create("f", os.O_RDWR)
        await mount.fs.write(source, 0, b"new")
    mount.bucket.fail(request_name, "f" if request_name == "copy" else "g")
    with refused(errno.EIO):
        await mount.rename("f", "g")
    assert await mount.read_all(target) == b"old"
    assert await mount.read("g") == b"old"
    assert await mount.read_all(source) == b"new"
    await mount.close(source)
    await mount.close(target)
    assert world.stored() == ["f", "g"]
    assert await mount.read("f") == b"new"
    mount.check_invariants()


@pytest.mark.parametrize("lost", [False, True])
async def test_if_the_old_name_cannot_be_deleted_nothing_is_lost_and_handles_read_on(
    mount: Mount, world: World, lost: bool
) -> None:
    await mount.write("f", b"hello")
    await mount.write("g", b"replaced")
    handle, replaced = await mount.open("f"), await mount.open("g")
    mount.bucket.fail("delete", "f", answer_lost=lost)
    with refused(errno.EIO):
        await mount.rename("f", "g")
    assert await mount.read("g") == b"hello"
    assert await mount.read_all(handle) == b"hello"
    assert await mount.read_all(replaced) == b"replaced"
    assert await mount.exists("f") == (not lost)
    await mount.close(handle)
    await mount.close(replaced)
    mount.check_invariants()
    if not lost:
        await mount.rename("f", "g")
    assert world.stored() == ["g"]


async def test_a_lost_answer_to_the_copy_is_found_out_by_asking(mount: Mount, world: World) -> None:
    await mount.write("f", b"hello")
    assert not await mount.exists("g")
    mount.bucket.fail("copy", answer_lost=True)
    with refused(errno.EIO):
        await mount.rename("f", "g")
    assert await mount.names() == {"f", "g"}
    await mount.rename("f", "g")
    assert world.stored() == ["g"]


async def test_a_lost_answer_does_not_take_the_content_from_those_who_have_the_target_open(
    mount: Mount, world: World
) -> None:
    old = os.urandom(5 << 20)
    await mount.write("f", b"new")
    await mount.write("g", old)
    handle = await mount.open("g")
    mount.bucket.fail("copy", "f", answer_lost=True)
    with refused(errno.EIO):
        await mount.rename("f", "g")
    assert await mount.read("g") == b"new"
    assert await mount.read_all(handle) == old
    await mount.close(handle)
    assert world.stored() == ["f", "g"]
    mount.check_invariants()


async def test_a_version_that_another_client_stored_since_is_the_one_that_moves(
    mount: Mount, world: World
) -> None:
    await mount.write("f", b"ours")
    handle = await mount.open("f")
    await world.put("f", b"theirs!")
    await mount.rename("f", "g")
    assert await mount.read("g") == b"theirs!"
    assert (await mount.stat("g")).size == 7
    with refused(errno.ESTALE):
        await mount.fs.read(handle, 0, 9)


async def test_a_target_that_another_client_removed_is_no_obstacle(
    mount: Mount, world: World
) -> None:
    await mount.write("f", b"new")
    await mount.write("g", b"old")
    handle = await mount.open("g")
    await world.delete("g")
    await mount.rename("f", "g")
    assert await mount.read("g") == b"new"
    await mount.close(handle)


async def test_a_target_that_must_not_be_there_is_refused(mount: Mount) -> None:
    await mount.write("f", b"x")
    await mount.write("g", b"y")
    with refused(errno.EEXIST):
        await mount.rename("f", "g", 1)
    await mount.rename("f", "h", 1)
    for flags in (2, 4, 3):
        with refused(errno.EINVAL):
            await mount.rename("g", "i", flags)
    assert await mount.names() == {"g", "h"}


async def test_two_renames_that_swap_their_names_do_not_wait_for_each_other(
    mount: Mount, world: World
) -> None:
    await mount.write("f", b"f")
    await mount.write("g", b"g")
    handles = [await mount.create(name, os.O_WRONLY) for name in ("f", "g")]

    async def rename(old: str, new: str) -> None:
        with contextlib.suppress(FileNotFoundError, NoEntry):
            await mount.rename(old, new)

    with trio.fail_after(100):
        async with trio.open_nursery() as tasks:
            tasks.start_soon(rename, "f", "g")
            tasks.start_soon(rename, "g", "f")
    for handle in handles:
        await mount.close(handle)
    mount.check_invariants()


# --- directories -------------------------------------------------------------------------------


async def make_tree(mount: Mount) -> dict[str, bytes]:
    contents = {f"d/{name}": name.encode() for name in ("a", "b", "sub/c", "sub/deep/e")}
    for path in ("d", "d/sub", "d/sub/deep"):
        await mount.mkdir(path, 0o700)
    for path, content in contents.items():
        await mount.write(path, content)
    return contents


async def test_a_directory_moves_with_all_that_is_in_it(mount: Mount, world: World) -> None:
    contents = await make_tree(mount)
    await mount.change("d/a", mode=0o600)
    await mount.rename("d", "new")
    assert not await mount.exists("d")
    for one in (mount, world.mount()):
        for path, content in contents.items():
            assert await one.read("new" + path[1:]) == content
        assert (await one.stat("new/sub")).mode & 0o777 == 0o700
    assert not [key for key in world.stored() if key.startswith("d/")]
    assert await mount.drain() == []
    assert (await world.mount().stat("new/a")).mode & 0o777 == 0o600


async def test_children_that_are_open_keep_working_over_a_rename_of_their_directory(
    mount: Mount, world: World
) -> None:
    await make_tree(mount)
    big = os.urandom(5 << 20)
    await mount.write("d/big", big)
    reader = await mount.open("d/big")
    writer = await mount.open("d/sub/c", os.O_RDWR)
    await mount.fs.write(writer, 0, b"new")
    fresh = await mount.create("d/sub/fresh")
    await mount.fs.write(fresh, 0, b"fresh")
    results: list[bytes] = []

    async def read() -> None:
        results.append(bytes(await mount.fs.read(reader, 2 << 20, 10)))

    async with trio.open_nursery() as tasks:
        with mount.bucket.held("delete_many", after=True) as delete:
            tasks.start_soon(mount.rename, "d", "e")
            await delete.reached.wait()
            tasks.start_soon(read)
            await wait_all_tasks_blocked()
            delete.release()
    assert results == [big[2 << 20 :][:10]]
    assert await mount.fs.read(reader, 4 << 20, 10) == big[4 << 20 :][:10]
    await mount.close(writer)
    await mount.close(fresh)
    assert await world.mount().read("e/sub/c") == b"new/c"
    assert await world.mount().read("e/sub/fresh") == b"fresh"
    assert not [key for key in world.stored() if key.startswith("d/")]


async def test_an_upload_below_waits_until_the_directory_has_its_new_name(
    mount: Mount, world: World
) -> None:
    await make_tree(mount)
    handle = await mount.open("d/sub/c", os.O_RDWR)
    await mount.fs.write(handle, 0, b"new")
    async with trio.open_nursery() as tasks:
        with mount.bucket.held("copy") as copy:
            tasks.start_soon(mount.rename, "d", "e")
            await copy.reached.wait()
            mount.bucket.forget()
            tasks.start_soon(mount.close, handle)
            await wait_all_tasks_blocked()
            assert mount.bucket.count("put") == 0
            copy.release()
    assert await world.mount().read("e/sub/c") == b"new/c"


async def test_a_directory_rename_waits_for_uploads_below_it(mount: Mount, world: World) -> None:
    await make_tree(mount)
    handle = await mount.create("d/sub/new", os.O_RDWR)
    await mount.fs.write(handle, 0, b"new")
    async with trio.open_nursery() as tasks:
        with mount.bucket.held("put") as put:
            tasks.start_soon(mount.close, handle)
            await put.reached.wait()
            tasks.start_soon(mount.rename, "d", "e")
            await wait_all_tasks_blocked()
            assert "copy" not in mount.bucket.names()
            put.release()
    assert await world.mount().read("e/sub/new") == b"new"
    assert not [key for key in world.stored() if key.startswith("d/")]


def too_bad() -> StoreError:
    return RefusedByServer("made to fail", code="Made", status=400)


@pytest.mark.parametrize("lost", [False, True])
async def test_a_failure_in_the_middle_takes_the_copies_back(
    mount: Mount, world: World, lost: bool
) -> None:
    contents = await make_tree(mount)
    handle = await mount.open("d/a")
    before = world.stored()
    mount.bucket.fail("copy", "d/sub/c", answer_lost=lost, error=too_bad)
    with refused(errno.EIO):
        await mount.rename("d", "e")
    assert world.stored() == before
    assert await mount.names() == {"d"}
    assert await mount.read_all(handle) == b"a"
    for path, content in contents.items():
        assert await mount.read(path) == content
    mount.check_invariants()
    await mount.rename("d", "e")
    assert await mount.read_all(handle) == b"a"


@pytest.mark.parametrize("key", ["d/", "d/sub/c"])
async def test_a_failure_leaves_an_empty_directory_in_the_way_as_it_was(
    mount: Mount, world: World, key: str
) -> None:
    await make_tree(mount)
    await mount.mkdir("e", 0o711)
    before = world.stored()
    mount.bucket.fail("copy", key)
    with refused(errno.EIO):
        await mount.rename("d", "e")
    assert world.stored() == before
    assert (await world.mount().stat("e")).mode & 0o777 == 0o711
    await mount.rename("d", "e")
    assert await mount.names() == {"e"}
    assert (await world.mount().stat("e")).mode & 0o777 == 0o700


async def test_if_the_old_objects_cannot_be_deleted_all_is_under_the_new_name(
    mount: Mount, world: World
) -> None:
    contents = await make_tree(mount)
    handle = await mount.open("d/a", os.O_RDWR)
    mount.bucket.fail("delete_many")
    with refused(errno.EIO):
        await mount.rename("d", "e")
    for path, content in contents.items():
        assert await mount.read("e" + path[1:]) == content
    assert await mount.read_all(handle) == b"a"
    assert await mount.names() == {"d", "e"}
    mount.check_invariants()


async def test_a_child_that_another_client_changed_is_stale_after_the_rename(
    mount: Mount, world: World
) -> None:
    await make_tree(mount)
    handle = await mount.open("d/a")
    await world.put("d/a", b"theirs")
    await mount.rename("d", "e")
    with refused(errno.ESTALE):
        await mount.fs.read(handle, 0, 1)
    assert await mount.read("e/a") == b"theirs"
    assert (await mount.stat("e/a")).size == 6


async def test_what_ossfs_keeps_below_a_directory_stays_behind(mount: Mount, world: World) -> None:
    await make_tree(mount)
    await world.put("d/.ossfs/tags/x", b"kept")
    await mount.rename("d", "e")
    assert [key for key in world.stored() if key.startswith("d/")] == ["d/.ossfs/tags/x"]
    assert not await mount.exists("d")


async def test_keys_that_would_become_too_long_are_refused_before_anything_moves(
    mount: Mount, world: World
) -> None:
    deep = "/".join(["x" * 200] * 4)
    await world.put(f"d/{deep}/f", b"x")
    before = world.stored()
    mount.bucket.forget()
    with refused(errno.ENAMETOOLONG):
        await mount.rename("d", "y" * 250)
    assert world.stored() == before
    await mount.unlink(f"d/{deep}/f")
    await mount.create(f"d/{deep}/{'n' * 200}")
    with refused(errno.ENAMETOOLONG):
        await mount.rename("d", "y" * 20)


async def test_a_directory_without_a_marker_takes_the_place_of_one_with_its_own_mode(
    mount: Mount, world: World
) -> None:
    await world.put("d/f", b"x")
    await mount.mkdir("e", 0o700)
    await mount.rename("d", "e")
    assert await mount.drain() == []
    assert (await world.mount().stat("e")).mode & 0o777 == 0o755


async def test_a_directory_moves_into_its_sibling_but_not_into_itself(mount: Mount) -> None:
    await make_tree(mount)
    await mount.mkdir("e")
    for new in ("d/x", "d/sub/x"):
        with refused(errno.EINVAL):
            await mount.rename("d", new)
    with refused(errno.ENOTEMPTY):
        await mount.rename("e", "d")
    with refused(errno.ENOTDIR):
        await mount.rename("e", "d/a")
    with refused(errno.EISDIR):
        await mount.rename("d/a", "e")
    await mount.rename("d", "e/d")
    assert await mount.names("e/d") == {"a", "b", "sub"}


async def test_the_nodes_of_a_replaced_directory_are_forgotten(mount: Mount) -> None:
    await make_tree(mount)
    await mount.mkdir("e")
    await mount.write("e/f", b"x")
    await mount.unlink("e/f")
    await mount.rename("d", "e")
    assert len(mount.known) == 1 + len(["e", "a", "b", "sub", "c", "deep", "e"])
    mount.check_invariants()


async def test_a_rename_above_it_does_not_prolong_what_is_believed_of_a_directory(
    mount: Mount, world: World
) -> None:
    await mount.mkdir("d")
    await mount.mkdir("d/e")
    await mount.write("d/f", b"x")
    await world.delete("d/e/")
    await trio.sleep(10)
    await mount.rename("d", "g")
    assert await mount.names("g") == {"f"}


async def test_attributes_of_another_clients_version_are_asked_for_after_two_renames(
    mount: Mount, world: World
) -> None:
    await mount.mkdir("d")
    await mount.write("d/f", b"ours")
    await mount.set_xattr("d/f", b"user.a", b"ours")
    await mount.drain()
    await world.delete("d/f")
    await world.mount().write("d/f", b"theirs")
    await mount.rename("d", "e")
    await mount.rename("e", "g")
    assert await mount.xattrs("g/f") == {}


async def test_attributes_that_another_client_changed_are_asked_for_after_a_rename_above(
    mount: Mount, world: World
) -> None:
    await mount.mkdir("d")
    await mount.mkdir("d/e")
    await mount.write("d/f", b"x")
    other = world.mount()
    await other.set_xattr("d/f", b"user.big", b"v" * 300)
    await other.change("d/e", mode=0o700)
    assert await other.drain() == []
    await mount.rename("d", "g")
    assert await mount.xattrs("g/f") == {b"user.big": b"v" * 300}
    assert (await mount.stat("g/e")).mode & 0o777 == 0o700


async def test_copies_are_taken_back_where_the_name_was_taken_meanwhile(
    mount: Mount, world: World
) -> None:
    await mount.mkdir("d")
    await mount.write("d/f", b"x")
    with mount.bucket.held("copy", "d/", after=True) as copy:
        async with trio.open_nursery() as tasks:
            tasks.start_soon(renamed_in_vain, mount)
            await copy.reached.wait()
            await trio.sleep(10)
            # A copy is seen there, and changed, before the rename is done.
            await mount.change("e", mode=0o700)
            copy.release()
    await mount.drain()
    assert [key for key in world.stored() if key.endswith("f")] == ["d/f"]


async def renamed_in_vain(mount: Mount) -> None:
    with refused(errno.EEXIST):
        await mount.rename("d", "e")
