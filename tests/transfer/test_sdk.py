"""Over HTTP to the embedded server: the official SDK reads what is stored, and is read in turn."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import oss2
import pytest
import trio

from ossfs.crypto.tags import INLINE_LIMIT
from ossfs.devserver import RunningServer, ServerConfig
from ossfs.errors import IntegrityError
from ossfs.store.credentials import EnvironmentCredentials
from ossfs.store.oss import OssStore
from ossfs.transfer.version import Integrity
from tests.keys.fakes import private_pem, public_pem, rsa_key
from tests.transfer.watched import WatchedStore
from tests.transfer.world import FILE, KEY, KIB, MIB, OTHER, PART, World, content_of


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    config = ServerConfig(root=tmp_path_factory.mktemp("server"))
    with RunningServer(config, buckets=["bkt"]) as running:
        yield running


@pytest.fixture
def sdk(server: RunningServer) -> Any:
    """oss2's client for encryption with an RSA key, that of the world's keyring."""
    pair = {"private_key": private_pem(rsa_key(0)), "public_key": public_pem(rsa_key(0))}
    return oss2.CryptoBucket(
        oss2.AuthV4(server.access_key_id, server.access_key_secret),
        server.endpoint,
        "bkt",
        oss2.RsaProvider(key_pair=pair),
        region=server.region,
    )


@pytest.fixture
async def world(
    server: RunningServer, nursery: trio.Nursery, tmp_path: Path
) -> AsyncIterator[World]:
    credentials = EnvironmentCredentials(
        {
            "OSS_ACCESS_KEY_ID": server.access_key_id,
            "OSS_ACCESS_KEY_SECRET": server.access_key_secret,
        }
    )
    store = OssStore(
        "bkt",
        region=server.region,
        endpoint=server.endpoint,
        credentials=credentials,
        timeout=5,
        retries=1,
    )
    yield World(nursery=nursery, directory=tmp_path, store=WatchedStore(store))
    await store.aclose()


async def sdk_reads(sdk: Any, key: str, **options: Any) -> bytes:
    def read() -> bytes:
        content: bytes = sdk.get_object(key, **options).read()
        return content

    return await trio.to_thread.run_sync(read)


@pytest.mark.parametrize("size", [0, 1, 64 * KIB + 1, 2 * PART, 5 * PART + 3, INLINE_LIMIT + 1])
async def test_the_sdk_reads_every_file(world: World, sdk: Any, size: int) -> None:
    content = content_of(size)
    info = await world.again(part_size=min(4 * MIB, max(size // 8, PART))).upload(content)
    assert await sdk_reads(sdk, KEY) == content
    assert await world.again().content() == content
    head = await world.store.head(KEY)
    assert (head.size, head.etag, head.crc64) == (size, info.etag, info.crc64)
    assert head.metadata == info.metadata
    if size > 100:
        assert await sdk_reads(sdk, KEY, byte_range=(37, 99)) == content[37:100]


async def test_the_sdk_reads_copies_and_reuploads(world: World, sdk: Any) -> None:
    content = content_of(5 * PART + 3)
    info = await world.upload(content)
    copied = await world.copier.copy(info, OTHER)
    assert await sdk_reads(sdk, OTHER) == content
    private = replace(FILE, mode=0o100600)
    await world.copier.reupload(copied, attributes=private, tags={}, limit=None)
    assert await sdk_reads(sdk, OTHER) == content


@pytest.mark.parametrize("size", [1, 64 * KIB + 1, 300 * KIB])
async def test_what_the_sdk_wrote_is_read_and_known_to_be_unauthenticated(
    world: World, sdk: Any, size: int
) -> None:
    content = content_of(size)
    await trio.to_thread.run_sync(sdk.put_object, KEY, content)
    for expected in (0, size):
        _, reader = await world.again().opener.open(KEY, expect_size=expected)
        assert await reader.read(0, size) == content
        assert not reader.is_authenticated
    off = world.again(integrity=Integrity.OFF)
    assert await off.content(step=1000) == content
    with pytest.raises(IntegrityError):
        await world.again(integrity=Integrity.REQUIRE).reader()


async def test_a_small_file_is_two_requests_to_write_and_read(
    world: World, server: RunningServer
) -> None:
    server.requests.clear()
    await world.upload(content_of(1000))
    fresh = world.again()
    reader = await fresh.reader(expect_size=1000)
    assert await reader.read(0, 1000) == content_of(1000)
    assert [record.operation for record in server.requests.all()] == ["PutObject", "GetObject"]


async def test_an_upload_is_all_or_nothing_when_the_server_fails(
    world: World, server: RunningServer
) -> None:
    await world.upload(b"before")
    await trio.to_thread.run_sync(server.add_fault, "op=UploadPart,times=100,status=503")
    with pytest.raises(Exception, match="503"):
        await world.upload(content_of(5 * PART))
    await trio.to_thread.run_sync(server.clear_faults)
    assert await world.again().content() == b"before"
