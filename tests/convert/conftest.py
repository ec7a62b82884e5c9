"""One world of conversions per test."""

from pathlib import Path

import pytest
import trio

from tests.convert.world import Conversions
from tests.transfer.world import World


@pytest.fixture
async def conversions(nursery: trio.Nursery, tmp_path: Path) -> Conversions:
    return Conversions(world=World(nursery=nursery, directory=tmp_path))
