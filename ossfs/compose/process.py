"""A process that asks OSS: its event loop, and what it does to itself while it holds keys."""

import ctypes
import logging
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

T = TypeVar("T")

log = logging.getLogger(__name__)

PR_SET_DUMPABLE = 4
"""From linux/prctl.h."""


def forbid_dumps() -> None:
    """Let a crash write no core of this process: keys and contents stand in its memory.

    By prctl(2), since a limit of size 0 does not bind the kernel where a program takes the core.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0):
        log.warning("core dumps cannot be forbidden: %s", os.strerror(ctypes.get_errno()))


def run_loop(function: Callable[..., Awaitable[T]], *args: object) -> T:
    """`trio.run`, out of which Ctrl-C comes alone and not in a group with what it ended."""
    try:
        return trio.run(function, *args)
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
