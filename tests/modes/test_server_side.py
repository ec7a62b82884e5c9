"""Server-side modes, alone and together with each client-side one, witnessed by oss2."""

import errno
import math
import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import oss2
import pytest
import trio

from ossfs.devserver import RunningServer
from ossfs.keys.kms_factory import KmsFactory, KmsSettings
from ossfs.keys.masters import load
from ossfs.store.base import ServerEncryption
from ossfs.store.credentials import EnvironmentCredentials
from ossfs.store.oss import OssStore
from ossfs.store.transport import Transport
from tests.fuse.sdks import Sdk
from tests.keys.fakes import FakeKey
from tests.modes.modes import MODES, Mode
from tests.modes.place import Place, place_of
from tests.vfs.world import Mount, World, refused

HEADER = "x-oss-server-side-encryption"
KEY_ID = f"{HEADER}-key-id"
SSE = b"user.ossfs.sse"
SIZES = {"small": 1000, "large": 3 << 20}
EVERYWHERE: Any = {"attr_ttl": 0, "negative_ttl": 0, "part_size": 1 << 20}

PLAIN = None
CLIENT_SIDE = pytest.mark.parametrize("mode", [PLAIN, *MODES], ids=lambda m: str(m or "plain"))
SERVER_SIDE = pytest.mark.parametrize("server_side", ["AES256", "KMS", "named"])

MakeMount = Callable[..., Mount]


@pytest.fixture(scope="module")
def place(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Place:
    server.create_bucket("sse")
    return place_of(server, "sse", tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def cmk(server: RunningServer) -> str:
    return server.create_key()


@pytest.fixture
async def mounts(
    server: RunningServer, place: Place, nursery: trio.Nursery, tmp_path: Path
) -> AsyncIterator[MakeMount]:
    """Makes a mount without a kernel on the real client."""
    credentials = EnvironmentCredentials(
        {
            "OSS_ACCESS_KEY_ID": server.access_key_id,
            "OSS_ACCESS_KEY_SECRET": server.access_key_secret,
        }
    )
    store = OssStore(
        "sse",
        region=server.region,
        endpoint=server.endpoint,
        credentials=credentials,
        timeout=5,
        retries=1,
    )
    settings = KmsSettings(
        endpoint=server.kms_endpoint, signature="acs3", pause=min, retries=1, timeout=10
    )
    factory = KmsFactory(
        settings,
        credentials=lambda: credentials,
        connect=lambda _endpoint, _ca: Transport(tls=None),
    )

    def make(mode: Mode | None, server_side: ServerEncryption | None, folder: str) -> Mount:
        key = FakeKey() if mode is None else load(mode.entry(place), kms=factory)
        world = World(store, nursery, tmp_path, key)  # type: ignore[arg-type]  # of the same shape
        rules = [("**", server_side, mode is not None)]
        return world.mount(prefix=folder, rules=rules, **EVERYWHERE)

    yield make
    await store.aclose()
    await factory.aclose()


def asked(server_side: str, cmk: str) -> ServerEncryption:
    if server_side == "named":
        return ServerEncryption(algorithm="KMS", key_id=cmk)
    return ServerEncryption(algorithm=server_side)


async def head(place: Place, key: str) -> Any:
    return (await trio.to_thread.run_sync(place.plain.head_object, key)).headers


async def content(place: Place, mode: Mode | None, key: str) -> bytes:
    """As another client reads it."""
    if mode is None:
        found = await trio.to_thread.run_sync(place.plain.get_object, key)
        return bytes(found.read())
    sdk: Sdk = next(iter(mode.readers.values()))(place)
    return await trio.to_thread.run_sync(sdk.get, key, None, None)


def check(headers: Any, server_side: str, cmk: str) -> None:
    """The headers that an object of this mode has, and no others."""
    assert headers.get(HEADER) == {"none": None, "named": "KMS"}.get(server_side, server_side)
    if server_side == "named":
        assert headers[KEY_ID] == cmk
    else:
        assert (KEY_ID in headers) is (server_side == "KMS")
        assert headers.get(KEY_ID) != cmk


def envelope(headers: Any) -> dict[str, str]:
    """All that makes the object readable."""
    names = ("client-side-encryption-", "ossfs-", "oss-")
    beginnings = tuple(f"x-oss-meta-{name}" for name in names)
    return {name: value for name, value in headers.items() if name.startswith(beginnings)}


@SERVER_SIDE
@CLIENT_SIDE
async def test_it_is_asked_for_kept_changed_and_shown(
    mounts: MakeMount, place: Place, cmk: str, mode: Mode | None, server_side: str
) -> None:
    folder = f"{mode} {server_side}"
    mount = mounts(mode, asked(server_side, cmk), folder)
    shown = "server" if mode is None else "client+server"
    await mount.mkdir("d")
    bodies = {name: os.urandom(size) for name, size in SIZES.items()}
    for name, body in bodies.items():
        await mount.write(f"d/{name}", body)
        check(await head(place, f"{folder}/d/{name}"), server_side, cmk)
        assert await content(place, mode, f"{folder}/d/{name}") == body
        assert await mount.status(f"d/{name}", "encryption") == shown
    await mount.rename("d/small", "d/renamed")
    await mount.rename("d", "e")
    for name in ("renamed", "large"):
        check(await head(place, f"{folder}/e/{name}"), server_side, cmk)
    check(await head(place, f"{folder}/e/"), server_side, cmk)
    other = {"AES256": "named", "KMS": "AES256", "named": "KMS"}[server_side]
    for path, body in (("e/renamed", bodies["small"]), ("e/large", bodies["large"])):
        before = await head(place, f"{folder}/{path}")
        for choice in (other, "none"):
            text = f"KMS:{cmk}" if choice == "named" else choice
            await mount.set_xattr(path, SSE, text.encode())
            after = await head(place, f"{folder}/{path}")
            check(after, choice, cmk)
            assert await mount.read(path) == body
            assert await content(place, mode, f"{folder}/{path}") == body
            assert envelope(before) == envelope(after)
            expected = text if choice != "KMS" else f"KMS:{after[KEY_ID]}"
            assert await mount.status(path, "sse") == expected


@pytest.mark.parametrize("server_side", ["AES256", "KMS", "named"])
async def test_what_update_object_meta_changes_the_mount_shows_and_keeps(
    mounts: MakeMount, place: Place, cmk: str, server_side: str
) -> None:
    """As the guide to server-side encryption does it."""
    folder = f"meta {server_side}"
    mount = mounts(PLAIN, None, folder)
    await mount.write("01.txt", b"content")
    assert await mount.status("01.txt", "sse") == "none"
    wanted = {HEADER: "KMS" if server_side == "named" else server_side}
    if server_side == "named":
        wanted[KEY_ID] = cmk
    update = partial(place.plain.update_object_meta, f"{folder}/01.txt", wanted)
    await trio.to_thread.run_sync(update)
    headers = await head(place, f"{folder}/01.txt")
    shown = await mount.status("01.txt", "sse")
    if server_side == "AES256":
        assert shown == "AES256"
    else:
        assert shown == f"KMS:{headers[KEY_ID]}"
    assert await mount.status("01.txt", "encryption") == "server"
    assert await mount.read("01.txt") == b"content"
    await mount.rename("01.txt", "02.txt")
    await mount.write("02.txt", b"another content")
    check(await head(place, f"{folder}/02.txt"), server_side, cmk)
    await mount.set_xattr("02.txt", SSE, b"none")
    check(await head(place, f"{folder}/02.txt"), "none", cmk)


async def test_of_a_client_encrypted_object_it_changes_nothing(
    mounts: MakeMount, place: Place
) -> None:
    mount = mounts(MODES[0], None, "refused")
    await mount.write("f", b"content")
    update = partial(place.plain.update_object_meta, "refused/f", {HEADER: "AES256"})
    with pytest.raises(oss2.exceptions.ServerError) as refused:
        await trio.to_thread.run_sync(update)
    assert refused.value.code == "InvalidEncryptionRequest"
    assert await mount.status("f", "encryption") == "client"
    assert await mount.read("f") == b"content"


@pytest.fixture
async def rule(place: Place) -> AsyncIterator[str]:
    """A default of the bucket."""
    made = oss2.models.ServerSideEncryptionRule()
    made.sse_algorithm = "AES256"
    await trio.to_thread.run_sync(place.plain.put_bucket_encryption, made)
    yield "AES256"
    await trio.to_thread.run_sync(place.plain.delete_bucket_encryption)


@pytest.mark.parametrize("mode", [PLAIN, MODES[0]], ids=["plain", "RSA"])
async def test_where_nothing_is_asked_the_rule_of_the_bucket_acts_and_is_shown_at_once(
    mounts: MakeMount, place: Place, cmk: str, rule: str, mode: Mode | None
) -> None:
    folder = f"rule {mode}"
    mount = mounts(mode, None, folder)
    for name, size in SIZES.items():
        await mount.write(name, os.urandom(size))
        mount.node(name).checked = math.inf  # without another look at OSS
        assert await mount.status(name, "sse") == rule
        await mount.set_xattr(name, SSE, b"KMS")
        check(await head(place, f"{folder}/{name}"), "KMS", cmk)
        await mount.set_xattr(name, SSE, b"none")
        assert await mount.status(name, "sse") == rule


async def test_a_key_that_cannot_be_used_is_enokey_and_nothing_is_lost(
    server: RunningServer, mounts: MakeMount, place: Place
) -> None:
    key = await trio.to_thread.run_sync(server.create_key)
    mount = mounts(PLAIN, None, "disabled")
    await mount.write("f", b"content")
    with refused(errno.ENOKEY):
        await mount.set_xattr("f", SSE, b"KMS:00000000-0000-0000-0000-000000000000")
    assert await mount.read("f") == b"content"
    await mount.set_xattr("f", SSE, f"KMS:{key}".encode())
    await trio.to_thread.run_sync(server.set_key_enabled, key, False)
    with refused(errno.ENOKEY):
        await mount.read("f")
    handle = await mount.open("f", os.O_WRONLY | os.O_TRUNC)
    await mount.fs.write(handle, 0, b"new content")
    with refused(errno.ENOKEY):
        await mount.close(handle)
    assert await mount.read("f") == b"new content"
    await mount.set_xattr("f", SSE, b"AES256")
    assert await mount.drain() == []
    check(await head(place, "disabled/f"), "AES256", key)
