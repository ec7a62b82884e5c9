"""Modes, owners, times and extended attributes that change after the upload."""

import errno
import os

import pytest
import trio

from ossfs.errors import AccessDenied, StoreError
from ossfs.types import ObjectKey
from tests.vfs.world import Mount, World, refused

ATTR_TAG = "ossfs.attr"


async def test_changes_of_one_moment_are_one_put_of_tags(mount: Mount, world: World) -> None:
    await mount.write("f", b"hello")
    mount.bucket.forget()
    await mount.change("f", mode=0o600)
    await mount.change("f", uid=5, gid=6)
    await mount.change("f", mtime_ns=1)
    await mount.set_xattr("f", b"user.a", b"1")
    assert mount.bucket.count("put_tags") == 0
    await trio.sleep(5)
    assert mount.bucket.count("put_tags") == 1
    assert mount.bucket.count("put") == 0
    stat = await world.mount().stat("f")
    assert (stat.mode & 0o777, stat.uid, stat.gid, stat.mtime_ns) == (0o600, 5, 6, 1)
    assert await world.mount().xattr("f", b"user.a") == b"1"


async def test_fsync_stores_attributes_at_once(mount: Mount, world: World) -> None:
    handle = await mount.create("f")
    await mount.fs.flush(handle)
    await mount.change("f", mode=0o600)
    await mount.fs.fsync(handle)
    assert ATTR_TAG in await world.tags("f")


async def test_attributes_of_a_file_that_is_still_staged_ride_on_its_upload(
    mount: Mount, world: World
) -> None:
    handle = await mount.create("f")
    await mount.change("f", mode=0o600)
    await mount.set_xattr("f", b"user.a", b"1")
    await mount.close(handle)
    await trio.sleep(10)
    assert mount.bucket.count("put_tags") == 0
    assert (await world.mount().stat("f")).mode & 0o777 == 0o600
    assert await world.mount().xattr("f", b"user.a") == b"1"


async def test_a_change_during_the_upload_is_stored_after_it(mount: Mount, world: World) -> None:
    handle = await mount.create("f")
    await mount.fs.write(handle, 0, b"x")
    async with trio.open_nursery() as tasks:
        with mount.bucket.held("put") as put:
            tasks.start_soon(mount.fs.flush, handle)
            await put.reached.wait()
            await mount.change("f", mode=0o600)
    await trio.sleep(5)
    assert (await world.mount().stat("f")).mode & 0o777 == 0o600
    assert mount.fs.unsaved() == []


async def test_a_change_during_the_put_of_tags_is_stored_too(mount: Mount, world: World) -> None:
    await mount.write("f", b"hello")
    await mount.change("f", mode=0o600)
    with mount.bucket.held("put_tags") as tags:
        await tags.reached.wait()
        await mount.change("f", mode=0o640)
    await trio.sleep(10)
    assert (await world.mount().stat("f")).mode & 0o777 == 0o640


@pytest.mark.parametrize("wait", [False, True])
async def test_attributes_survive_a_rename(mount: Mount, world: World, wait: bool) -> None:
    await mount.write("f", b"hello")
    await mount.change("f", mode=0o600)
    await mount.set_xattr("f", b"user.a", b"1")
    if wait:
        await trio.sleep(5)
    mount.bucket.forget()
    await mount.rename("f", "g")
    assert mount.bucket.count("put_tags") == 0
    assert (await world.mount().stat("g")).mode & 0o777 == 0o600
    assert await world.mount().xattr("g", b"user.a") == b"1"
    assert mount.fs.unsaved() == []


async def test_foreign_tags_survive_changes_new_versions_and_renames(
    mount: Mount, world: World
) -> None:
    await mount.write("f", b"hello")
    await world.store.put_tags(ObjectKey("f"), {"team": "blue"})
    await mount.change("f", mode=0o600)
    await mount.drain()
    assert (await world.tags("f"))["team"] == "blue"
    await mount.write("f", b"new version")
    assert await world.tags("f") == {"team": "blue"}
    await mount.rename("f", "g")
    await mount.set_xattr("g", b"user.big", b"v" * 400)
    await mount.drain()
    assert await world.tags("g") == {"team": "blue"}
    assert await world.mount().xattr("g", b"user.big") == b"v" * 400


async def test_without_a_free_tag_the_same_ciphertext_is_stored_again(
    mount: Mount, world: World
) -> None:
    await mount.write("f", b"hello")
    foreign = {f"tag{number}": "x" for number in range(10)}
    await world.store.put_tags(ObjectKey("f"), foreign)
    before = (await world.store.get(ObjectKey("f")))[1]
    reader = await mount.open("f")
    await mount.change("f", mode=0o600)
    assert await mount.drain() == []
    assert await world.tags("f") == foreign
    assert (await world.store.get(ObjectKey("f")))[1] == before
    assert (await world.mount().stat("f")).mode & 0o777 == 0o600
    assert await mount.read_all(reader) == b"hello"


async def test_extended_attributes_too_large_for_a_tag_take_the_ciphertext_along(
    mount: Mount, world: World
) -> None:
    await mount.write("f", b"x" * 300_000)
    before = (await world.store.get(ObjectKey("f")))[1]
    handle = await mount.open("f", os.O_RDWR)
    await mount.set_xattr("f", b"user.big", b"v" * 1000)
    assert await mount.drain() == []
    assert (await world.store.get(ObjectKey("f")))[1] == before
    other = world.mount()
    assert await other.xattrs("f") == {b"user.big": b"v" * 1000}
    assert await other.read("f") == b"x" * 300_000
    await mount.fs.write(handle, 0, b"y")
    await mount.close(handle)
    assert await world.mount().xattrs("f") == {b"user.big": b"v" * 1000}


async def test_a_reupload_of_a_multipart_file_leaves_open_handles_working(world: World) -> None:
    mount = world.mount(part_size=1 << 20)
    content = os.urandom(5 << 20)
    await mount.write("f", content)
    handle = await mount.open("f")
    await mount.set_xattr("f", b"user.big", b"v" * 1000)
    results: list[bytes] = []

    async def read() -> None:
        results.append(bytes(await mount.fs.read(handle, 4 << 20, 10)))

    async with trio.open_nursery() as tasks:
        with mount.bucket.held("complete_multipart", after=True) as join:
            tasks.start_soon(mount.drain)
            await join.reached.wait()
            tasks.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            join.release()
    assert results == [content[4 << 20 :][:10]]
    assert await mount.fs.read(handle, 2 << 20, 10) == content[2 << 20 :][:10]


async def test_where_tags_are_forbidden_the_object_is_stored_again(
    mount: Mount, world: World
) -> None:
    def denied() -> StoreError:
        return AccessDenied("no", code="AccessDenied", status=403)

    mount.bucket.fail("put_tags", times=100, error=denied)
    await mount.write("f", b"hello")
    await mount.change("f", mode=0o600)
    assert await mount.drain() == []
    assert (await world.mount().stat("f")).mode & 0o777 == 0o600


async def test_extended_attributes_that_need_a_large_upload_are_refused_when_set(
    world: World,
) -> None:
    mount = world.mount(reupload_max=1000)
    await mount.write("f", b"x" * 2000)
    with refused(errno.EFBIG):
        await mount.set_xattr("f", b"user.big", b"v" * 400)
    with refused(errno.ENOSPC):
        await mount.set_xattr("f", b"user.big", b"v" * 4000)
    await mount.set_xattr("f", b"user.small", b"v")
    assert await mount.drain() == []


async def test_a_late_tag_on_another_version_counts_for_nothing(mount: Mount, world: World) -> None:
    await mount.write("f", b"hello")
    await mount.change("f", mode=0o600)
    await mount.drain()
    late = await world.tags("f")
    await mount.unlink("f")
    await mount.write("f", b"another version")
    await world.store.put_tags(ObjectKey("f"), late)
    assert (await world.mount().stat("f")).mode & 0o777 == 0o644
    await world.put("f", b"plain")
    await world.store.put_tags(ObjectKey("f"), late)
    assert (await world.mount().stat("f")).mode & 0o777 == 0o644


async def test_attributes_of_a_file_that_another_client_removed_are_given_up(
    mount: Mount, world: World
) -> None:
    await mount.write("f", b"hello")
    await mount.change("f", mode=0o600)
    await world.delete("f")
    await trio.sleep(100)
    assert mount.fs.unsaved() == []
    assert not await mount.exists("f")
    assert len(mount.known) == 1


async def test_attributes_that_cannot_be_stored_are_tried_again(mount: Mount, world: World) -> None:
    await mount.write("f", b"hello")
    mount.bucket.fail("put_tags", times=3)
    await mount.change("f", mode=0o600)
    await trio.sleep(5)
    assert [item.key for item in mount.fs.unsaved()] == ["f"]
    assert (await mount.stat("f")).mode & 0o777 == 0o600
    await trio.sleep(60)
    assert (await world.mount().stat("f")).mode & 0o777 == 0o600
    assert mount.fs.unsaved() == []


async def test_a_directory_keeps_its_attributes_in_its_marker(mount: Mount, world: World) -> None:
    await world.put("d/f", b"x")
    await mount.change("d", mode=0o700, uid=5)
    await mount.set_xattr("d", b"user.a", b"1")
    await trio.sleep(5)
    assert "d/" in world.stored()
    stat = await world.mount().stat("d")
    assert (stat.mode & 0o777, stat.uid) == (0o700, 5)
    assert await world.mount().xattrs("d") == {b"user.a": b"1"}


async def test_the_root_keeps_its_attributes_where_a_prefix_gives_it_a_key(
    world: World,
) -> None:
    mount = world.mount(prefix="p")
    await mount.change("", mode=0o700)
    assert await mount.drain() == []
    assert world.stored() == ["p/"]
    await trio.sleep(10)
    assert (await mount.stat("")).mode & 0o777 == 0o700
    whole = world.mount()
    await whole.change("", mode=0o700)
    assert await whole.drain() == []
    assert (await whole.stat("")).mode & 0o777 == 0o700


async def test_extended_attributes_follow_their_flags(mount: Mount) -> None:
    await mount.write("f", b"")
    async with mount.at("f") as stat:
        await mount.fs.setxattr(stat.ino, b"user.a", b"1", 1)
        with refused(errno.EEXIST):
            await mount.fs.setxattr(stat.ino, b"user.a", b"1", 1)
        with refused(errno.ENODATA):
            await mount.fs.setxattr(stat.ino, b"user.b", b"1", 2)
        await mount.fs.setxattr(stat.ino, b"user.a", b"2", 2)
        await mount.fs.removexattr(stat.ino, b"user.a")
        with refused(errno.ENODATA):
            await mount.fs.removexattr(stat.ino, b"user.a")
        with refused(errno.ENODATA):
            await mount.fs.getxattr(stat.ino, b"user.a")
        for name in (b"security.x", b"trusted.x"):
            with refused(errno.ENOTSUP):
                await mount.fs.setxattr(stat.ino, name, b"1")


async def test_status_is_shown_and_setting_it_changes_nothing(mount: Mount) -> None:
    await mount.write("f", b"x")
    for name in ("encryption", "etag", "upload", "object", "integrity"):
        assert await mount.status("f", name)
    assert await mount.status("f", "encryption") == "client"
    before = await mount.status("f", "etag")
    await mount.set_xattr("f", b"user.ossfs.etag", b"nonsense")
    await mount.set_xattr("f", b"user.ossfs.sse", b"none")
    assert await mount.status("f", "etag") == before
    assert mount.fs.unsaved() == []


async def test_a_write_takes_set_uid_away(mount: Mount) -> None:
    handle = await mount.create("f", mode=0o6755)
    await mount.fs.write(handle, 0, b"x")
    assert (await mount.stat("f")).mode & 0o7777 == 0o755
    await mount.change("f", mode=0o6755)
    await mount.change("f", uid=7)
    assert (await mount.stat("f")).mode & 0o7777 == 0o755


async def test_a_set_gid_directory_hands_its_group_on(mount: Mount) -> None:
    await mount.mkdir("d")
    await mount.change("d", mode=0o2755, gid=77)
    await mount.mkdir("d/sub")
    await mount.close(await mount.create("d/f"))
    sub = await mount.stat("d/sub")
    assert (sub.gid, sub.mode & 0o7777) == (77, 0o2755)
    assert (await mount.stat("d/f")).gid == 77


async def test_an_open_file_has_a_new_ctime_once_its_name_is_gone(mount: Mount) -> None:
    for replaced in (False, True):
        await mount.write("f", b"x")
        before = await mount.stat("f")
        handle = await mount.open("f")
        if replaced:
            await mount.write("g", b"y")
            await mount.rename("g", "f")
        else:
            await mount.unlink("f")
        after = await mount.fs.getattr(before.ino)
        assert (after.nlink, after.mtime_ns) == (0, before.mtime_ns)
        assert after.ctime_ns > before.ctime_ns
        await mount.close(handle)


async def test_a_chown_that_keeps_both_owners_is_a_change(mount: Mount, world: World) -> None:
    await mount.write("f", b"x")
    before = await mount.stat("f")
    after = await mount.change("f")
    assert after.ctime_ns > before.ctime_ns
    await mount.drain()
    assert (await world.mount().stat("f")).ctime_ns == after.ctime_ns


async def test_an_attribute_that_has_the_value_already_costs_nothing(mount: Mount) -> None:
    await mount.write("f", b"x")
    await mount.set_xattr("f", b"user.a", b"1")
    await mount.drain()
    before = await mount.stat("f")
    mount.bucket.forget()
    await mount.set_xattr("f", b"user.a", b"1")
    assert await mount.stat("f") == before
    assert await mount.drain() == []
    assert mount.bucket.count("put_tags") == 0
    with refused(errno.EINVAL):
        await mount.set_xattr("f", b"user.", b"1")


async def test_the_mode_of_a_symbolic_link_cannot_be_changed(mount: Mount, world: World) -> None:
    await mount.symlink("l", b"target")
    with refused(errno.ENOTSUP):
        await mount.change("l", mode=0o600)
    await mount.change("l", mtime_ns=5)
    await mount.drain()
    other = world.mount()
    assert await other.readlink("l") == b"target"
    assert (await other.stat("l")).mtime_ns == 5
