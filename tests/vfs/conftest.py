"""One bucket and one mount for each test; time passes only while everything waits."""

import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from ossfs.store.memory import MemoryStore
from tests.keys.fakes import FakeKey, private_pem, rsa_key, write_private
from tests.vfs.world import Mount, Wall, World, load_key


@pytest.fixture(scope="session")
def rsa_master(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A master key as users have it."""
    path = tmp_path_factory.mktemp("keys") / "key.pem"
    return load_key(write_private(path, private_pem(rsa_key(0))))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sleeping takes no time in these tests."""
    here = Path(__file__).parent
    for item in items:
        if not isinstance(item, pytest.Function) or not item.path.is_relative_to(here):
            continue
        if inspect.iscoroutinefunction(item.obj):
            item.add_marker(pytest.mark.trio(run=run), append=False)


def run(main: Callable[[], Awaitable[Any]], **options: Any) -> Any:
    """trio.run by a clock that jumps to the next deadline."""
    return trio.run(main, **options | {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def world(tmp_path: Path, nursery: trio.Nursery) -> World:
    wall = Wall()
    store = MemoryStore(clock=wall.seconds)
    return World(store, nursery, tmp_path, FakeKey(), wall)


@pytest.fixture
async def rsa_world(tmp_path: Path, nursery: trio.Nursery, rsa_master: Any) -> World:
    """One whose files are encrypted under a real key."""
    wall = Wall()
    return World(MemoryStore(clock=wall.seconds), nursery, tmp_path, rsa_master, wall)


@pytest.fixture
async def mount(world: World) -> Mount:
    return world.mount()
