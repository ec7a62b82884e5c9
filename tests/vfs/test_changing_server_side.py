"""Setting `user.ossfs.sse`: the stored object changes, its content and everything else stays."""

import errno
import os
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import trio
import trio.testing

from ossfs.errors import Unavailable
from ossfs.store.memory import MemoryStore
from ossfs.types import ObjectKey
from tests.vfs.test_server_side import AES256, NAMED, OWN_KMS, SM4, encrypt
from tests.vfs.world import Mount, World, refused

SSE = b"user.ossfs.sse"
CHOICES = {"AES256": AES256, "KMS": OWN_KMS, "KMS:cmk-1": NAMED, "none": None}


@pytest.fixture
async def mount(rsa_world: World) -> AsyncIterator[Mount]:
    mount = rsa_world.mount()
    yield mount
    mount.check_invariants()


@pytest.fixture
def world(rsa_world: World) -> World:
    return rsa_world


async def put_foreign(world: World, key: str = "f") -> None:
    await world.put(
        key,
        b"plain content",
        metadata={"own": "x"},
        tags={"a": "b"},
        storage_class="IA",
        content_type="text/plain",
        web_headers={"content-encoding": "identity"},
    )


@pytest.mark.parametrize("text", CHOICES)
async def test_a_plain_object_is_copied_onto_itself(world: World, mount: Mount, text: str) -> None:
    await put_foreign(world)
    if text == "none":
        encrypt(world, "f", AES256)
    before, seen = await world.head("f"), await mount.stat("f")
    mount.bucket.forget()
    await mount.set_xattr("f", SSE, text.encode())
    assert "get" not in mount.bucket.names()
    assert "put" not in mount.bucket.names()
    after = await world.head("f")
    assert after.encryption == CHOICES[text]
    assert after.metadata.items() >= before.metadata.items()
    assert (after.etag, after.storage_class) == (before.etag, "IA")
    assert (after.content_type, after.web_headers) == (before.content_type, before.web_headers)
    assert await world.tags("f") == {"a": "b"}
    again = world.mount()
    for one in (mount, again):
        found = await one.stat("f")
        assert (found.mtime_ns, found.atime_ns) == (seen.mtime_ns, seen.atime_ns)
        assert await one.status("f", "encryption") == ("none" if text == "none" else "server")
        assert await one.read("f") == b"plain content"


@pytest.mark.parametrize("size", [0, 5, 3 << 20, (32 << 20) + 1])
async def test_an_encrypted_file_is_stored_again_with_the_same_bytes(
    world: World, size: int
) -> None:
    mount = world.mount(part_size=max(1 << 20, size // 4), area=64 << 20)
    content = os.urandom(size)
    await mount.write("f", content)
    await mount.change("f", mode=0o640, mtime_ns=5)
    await mount.drain()
    before, body = await world.store.get(ObjectKey("f"))
    await mount.set_xattr("f", SSE, b"KMS:cmk-1")
    after, same = await world.store.get(ObjectKey("f"))
    assert after.encryption == NAMED
    assert bytes(same) == bytes(body)
    wrapped = "client-side-encryption-key"
    assert after.metadata[wrapped] == before.metadata[wrapped]
    assert await mount.status("f", "encryption") == "client+server"
    assert await mount.status("f", "integrity") == "tagged"
    again = world.mount()
    for one in (mount, again):
        handle = await one.open("f")
        for start in (0, size // 2, size - 9):
            found = await one.fs.read(handle, max(start, 0), 100)
            assert bytes(found) == content[max(start, 0) :][:100]
        await one.close(handle)
    seen = await again.stat("f")
    assert (seen.mode & 0o777, seen.mtime_ns) == (0o640, 5)


async def test_the_tags_of_a_large_file_go_along(world: World) -> None:
    mount = world.mount(sse=AES256, area=64 << 20)
    await mount.write("f", bytes((32 << 20) + 1))
    sidecar = (await world.head("f")).metadata["ossfs-sidecar"]
    for text, choice in CHOICES.items():
        await mount.set_xattr("f", SSE, text.encode())
        assert (await world.head(sidecar)).encryption == choice


@pytest.mark.parametrize("own", [True, False])
async def test_an_acl_of_the_object_s_own_stays(world: World, mount: Mount, own: bool) -> None:
    if own:
        await mount.write("f", b"content")
    else:
        await put_foreign(world)
    version = world.store._versions["f"]
    world.store._versions["f"] = replace(version, acl="private")
    await mount.set_xattr("f", SSE, b"AES256")
    assert (await world.head("f")).encryption == AES256
    assert await world.store.get_acl(ObjectKey("f")) == "private"


async def test_setting_what_is_there_writes_nothing(world: World, mount: Mount) -> None:
    for there in (AES256, NAMED, SM4, None):
        await world.put("f", b"x", encryption=there)
        mount.bucket.forget()
        label = "none" if there is None else there.label
        await mount.set_xattr("f", SSE, label.encode())
        assert set(mount.bucket.names()) <= {"head", "list_page", "get_tags"}
        assert (await world.head("f")).encryption == there


async def test_what_is_there_now_counts_and_not_what_was_known(world: World, mount: Mount) -> None:
    await world.put("f", b"x", encryption=AES256)
    assert await mount.status("f", "sse") == "AES256"
    encrypt(world, "f", None)
    await mount.set_xattr("f", SSE, b"AES256")
    assert (await world.head("f")).encryption == AES256


@pytest.mark.parametrize(
    "text", [b"", b"aes256", b"KMS:", b"AES256:k", b"KMS:two words", b"SM4", b"\xff", b"None"]
)
async def test_a_value_that_says_nothing_is_einval(world: World, mount: Mount, text: bytes) -> None:
    await world.put("f", b"x")
    staged = await mount.create("g")
    for path in ("f", "g"):
        with refused(errno.EINVAL):
            await mount.set_xattr(path, SSE, text)
    await mount.close(staged)
    assert (await world.head("f")).encryption is None
    assert (await world.head("g")).encryption is None


async def test_removing_it_is_setting_none(world: World, mount: Mount) -> None:
    await world.put("f", b"x", encryption=AES256)
    async with mount.at("f") as stat:
        await mount.fs.removexattr(stat.ino, SSE)
    assert (await world.head("f")).encryption is None


async def test_none_leaves_it_to_the_rule_of_the_bucket(world: World) -> None:
    world.store = MemoryStore(encryption=AES256, clock=world.wall.seconds)
    mount = world.mount()
    await world.put("f", b"x", encryption=NAMED)
    await mount.set_xattr("f", SSE, b"none")
    assert await mount.status("f", "sse") == "AES256"


async def test_directories_and_read_only_mounts_refuse(world: World, mount: Mount) -> None:
    await mount.mkdir("d")
    with refused(errno.ENOTSUP):
        await mount.set_xattr("d", SSE, b"AES256")
    await mount.write("f", b"x")
    with refused(errno.EROFS):
        await world.mount(read_only=True).set_xattr("f", SSE, b"AES256")


# --- what is not stored yet ----------------------------------------------------------------------


async def test_for_a_file_that_is_being_written_it_is_remembered(
    world: World, mount: Mount
) -> None:
    handle = await mount.create("f")
    await mount.fs.write(handle, 0, b"content")
    await mount.set_xattr("f", SSE, b"KMS:cmk-1")
    assert world.stored() == []
    assert await mount.status("f", "sse") == "KMS:cmk-1"
    assert await mount.status("f", "encryption") == "client+server"
    await mount.close(handle)
    assert (await world.head("f")).encryption == NAMED
    await mount.write("f", b"another")
    assert (await world.head("f")).encryption == NAMED


async def test_for_a_stored_file_that_is_being_changed_it_is_remembered(
    world: World, mount: Mount
) -> None:
    await mount.write("f", b"one")
    handle = await mount.open("f", os.O_WRONLY)
    await mount.fs.write(handle, 0, b"two")
    await mount.set_xattr("f", SSE, b"AES256")
    assert (await world.head("f")).encryption is None
    assert await mount.status("f", "sse") == "AES256"
    await mount.close(handle)
    assert (await world.head("f")).encryption == AES256


async def test_the_choice_goes_along_with_a_rename_and_outlives_failures(
    world: World, mount: Mount
) -> None:
    handle = await mount.create("f")
    await mount.set_xattr("f", SSE, b"AES256")
    await mount.rename("f", "g")
    mount.bucket.fail("put")
    with refused(errno.EIO):
        await mount.close(handle)
    await mount.drain()
    assert (await world.head("g")).encryption == AES256


async def test_it_waits_for_an_upload_under_way(world: World, mount: Mount) -> None:
    handle = await mount.create("f")
    async with trio.open_nursery() as nursery:
        with mount.bucket.held("put") as hold:
            nursery.start_soon(mount.close, handle)
            await hold.reached.wait()
            nursery.start_soon(mount.set_xattr, "f", SSE, b"AES256")
            await trio.testing.wait_all_tasks_blocked()
            assert mount.node("f").server_choice is None
    assert (await world.head("f")).encryption == AES256


# --- who reads meanwhile -------------------------------------------------------------------------


@pytest.mark.parametrize("plain", [True, False])
async def test_open_handles_read_on(world: World, mount: Mount, plain: bool) -> None:
    content = os.urandom(3 << 20)
    if plain:
        await world.put("f", content)
    else:
        await mount.write("f", content)
    handle = await mount.open("f")
    assert await mount.fs.read(handle, 0, 100) == content[:100]
    pages = mount.node("f").kernel_pages
    assert pages is not None
    for text in (b"AES256", b"KMS", b"none"):
        await mount.set_xattr("f", SSE, text)
        assert await mount.read_all(handle) == content
    assert mount.node("f").kernel_pages == mount.node("f").info.etag  # type: ignore[union-attr]
    async with mount.at("f") as stat:
        opened = await mount.fs.open(stat.ino, os.O_RDONLY)
        assert opened.keep_pages
        await mount.close(opened.handle)
    await mount.close(handle)


async def test_what_another_client_stored_meanwhile_is_what_is_encrypted(
    world: World, mount: Mount
) -> None:
    await world.put("f", b"one")
    handle = await mount.open("f")
    await world.put("f", b"other content")
    await mount.set_xattr("f", SSE, b"AES256")
    info = await world.head("f")
    assert (info.size, info.encryption) == (13, AES256)
    with refused(errno.ESTALE):
        await mount.fs.read(handle, 0, 10)
    await mount.close(handle)
    assert await mount.read("f") == b"other content"


async def test_what_is_replaced_at_the_last_moment_is_left_alone(
    world: World, mount: Mount
) -> None:
    await world.put("f", b"one")

    def replaced() -> Unavailable:
        world.store._versions.pop("f")
        return Unavailable("made to fail", status=503)

    mount.bucket.fail("restate", error=replaced)
    with refused(errno.ESTALE):
        await mount.set_xattr("f", SSE, b"AES256")


async def test_a_removed_file_is_stale(world: World, mount: Mount) -> None:
    await world.put("f", b"one")
    stat = await mount.find("f")
    await world.delete("f")
    with refused(errno.ESTALE):
        await mount.fs.setxattr(stat.ino, SSE, b"AES256")
    mount.fs.forget(stat.ino, 1)


# --- what OSS does not do ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["restate", "head"])
async def test_a_lost_answer_is_settled_by_a_look(world: World, mount: Mount, name: str) -> None:
    await put_foreign(world)
    await mount.stat("f")
    mount.bucket.fail("restate", answer_lost=True)
    await mount.set_xattr("f", SSE, b"AES256")
    assert (await world.head("f")).encryption == AES256
    assert await mount.status("f", "sse") == "AES256"
    mount.bucket.fail("restate" if name == "restate" else "head", times=9)
    with refused(errno.EIO):
        await mount.set_xattr("f", SSE, b"KMS")
    mount.bucket.heal()
    assert await mount.status("f", "sse") == "AES256"


async def test_a_plain_object_too_large_for_a_copy_is_stored_again(world: World) -> None:
    world.store = MemoryStore(copy_limit=10, clock=world.wall.seconds)
    mount = world.mount(reupload_max=100)
    for size in (50, 101):
        await world.put(f"f{size}", bytes(size), metadata={"own": "x"})
    await mount.set_xattr("f50", SSE, b"AES256")
    info = await world.head("f50")
    assert (info.encryption, info.metadata["own"], info.size) == (AES256, "x", 50)
    with refused(errno.EFBIG):
        await mount.set_xattr("f101", SSE, b"AES256")
    assert (await world.head("f101")).encryption is None


async def test_an_encrypted_file_above_the_limit_is_efbig(world: World) -> None:
    mount = world.mount(reupload_max=3)
    await mount.write("f", b"four")
    with refused(errno.EFBIG):
        await mount.set_xattr("f", SSE, b"AES256")
    assert await mount.status("f", "sse") == "none"


async def test_pending_attributes_are_kept_by_either_way(world: World, mount: Mount) -> None:
    await world.put("plain", b"x")
    await mount.write("own", b"x")
    for path in ("plain", "own"):
        await mount.change(path, mode=0o600)
        await mount.set_xattr(path, SSE, b"AES256")
    assert mount.node("plain").attributes_pending
    assert not mount.node("own").attributes_pending
    await mount.drain()
    again = world.mount()
    for path in ("plain", "own"):
        assert (await again.stat(path)).mode & 0o777 == 0o600
        assert (await world.head(path)).encryption == AES256


# --- other clients -------------------------------------------------------------------------------


async def test_what_another_client_changes_is_shown_after_the_ttl_and_at_open(
    world: World,
) -> None:
    mount = world.mount()
    await world.put("f", b"x")
    assert await mount.status("f", "sse") == "none"
    encrypt(world, "f", NAMED)
    assert await mount.status("f", "sse") == "none"
    assert await mount.read("f") == b"x"
    assert await mount.status("f", "sse") == "KMS:cmk-1"
    encrypt(world, "f", AES256)
    mount.node("f").checked = float("-inf")
    assert await mount.status("f", "sse") == "AES256"
    assert await mount.status("f", "encryption") == "server"


async def test_it_is_never_listed(mount: Mount) -> None:
    await mount.write("f", b"x")
    await mount.set_xattr("f", SSE, b"AES256")
    async with mount.at("f") as stat:
        assert SSE not in await mount.fs.listxattr(stat.ino)
