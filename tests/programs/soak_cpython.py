"""All of Python's own tests of files on a mount, as this user and as one who is not root.

Collected only where it is named: `scripts/soak` does.
"""

import os
from pathlib import Path

import pytest

from tests.fuse.conftest import MakeMount
from tests.fuse.oss import Bucket
from tests.programs.cpython import MODULES, User, run_module

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(1000)]

ORDINARY = 65534
USERS = [None, ORDINARY] if os.geteuid() == 0 else [None]


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("module", MODULES)
def test_a_module_passes(
    module: str, user: int | None, open_to_all: Path, bucket: Bucket, mount: MakeMount
) -> None:
    mount_point = open_to_all / "mnt"
    mount_point.mkdir()
    mount(bucket, "--allow-other", path=mount_point)
    top = mount_point / "work"
    top.mkdir()
    if user is not None:
        os.chown(top, user, user)
    who = None if user is None else User(number=user)
    outcome = run_module(module, top, user=who, seconds=900)
    assert outcome.status == 0, outcome.output[-20_000:]
    assert not outcome.failed
    assert outcome.count > 0, outcome.output
