"""One world per test."""

from pathlib import Path

import pytest
import trio

from tests.transfer.world import World


@pytest.fixture
async def world(nursery: trio.Nursery, tmp_path: Path) -> World:
    return World(nursery=nursery, directory=tmp_path)
