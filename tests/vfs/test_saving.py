"""When content goes to the bucket, how often, and what happens if it cannot."""

import errno
import itertools
import os

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from ossfs.errors import AccessDenied, StagingFull, StoreError
from ossfs.staging.staged import StagedFile
from tests.vfs.world import Mount, World, refused


async def test_a_new_file_is_one_put(mount: Mount) -> None:
    handle = await mount.create("f")
    mount.bucket.forget()
    await mount.fs.write(handle, 0, b"hello")
    await mount.close(handle)
    assert mount.bucket.names() == ["put"]


async def test_a_file_closed_without_a_write_is_stored_too(mount: Mount, world: World) -> None:
    await mount.close(await mount.create("f"))
    assert world.stored() == ["f"]
    assert mount.bucket.count("put") == 1


async def test_truncating_at_open_is_stored_at_close(mount: Mount, world: World) -> None:
    await mount.write("f", b"hello")
    await mount.close(await mount.open("f", os.O_WRONLY | os.O_TRUNC))
    assert (await world.head("f")).size == 0


async def test_each_flush_with_writes_before_it_is_one_put(mount: Mount) -> None:
    handle = await mount.create("f")
    for count in range(1, 21):
        await mount.fs.write(handle, count, b"x")
        await mount.fs.flush(handle)
        assert mount.bucket.count("put") == count


async def test_a_flush_without_a_write_before_it_asks_nothing(mount: Mount) -> None:
    handle = await mount.create("f")
    await mount.fs.flush(handle)
    mount.bucket.forget()
    for _ in range(5):
        await mount.fs.flush(handle)
        await mount.fs.fsync(handle)
    await mount.close(handle)
    assert mount.bucket.names() == []


async def test_a_flush_of_a_handle_that_only_reads_stores_nothing(mount: Mount) -> None:
    writer = await mount.create("f")
    await mount.fs.write(writer, 0, b"hello")
    reader = await mount.open("f")
    await mount.fs.flush(reader)
    assert mount.bucket.count("put") == 0
    assert await mount.fs.read(reader, 0, 9) == b"hello"


async def test_flushes_during_an_upload_share_the_next_one(
    mount: Mount, nursery: trio.Nursery
) -> None:
    handles = [await mount.create("f")]
    handles += [await mount.open("f", os.O_WRONLY) for _ in range(4)]
    await mount.fs.write(handles[0], 0, b"a")
    with mount.bucket.held("put") as hold:
        nursery.start_soon(mount.fs.flush, handles[0])
        await hold.reached.wait()
        async with trio.open_nursery() as flushes:
            for number, handle in enumerate(handles):
                await mount.fs.write(handle, number, b"b")
                flushes.start_soon(mount.fs.flush, handle)
            await wait_all_tasks_blocked()
            assert mount.bucket.count("put") == 1
            hold.release()
    assert mount.bucket.count("put") == 2


async def test_what_is_written_during_an_upload_is_stored_by_the_next_flush(
    mount: Mount, world: World, nursery: trio.Nursery
) -> None:
    handle = await mount.create("f", os.O_WRONLY)
    await mount.fs.write(handle, 0, b"first")
    with mount.bucket.held("put") as hold:
        nursery.start_soon(mount.fs.flush, handle)
        await hold.reached.wait()
        await mount.fs.write(handle, 0, b"second")
    await mount.close(handle)
    assert await world.mount().read("f") == b"second"


async def test_a_write_through_a_mapping_after_the_last_flush_is_stored_after_release(
    mount: Mount, world: World
) -> None:
    handle = await mount.create("f")
    await mount.fs.flush(handle)
    await mount.fs.write(handle, 0, b"mapped")
    await mount.fs.release(handle)
    await wait_all_tasks_blocked()
    assert await world.mount().read("f") == b"mapped"


async def test_truncating_by_path_is_stored_before_it_returns(mount: Mount, world: World) -> None:
    await mount.write("f", b"hello")
    await mount.truncate("f", 3)
    assert (await world.head("f")).size == 3
    assert await mount.read("f") == b"hel"


async def test_a_cut_reads_only_what_it_keeps(mount: Mount) -> None:
    await mount.write("f", b"x" * 100_000)
    await mount.drain()
    mount.bucket.forget()
    await mount.truncate("f", 0)
    assert "get" not in mount.bucket.names()


# --- failures --------------------------------------------------------------------------------


async def test_a_failed_upload_is_reported_shown_and_tried_again_by_the_next_flush(
    mount: Mount, world: World
) -> None:
    handle = await mount.create("f")
    await mount.fs.write(handle, 0, b"precious")
    mount.bucket.fail("put")
    with refused(errno.EIO):
        await mount.fs.flush(handle)
    assert world.stored() == []
    assert await mount.fs.read(handle, 0, 99) == b"precious"
    assert (await mount.stat("f")).size == 8
    assert (await mount.status("f", "upload")).startswith("failed: made to fail")
    assert [item.key for item in mount.fs.unsaved()] == ["f"]
    assert await mount.status("", "pending") == "1"
    await mount.fs.flush(handle)
    assert world.stored() == ["f"]
    assert await mount.status("f", "upload") == "clean"
    assert mount.fs.unsaved() == []


async def test_a_failed_upload_is_tried_again_with_growing_pauses(
    mount: Mount, world: World
) -> None:
    mount.bucket.fail("put", times=6)
    with refused(errno.EIO):
        await mount.write("f", b"precious")
    await trio.sleep(500)
    times = [call.when for call in mount.bucket.calls if call.name == "put"]
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(pauses) == 6
    for number, pause in enumerate(pauses):
        assert 2**number / 2 <= pause <= 2**number
    await wait_all_tasks_blocked()
    assert mount.fs.unsaved() == []
    assert await mount.read("f") == b"precious"


async def test_a_file_that_is_not_stored_is_told_once_for_each_kind_of_failure(
    mount: Mount, caplog: pytest.LogCaptureFixture
) -> None:
    def denied() -> StoreError:
        return AccessDenied("no", code="AccessDenied", status=403)

    for _ in range(2):
        mount.bucket.fail("put", times=3)
        mount.bucket.fail("put", times=3, error=denied)
        with refused(errno.EIO):
            await mount.write("f", b"precious")
        await trio.sleep(500)
        assert mount.fs.unsaved() == []
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert ["AccessDenied" in message for message in told] == [False, True] * 2


async def test_a_refused_upload_is_tried_again_too(mount: Mount, world: World) -> None:
    def denied() -> StoreError:
        return AccessDenied("no", code="AccessDenied", status=403)

    mount.bucket.fail("put", times=2, error=denied)
    with refused(errno.EACCES):
        await mount.write("f", b"precious")
    await trio.sleep(10)
    assert world.stored() == ["f"]


async def test_draining_tries_at_once_and_says_what_is_left(mount: Mount, world: World) -> None:
    mount.bucket.fail("put", "bad", times=100)
    mount.bucket.fail("put", "good", times=1)
    for name in ("bad", "good"):
        with refused(errno.EIO):
            await mount.write(name, b"precious")
    (left,) = await mount.fs.drain(0.01)
    assert (left.key, left.reason[:12]) == ("bad", "made to fail")
    assert world.stored() == ["good"]
    mount.bucket.heal()
    assert await mount.fs.drain(0.01) == []


async def test_draining_gives_up_after_its_time_and_loses_nothing(
    mount: Mount, world: World
) -> None:
    handle = await mount.create("f")
    await mount.fs.write(handle, 0, b"precious")
    with mount.bucket.held("put"):
        assert [item.key for item in await mount.fs.drain(3)] == ["f"]
    mount.check_invariants()
    assert await mount.fs.drain(3) == []
    assert world.stored() == ["f"]


async def test_a_lost_answer_does_not_make_our_own_file_a_foreign_one(
    mount: Mount, world: World
) -> None:
    handle = await mount.create("f", os.O_RDWR | os.O_EXCL)
    await mount.fs.write(handle, 0, b"one")
    mount.bucket.fail("put", answer_lost=True)
    mount.bucket.fail("head")  # so it cannot even be asked whether it got through
    with refused(errno.EIO):
        await mount.fs.flush(handle)
    await mount.fs.write(handle, 0, b"two")
    await mount.close(handle)
    assert await world.mount().read("f") == b"two"


async def test_a_file_of_another_host_is_not_taken_for_a_lost_answer(
    mount: Mount, world: World
) -> None:
    handle = await mount.create("f", os.O_RDWR | os.O_EXCL)
    await mount.fs.write(handle, 0, b"one")
    mount.bucket.fail("put")
    with refused(errno.EIO):
        await mount.fs.flush(handle)
    await world.put("f", b"theirs")
    with refused(errno.EEXIST):
        await mount.fs.flush(handle)
    assert (await world.head("f")).size == 6
    await mount.fs.release(handle)
    await mount.unlink("f")


async def test_staging_that_is_full_refuses_the_write_and_keeps_the_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = world.mount()
    handle = await mount.create("f")
    await mount.fs.write(handle, 0, b"kept")

    def full(self: StagedFile, offset: int, data: bytes) -> None:
        raise StagingFull("made to be full")

    with monkeypatch.context() as patched:
        patched.setattr(StagedFile, "pwrite", full)
        with refused(errno.ENOSPC):
            await mount.fs.write(handle, 4, b"lost")
    await mount.close(handle)
    assert await mount.read("f") == b"kept"


# --- other clients -----------------------------------------------------------------------------


async def test_an_exclusive_file_that_another_host_made_first_is_refused_at_close(
    world: World,
) -> None:
    one, two = world.mount(), world.mount()
    ours = await one.create("f", os.O_WRONLY | os.O_EXCL)
    theirs = await two.create("f", os.O_WRONLY | os.O_EXCL)
    await two.fs.write(theirs, 0, b"theirs")
    await two.close(theirs)
    await one.fs.write(ours, 0, b"ours")
    with refused(errno.EEXIST):
        await one.fs.flush(ours)
    assert await world.mount().read("f") == b"theirs"
    assert [item.key for item in one.fs.unsaved()] == ["f"]
    await one.fs.release(ours)


async def test_an_exclusive_create_of_a_name_that_is_known_is_refused_at_open(
    mount: Mount,
) -> None:
    await mount.write("f", b"")
    with refused(errno.EEXIST):
        await mount.create("f", os.O_WRONLY | os.O_EXCL)


async def test_a_removal_by_another_host_since_open_is_logged_and_the_close_stores(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    mount = world.mount()
    await mount.write("f", b"old")
    handle = await mount.open("f", os.O_WRONLY)
    await mount.fs.write(handle, 0, b"ours")
    await world.delete("f")
    await mount.close(handle)
    assert await world.mount().read("f") == b"ours"
    assert "another client removed" in caplog.text


async def test_truncating_through_a_descriptor_that_only_reads_is_stored_at_open(
    mount: Mount, world: World
) -> None:
    await mount.write("f", b"hello")
    handle = await mount.open("f", os.O_RDONLY | os.O_TRUNC)
    assert (await world.head("f")).size == 0
    assert await mount.read_all(handle) == b""
    mount.bucket.forget()
    await mount.close(handle)
    assert "put" not in mount.bucket.names()
