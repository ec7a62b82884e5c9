"""Caches that hold what can be fetched again; they know nothing of files, objects or requests."""

from ossfs.cache.extents import Extent, ExtentLru
from ossfs.cache.lru import ByteLru

__all__ = ["ByteLru", "Extent", "ExtentLru"]
