"""The only way in which these tests wait."""

import time
from collections.abc import Callable

PATIENCE = 30.0


def wait_until(condition: Callable[[], object], *, seconds: float = PATIENCE) -> None:
    """Return once *condition* holds; the test fails if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        # Other processes are waited for, which offer nothing to wait on.
        time.sleep(0.01)
