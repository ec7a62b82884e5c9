"""What a process that holds keys does to itself."""

import ctypes
import logging
import os

log = logging.getLogger(__name__)

PR_SET_DUMPABLE = 4
"""From linux/prctl.h."""


def forbid_dumps() -> None:
    """Let a crash write no core of this process: keys and contents stand in its memory.

    By prctl(2), since a limit of size 0 does not bind the kernel where a program takes the core.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0):
        log.warning("core dumps cannot be forbidden: %s", os.strerror(ctypes.get_errno()))
