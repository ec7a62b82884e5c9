"""One embedded server for a module; each test has a bucket of its own."""

import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from ossfs.devserver import Credential, RunningServer, Server, ServerConfig, serve
from ossfs.store.credentials import EnvironmentCredentials
from ossfs.store.oss import OssStore

Opener = Callable[..., OssStore]

_BUCKETS = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    config = ServerConfig(
        root=tmp_path_factory.mktemp("server"),
        credentials={
            "lasting": Credential(secret="lasting-secret"),
            "temporary": Credential(secret="temporary-secret", token="the/token+="),
        },
    )
    with RunningServer(config) as running:
        yield running


@pytest.fixture
def bucket(server: RunningServer) -> Iterator[str]:
    name = f"bucket-{next(_BUCKETS)}"
    server.create_bucket(name)
    yield name
    server.clear_faults()


@pytest.fixture
def lasting() -> EnvironmentCredentials:
    return EnvironmentCredentials(
        {"OSS_ACCESS_KEY_ID": "lasting", "OSS_ACCESS_KEY_SECRET": "lasting-secret"}
    )


@pytest.fixture
def patient_clock() -> MockClock:
    """A clock that jumps when nothing has happened for 50 ms.

    pytest-trio's own jumps at once, while bytes are still on their way through the kernel.
    """
    return MockClock(autojump_threshold=0.05)


@pytest.fixture
async def loop_server(tmp_path: Path) -> AsyncIterator[Server]:
    """A server in the event loop of the test, so that a mock clock rules both ends."""
    config = ServerConfig(
        root=tmp_path,
        credentials={
            "lasting": Credential(secret="lasting-secret"),
            "temporary": Credential(secret="temporary-secret", token="the/token+="),
            "expired": Credential(
                secret="expired-secret", token="t", token_expires=time.time() - 1
            ),
        },
    )
    async with trio.open_nursery() as nursery:
        running: Server = await nursery.start(serve, config)
        running.create_bucket("bucket")
        yield running
        nursery.cancel_scope.cancel()


@pytest.fixture
async def opened(loop_server: Server) -> AsyncIterator[Opener]:
    """Opens stores on the bucket and closes them in the end."""
    stores = []

    def open_one(
        *,
        access_key: tuple[str, str, str] = ("lasting", "lasting-secret", ""),
        bucket: str = "bucket",
        endpoint: str = "",
        clock: Callable[[], float] = time.time,
    ) -> OssStore:
        names = ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN")
        store = OssStore(
            bucket,
            region="cn-hangzhou",
            endpoint=endpoint or loop_server.endpoint,
            credentials=EnvironmentCredentials(dict(zip(names, access_key, strict=True))),
            retries=3,
            timeout=10,
            clock=clock,
        )
        stores.append(store)
        return store

    yield open_one
    for store in stores:
        await store.aclose()


@pytest.fixture
def oss(opened: Opener) -> OssStore:
    return opened()
