"""What every test can rely on."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _fresh_log() -> Iterator[None]:
    """Commands configure the log of the process; the next test must find it as it was."""
    log = logging.getLogger("ossfs")
    before = log.handlers[:], log.level, log.propagate
    yield
    for handler in log.handlers:
        if handler not in before[0]:
            handler.close()
    log.handlers[:], log.propagate = before[0], before[2]
    log.setLevel(before[1])
