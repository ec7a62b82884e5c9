"""One embedded server for a module; each test has a bucket of its own."""

import itertools
from collections.abc import Iterator

import pytest
from trio.testing import MockClock

from ossfs.devserver import Credential, RunningServer, ServerConfig
from ossfs.store.credentials import EnvironmentCredentials

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
