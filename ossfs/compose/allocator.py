"""How the C library keeps the memory that buffers of some MiB were freed from.

By default it gives such memory back to the kernel at once and gets it again, page by page and
zeroed, for the next buffer, which costs more than encrypting as much.
"""

import ctypes
import logging

log = logging.getLogger(__name__)

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
"""From malloc.h of glibc."""

LARGEST_KEPT = 32 << 20
"""Buffers up to this come from memory that is kept; the largest value that glibc takes."""

KEPT_FREE = 64 << 20
"""Bytes that may stay with the process while nothing uses them."""


def keep_freed_memory() -> None:
    """Let buffers take the place of those before them, whichever thread freed these.

    Does nothing where the C library is another one than glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    settings = {M_MMAP_THRESHOLD: LARGEST_KEPT, M_TRIM_THRESHOLD: KEPT_FREE, M_ARENA_MAX: 1}
    for name, value in settings.items():
        if not mallopt(name, value):
            log.debug("the C library refuses the setting %d", name)
