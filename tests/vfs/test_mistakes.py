"""An error that nobody expected, while something is stored, costs that file one attempt."""

import errno
import os
from typing import Any

import pytest
import trio

from tests.vfs.world import Mount, World, refused


def mistake() -> Any:
    return RuntimeError("a mistake in ossfs")


async def test_an_upload_that_fails_by_a_mistake_is_shown_and_tried_again(
    mount: Mount, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    mount.bucket.fail("put", error=mistake)
    handle = await mount.create("f")
    await mount.fs.write(handle, 0, b"precious")
    with refused(errno.EIO):
        await mount.fs.flush(handle)
    assert await mount.status("f", "upload") == "failed: internal error: RuntimeError"
    assert [item.key for item in mount.fs.unsaved()] == ["f"]
    assert "Traceback" in caplog.text
    await mount.fs.release(handle)
    await trio.sleep(10)
    assert world.visible() == ["f"]
    assert await world.mount().read("f") == b"precious"
    mount.check_invariants()


async def test_an_exclusive_file_that_a_mistake_hid_from_us_is_our_own(
    mount: Mount, world: World
) -> None:
    handle = await mount.create("f", os.O_WRONLY | os.O_EXCL)
    await mount.fs.write(handle, 0, b"one")
    mount.bucket.fail("put", answer_lost=True, error=mistake)
    with refused(errno.EIO):
        await mount.fs.flush(handle)
    await mount.fs.write(handle, 0, b"two")
    await mount.close(handle)
    assert await world.mount().read("f") == b"two"


async def test_one_file_that_fails_by_a_mistake_does_not_keep_the_drain_from_the_others(
    mount: Mount, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount.bucket.fail("put", times=8)
    for name in ("bad", *"abcdefg"):
        with refused(errno.EIO):
            await mount.write(name, b"precious")
    mount.bucket.heal()
    bad, store = mount.node("bad"), mount.fs._saver.store

    async def fail_for_bad(node: Any) -> None:
        if node is bad:
            raise mistake()
        await trio.sleep(0.001)
        await store(node)

    with monkeypatch.context() as patched:
        patched.setattr(mount.fs._saver, "store", fail_for_bad)
        (left,) = await mount.fs.drain(0.1)
    assert left.key == "bad"
    assert world.visible() == list("abcdefg")
