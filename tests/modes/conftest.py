"""One server with one bucket for all modes, and a mount's stack on it."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import trio

from ossfs.devserver import RunningServer, ServerConfig
from ossfs.keys.keyring import Keyring
from ossfs.keys.keyring_file import Entry
from ossfs.keys.kms_factory import KmsFactory, KmsSettings
from ossfs.keys.masters import load
from ossfs.store.credentials import EnvironmentCredentials
from ossfs.store.oss import OssStore
from ossfs.store.transport import Transport
from tests.modes.place import Place, place_of
from tests.transfer.watched import WatchedStore
from tests.transfer.world import MIB, World

MakeWorld = Callable[..., World]

_SDK_WARNINGS = (
    "ignore::DeprecationWarning:oss2.*",
    "ignore::DeprecationWarning:alibabacloud_oss_v2.*",
    "ignore::DeprecationWarning:aliyunsdkcore.*",
    "ignore::SyntaxWarning:aliyunsdkcore.*",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/modes/" in item.path.as_posix():
            for warning in _SDK_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    config = ServerConfig(root=tmp_path_factory.mktemp("server"))
    with RunningServer(config, buckets=["bkt"]) as running:
        yield running


@pytest.fixture(scope="module")
def place(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Place:
    return place_of(server, "bkt", tmp_path_factory.mktemp("keys"))


@pytest.fixture
async def world(
    server: RunningServer, place: Place, nursery: trio.Nursery, tmp_path: Path
) -> AsyncIterator[MakeWorld]:
    """Makes the stack of a mount with these keys, of which the first encrypts."""
    credentials = EnvironmentCredentials(
        {
            "OSS_ACCESS_KEY_ID": server.access_key_id,
            "OSS_ACCESS_KEY_SECRET": server.access_key_secret,
        }
    )
    settings = KmsSettings(
        endpoint=server.kms_endpoint,
        signature="acs3",
        pause=lambda _number, _asked: 0.0,
        retries=1,
        timeout=10,
    )
    factory = KmsFactory(
        settings,
        credentials=lambda: credentials,
        connect=lambda _endpoint, _ca: Transport(tls=None),
    )
    store = OssStore(
        "bkt",
        region=server.region,
        endpoint=server.endpoint,
        credentials=credentials,
        timeout=5,
        retries=1,
    )

    def make(*entries: Entry) -> World:
        return World(
            nursery=nursery,
            directory=tmp_path,
            store=WatchedStore(store),
            keyring=Keyring([load(entry, kms=factory) for entry in entries]),
            part_size=MIB,
        )

    yield make
    await store.aclose()
    await factory.aclose()
