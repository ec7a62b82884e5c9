"""A running server and both official SDKs as its clients."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ossfs.devserver import RunningServer
from tests.devserver.clients import Clients, settings

_SDK_WARNINGS = (
    "ignore::DeprecationWarning:oss2.*",
    "ignore::DeprecationWarning:alibabacloud_oss_v2.*",
    "ignore::DeprecationWarning:aliyunsdkcore.*",
    "ignore::SyntaxWarning:aliyunsdkcore.*",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/devserver/" in item.path.as_posix():
            for warning in _SDK_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    """One server for a whole module; its tests use keys of their own."""
    with RunningServer(settings(tmp_path_factory.mktemp("oss")), buckets=["bkt"]) as server:
        yield Clients(server)


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[Clients]:
    """A server for one test."""
    with RunningServer(settings(tmp_path / "oss"), buckets=["bkt"]) as server:
        yield Clients(server)
