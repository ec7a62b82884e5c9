"""Files under a key of the KMS: each has a data key of its own, and none waits for the KMS."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from ossfs.devserver import RunningServer
from ossfs.errors import KeyUnavailable
from ossfs.format import envelope as envelopes
from ossfs.keys.keyring import Keyring
from ossfs.keys.pool import SIZE, EnvelopePool, NewEnvelope
from ossfs.transfer.uploader import Uploader
from ossfs.types import ObjectKey
from tests.keys.fakes import FakeKey
from tests.keys.kms_world import close_connections, kms_server, master
from tests.transfer.world import FILE, World

SMALL = b"content of a small file"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with kms_server(tmp_path_factory.mktemp("kms")) as running:
        yield running


@pytest.fixture(autouse=True)
async def _closed() -> AsyncIterator[None]:
    yield
    await close_connections()


class Mounted:
    """A world whose uploader takes its keys from a pool, as that of a mount does."""

    def __init__(self, world: World, pool: EnvelopePool) -> None:
        self.world = world
        self.pool = pool
        self.uploader = Uploader(world.sender, pool, prefix="p")

    async def warm(self) -> None:
        with trio.fail_after(30):
            while len(self.pool) < SIZE:  # noqa: ASYNC110  (the pool tells nobody)
                await trio.sleep(0.005)

    async def store(self, name: str, content: bytes = SMALL) -> ObjectKey:
        key = ObjectKey(f"p/{name}")
        with self.world.frozen(content) as frozen:
            await self.uploader.upload(frozen, key, attributes=FILE)
        return key


@asynccontextmanager
async def mounted(server: RunningServer, directory: Path, **options: Any) -> AsyncIterator[Mounted]:
    async with trio.open_nursery() as nursery:
        ring = Keyring([master(server, **options)])
        pool = EnvelopePool(ring.new_envelope)
        world = World(nursery=nursery, directory=directory, keyring=ring)
        nursery.start_soon(pool.run)
        yield Mounted(world, pool)
        nursery.cancel_scope.cancel()


async def test_a_thousand_files_have_a_thousand_data_keys(
    server: RunningServer, tmp_path: Path
) -> None:
    count = 1000
    async with mounted(server, tmp_path) as mount:
        names = iter(range(count))

        async def store_some() -> None:
            for number in names:
                await mount.store(f"f{number}")

        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(store_some)
        wrapped, keys = set(), set()
        nothing_known = Keyring([master(server)])
        for number in range(count):
            info = await mount.world.store.head(ObjectKey(f"p/f{number}"))
            envelope = envelopes.parse(info.metadata)
            assert envelope is not None
            key = await nothing_known.open(envelope, accept=lambda _: True)
            wrapped |= {envelope.wrapped_key, envelope.wrapped_start}
            keys.add(key.reveal())
    assert len(wrapped) == 2 * count
    assert len(keys) == count


async def test_a_close_asks_nothing_of_the_kms_while_the_pool_lasts(
    server: RunningServer, tmp_path: Path
) -> None:
    async with mounted(server, tmp_path) as mount:
        await mount.warm()
        await trio.to_thread.run_sync(server.add_kms_fault, "status=503")
        try:
            for number in range(SIZE):
                await mount.store(f"g{number}")
            assert len(mount.pool) == 0
            with pytest.raises(KeyUnavailable):
                await mount.store("one-too-many")
        finally:
            await trio.to_thread.run_sync(server.clear_kms_faults)
        await mount.store("afterwards")


async def test_what_is_cached_goes_on_working_without_the_kms(
    server: RunningServer, tmp_path: Path
) -> None:
    async with mounted(server, tmp_path) as mount, mounted(server, tmp_path) as reading:
        written = await mount.store("written")
        reading.world.store.inner = mount.world.store.inner
        await trio.to_thread.run_sync(server.add_kms_fault, "op=Decrypt,status=503")
        try:
            with pytest.raises(KeyUnavailable):
                await reading.world.content(written)
            assert await mount.world.content(written) == SMALL
        finally:
            await trio.to_thread.run_sync(server.clear_kms_faults)
        asked = server.kms_requests.count("Decrypt")
        for _ in range(3):
            assert await reading.world.content(written) == SMALL
        assert server.kms_requests.count("Decrypt") == asked + 1


async def test_who_waits_for_a_kms_holds_no_memory(tmp_path: Path) -> None:
    ring = Keyring([FakeKey()])

    class Waiting:
        """The first to ask waits for ever."""

        asked = 0

        async def new_envelope(self) -> NewEnvelope:
            self.asked += 1
            if self.asked == 1:
                await trio.sleep_forever()
            return await ring.new_envelope()

    async with trio.open_nursery() as nursery:
        world = World(nursery=nursery, directory=tmp_path, memory_bytes=len(SMALL))
        uploader = Uploader(world.sender, Waiting(), prefix="p")

        async def store(name: str) -> None:
            with world.frozen(SMALL) as frozen:
                await uploader.upload(frozen, ObjectKey(f"p/{name}"), attributes=FILE)

        nursery.start_soon(store, "first")
        await wait_all_tasks_blocked()
        with trio.fail_after(10):
            await store("second")
        nursery.cancel_scope.cancel()


async def test_throttling_is_waited_out(server: RunningServer, tmp_path: Path) -> None:
    rule = "op=Encrypt,code=Rejected.Throttling,times=3"
    await trio.to_thread.run_sync(server.add_kms_fault, rule)
    async with mounted(server, tmp_path, retries=5) as mount:
        await mount.store("patient")
