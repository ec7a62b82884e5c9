"""Real mounts of one embedded server, and what runs on them."""

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fuse.mounting import Mount, Place, new_place
from tests.fuse.oss import Bucket, Oss, running_oss
from tests.keys.fakes import private_pem, public_pem, rsa_key, write_private

MakeMount = Callable[..., Mount]

_SDK_WARNINGS = (
    "ignore::DeprecationWarning:oss2.*",
    "ignore::DeprecationWarning:alibabacloud_oss_v2.*",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/fuse/" in item.path.as_posix():
            for warning in _SDK_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="session")
def oss(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oss]:
    with running_oss(tmp_path_factory.mktemp("oss")) as running:
        yield running


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("mounts")
    key, public_key = folder / "key.pem", folder / "key.pub.pem"
    write_private(key, private_pem(rsa_key()))
    public_key.write_bytes(public_pem(rsa_key()))
    return new_place(folder, key, public_key)


@pytest.fixture
def bucket(oss: Oss) -> Bucket:
    return oss.new_bucket()


@pytest.fixture
def mount(place: Place, oss: Oss) -> Iterator[MakeMount]:
    """Makes mounts that are gone when the test ends, and so are the faults it ordered."""
    made: list[Mount] = []

    def make(bucket: Bucket, *options: str, **more: object) -> Mount:
        one = Mount(place, bucket, *options, **more)  # type: ignore[arg-type]  # passed on
        made.append(one)
        return one.start()

    yield make
    oss.service.clear_faults()
    for one in reversed(made):
        one.clean_up()


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A directory that every user reaches: those of pytest are for its own user alone."""
    with tempfile.TemporaryDirectory(prefix="ossfs-test-") as made:
        os.chmod(made, 0o755)
        yield Path(made)


@pytest.fixture(scope="session")
def shared(place: Place, oss: Oss) -> Iterator[Mount]:
    """One mount for all tests that harm nobody, each of which works in a directory of its own."""
    one = Mount(place, oss.new_bucket())
    try:
        yield one.start()
        one.end()
    finally:
        one.clean_up()


@pytest.fixture
def work(shared: Mount, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The directory of one test in the shared mount."""
    known = len(shared.log)
    made = (
        shared.path / re.sub(r"\W+", "-", f"{request.module.__name__}-{request.node.name}")[-150:]
    )
    made.mkdir()
    yield made
    print(shared.log[known:])  # shown if the test has failed
