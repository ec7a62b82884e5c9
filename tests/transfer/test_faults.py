"""Uploads under faults and cancellation: all of a new version or nothing, and one error."""

import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import fastcrc
import pytest
import trio

from ossfs.crypto.tags import INLINE_LIMIT
from ossfs.errors import (
    AlreadyExists,
    EntityTooLarge,
    KeyUnavailable,
    NoAttributeRoom,
    NotFound,
    OssfsError,
    StagingFull,
    TimedOut,
    Unavailable,
)
from ossfs.keys.keyring import Keyring
from ossfs.store.base import ServerEncryption
from ossfs.types import Buffer
from tests.transfer.world import FILE, KEY, KIB, MIB, OTHER, PART, World, content_of

OLD = b"the version before"

SIZES = [5, 2 * PART + 1]


async def stored(world: World) -> bytes | None:
    """What another mount reads under KEY now."""
    world.store.fail_at = 0
    world.store.before = lambda _name: None
    try:
        return await world.again().content()
    except NotFound:
        return None


def leaves_no_parts(world: World) -> bool:
    """Whether no upload is left open, but for one whose number was lost with its answer."""
    number, calls = world.store.fail_at, world.store.names()
    unknown = world.store.answer_lost and calls[number - 1 : number] == ["initiate_multipart"]
    return len(world.store.inner._uploads) == unknown


async def until_success(
    world: World, attempt: Callable[[], Awaitable[object]], after: Callable[[bool], Awaitable[None]]
) -> int:
    """Let the n-th call fail for n = 1, 2, 3 … until the attempt succeeds; returns that n."""
    for number in range(1, 100):
        world.store.calls.clear()
        world.store.fail_at = number
        try:
            await attempt()
            failure = None
        except OssfsError as error:
            failure = error
        untouched = len(world.store.calls) < number
        assert failure is None or type(failure) is type(world.store.error())
        await after(failure is None)
        if untouched:
            return number
    raise AssertionError("it never succeeded")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("error", [Unavailable, TimedOut, EntityTooLarge])
async def test_a_failing_request_leaves_the_old_version_or_the_whole_new_one(
    world: World, size: int, lost: bool, error: type[Any]
) -> None:
    content = content_of(size)
    world.store.error = lambda: error("made to fail", status=503)
    world.store.answer_lost = lost
    await world.upload(OLD)

    async def after(success: bool) -> None:
        assert leaves_no_parts(world)
        seen = await stored(world)
        # A refusal such as EntityTooLarge never comes with a stored object; with it, nobody looks.
        assert seen == content if success else seen == OLD or (lost and error is EntityTooLarge)
        world.store.inner._uploads.clear()
        await world.again().upload(OLD)

    calls = await until_success(world, lambda: world.upload(content), after)
    assert calls > (1 if size == 5 else 4)


@pytest.mark.parametrize("lost", [False, True])
async def test_the_same_holds_with_a_sidecar(world: World, lost: bool) -> None:
    content = content_of(INLINE_LIMIT + 100)
    writer = world.again(part_size=16 * MIB)
    world.store.answer_lost = lost

    async def after(success: bool) -> None:
        assert leaves_no_parts(world)
        assert await stored(world) == (content if success else None)
        world.store.inner._uploads.clear()
        await world.store.inner.delete(KEY)

    await until_success(writer, lambda: writer.upload(content), after)


@pytest.mark.parametrize("size", SIZES)
async def test_an_upload_whose_last_answer_was_lost_is_recognised_as_its_own(
    world: World, size: int
) -> None:
    content = content_of(size)
    world.store.answer_lost = True
    last = {5: 1, 2 * PART + 1: 5}[size]
    world.store.fail_at = last
    info = await world.upload(content, forbid_overwrite=True)
    assert world.store.names()[last - 1 :] == [world.store.names()[last - 1], "head"]
    assert info == await world.store.inner.head(KEY)
    assert await stored(world) == content


@pytest.mark.parametrize("key_id", [None, "chosen by OSS"])
async def test_an_own_result_is_recognised_whoever_chose_the_key_of_kms(
    world: World, key_id: str | None
) -> None:
    def name_the_key(name: str, answer: Any) -> Any:
        if name == "head":
            return replace(answer, encryption=ServerEncryption(algorithm="KMS", key_id=key_id))
        return answer

    world.store.tamper = name_the_key
    world.store.answer_lost = True
    world.store.fail_at = 1
    await world.upload(b"x", encryption=ServerEncryption(algorithm="KMS"))
    assert world.store.names() == ["put", "head"]


@pytest.mark.parametrize("size", SIZES)
async def test_a_foreign_object_in_the_way_is_not_taken_for_our_own(
    world: World, size: int
) -> None:
    await world.upload(content_of(size))
    with pytest.raises(AlreadyExists):
        await world.upload(content_of(size), forbid_overwrite=True)
    assert leaves_no_parts(world)


@pytest.mark.parametrize("size", SIZES)
async def test_an_object_that_appears_during_the_upload_is_not_overwritten(
    world: World, size: int
) -> None:
    other = world.again()
    await other.upload(b"theirs", OTHER)
    theirs = world.store.inner._versions[OTHER]

    def appear(name: str) -> None:
        if name in {"put", "complete_multipart"} and KEY not in world.store.inner._versions:
            world.store.inner._versions[KEY] = replace(theirs, info=replace(theirs.info, key=KEY))

    world.store.before = appear
    with pytest.raises(AlreadyExists):
        await world.upload(content_of(size), forbid_overwrite=True)
    assert await stored(world) == b"theirs"
    assert leaves_no_parts(world)


@pytest.mark.parametrize("size", SIZES)
async def test_other_bytes_than_were_sent_are_noticed(world: World, size: int) -> None:
    def damage(name: str, answer: Any) -> Any:
        if name in {"put", "complete_multipart"}:
            return replace(answer, crc64=answer.crc64 ^ 1)
        return answer

    world.store.tamper = damage
    with pytest.raises(Unavailable):
        await world.upload(content_of(size))
    assert leaves_no_parts(world)


async def test_no_digest_of_a_large_body_is_taken_in_the_event_loop(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    inline: list[int] = []

    def note(body: Buffer) -> int:
        if threading.current_thread() is threading.main_thread():
            inline.append(len(body))
        return fastcrc.crc64.xz(body)

    noting = SimpleNamespace(crc64=SimpleNamespace(xz=note))
    monkeypatch.setattr("ossfs.transfer.sending.fastcrc", noting)
    large = world.again(part_size=2 * MIB)
    await large.upload(content_of(5 * MIB))
    await large.again(keyring=None, part_size=2 * MIB).upload(content_of(4 * MIB))
    info = replace(await world.store.inner.head(KEY), crc64=None)
    await large.copier.reupload(info, attributes=FILE, tags={}, limit=None)
    assert not [size for size in inline if size > MIB]


@pytest.mark.parametrize("size", SIZES)
async def test_a_cancelled_upload_leaves_nothing_behind_wherever_it_was(
    world: World, size: int
) -> None:
    content = content_of(size)
    await world.upload(OLD)
    for step in range(1, 300):
        instrument = CancelAt(step)
        trio.lowlevel.add_instrument(instrument)
        try:
            with instrument.scope:
                await world.upload(content)
        finally:
            trio.lowlevel.remove_instrument(instrument)
        if not instrument.scope.cancelled_caught:
            break
        assert leaves_no_parts(world)
        assert await stored(world) in {OLD, content}
        assert world.limits.memory.free == 64 * MIB
        assert world.limits.requests.borrowed_tokens == 0
    else:
        raise AssertionError("it never ended")
    assert step > (2 if size == 5 else 10)
    assert await stored(world) == content
    assert world.area.memory_bytes == 0


class CancelAt(trio.abc.Instrument):
    """Cancels its scope before the n-th step of any task."""

    def __init__(self, step: int) -> None:
        self.scope = trio.CancelScope()
        self._left = step

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._left -= 1
        if self._left == 0:
            self.scope.cancel()


async def test_an_abort_that_fails_is_told_and_hides_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(name: str) -> None:
        if name in {"put_part", "abort_multipart"}:
            raise Unavailable("made to fail")

    world.store.before = refuse
    with pytest.raises(Unavailable):
        await world.upload(content_of(3 * PART))
    assert "could not be aborted" in caplog.text


async def test_without_a_master_key_nothing_is_sent(world: World) -> None:
    empty = world.again(keyring=Keyring([]))
    with pytest.raises(KeyUnavailable):
        await empty.upload(b"secret")
    assert world.store.calls == []


async def test_attributes_without_room_are_refused_before_anything_is_sent(world: World) -> None:
    huge = replace(FILE, xattrs={b"user.big": bytes(4096)})
    with world.frozen(b"x") as frozen, pytest.raises(NoAttributeRoom):
        await world.uploader.upload(frozen, KEY, attributes=huge)
    assert world.store.calls == []


async def test_a_scratch_file_that_cannot_be_read_fails_the_upload_alone(world: World) -> None:
    class Broken:
        size = 3 * PART

        def pread_into(self, offset: int, out: memoryview) -> None:
            if offset + len(out) >= 2 * PART:
                raise StagingFull("made to fail")

    broken: Any = Broken()
    with pytest.raises(StagingFull):
        await world.uploader.upload(broken, KEY, attributes=FILE)
    assert leaves_no_parts(world)


async def test_memory_in_flight_stays_within_the_limit(world: World) -> None:
    lowest = world.limits.memory.free

    def note(_name: str) -> None:
        nonlocal lowest
        lowest = min(lowest, world.limits.memory.free)

    world.store.before = note
    await world.upload(content_of(64 * PART))
    assert 0 <= lowest <= 64 * MIB - 2 * PART
    assert lowest >= 64 * MIB - 8 * PART - 64 * KIB * 16
    assert world.limits.memory.free == 64 * MIB


@pytest.mark.parametrize("part_size", [KIB, 8 * MIB, 17 * MIB])
async def test_uploads_with_sidecars_never_wait_for_the_memory_they_hold(
    world: World, part_size: int
) -> None:
    # The sidecar goes in parts, in one request beside content in parts, or both go in one request.
    small = world.again(part_size=part_size, memory_bytes=MIB)
    keys = [KEY, OTHER]
    with trio.fail_after(60), small.frozen(content_of(INLINE_LIMIT + 1)) as frozen:
        async with trio.open_nursery() as nursery:
            for key in keys:
                nursery.start_soon(partial(small.uploader.upload, frozen, key, attributes=FILE))
    for key in keys:
        assert (await world.store.inner.head(key)).size == INLINE_LIMIT + 1
    assert small.limits.memory.free == MIB
