"""What all readers of one mount share: the bucket, the cache of chunks, the limits, the nursery."""

from collections.abc import Callable
from typing import final

import trio

from ossfs.cache import ExtentLru
from ossfs.store.base import ObjectStore
from ossfs.transfer.limits import TransferLimits
from ossfs.transfer.version import Identity

Spawn = Callable[..., object]
"""Starts an async function with its arguments in a nursery that outlives the readers."""

_CHUNK_OVERHEAD = 256
_FOREGROUND_REQUESTS = 4


@final
class ReadPool:
    """One per mount.

    spawn: as `nursery.start_soon`; what it starts ends by itself and raises nothing. cache_bytes:
    content kept in memory for all readers together. read_ahead: how far one stream is read ahead
    at most, in bytes. limits: of reading alone; writing has its own, so that uploads never delay a
    read.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        spawn: Spawn,
        limits: TransferLimits,
        cache_bytes: int = 128 << 20,
        read_ahead: int = 16 << 20,
    ) -> None:
        self.store = store
        self.spawn = spawn
        self.limits = limits
        # A window that fills the cache would push out what it has fetched before it is read.
        self.read_ahead = min(read_ahead, cache_bytes // 2)
        self.chunks: ExtentLru[Identity] = ExtentLru(cache_bytes, overhead=_CHUNK_OVERHEAD)
        # Some requests are left for reads that somebody waits for.
        self.background = trio.CapacityLimiter(max(1, limits.width - _FOREGROUND_REQUESTS))
