"""What the file system asks of whoever caches on its behalf, and the options of its behaviour."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ossfs.types import Ino

Spawn = Callable[..., Any]
"""Starts an async function with its arguments in the long-lived nursery of the mount."""


class KernelCache(Protocol):
    """The kernel as far as it must be told of changes; the FUSE adapter implements it."""

    def invalidate_attributes(self, ino: Ino) -> None:
        """Drop the cached attributes of *ino*; must not block and must not raise."""


class NoKernel:
    """Nobody caches: for use without a mount."""

    def invalidate_attributes(self, ino: Ino) -> None:
        """Nothing to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """The options of a mount that change what its operations do.

    Times in seconds, sizes in bytes.
    """

    attr_ttl: float = 5.0
    negative_ttl: float = 5.0
    check_at_open: bool = True
    read_only: bool = False
    show_uid: int | None = None
    show_gid: int | None = None
    show_umask: int | None = None
    list_status: bool = True
    list_names_only: bool = False
    """Listings ask for no attributes."""
    reupload_max: int = 1 << 30
    parallel: int = 64
    kernel_writeback: bool = False
    """The kernel gathers writes and keeps its own size and times of the files that it knows."""
    gather_attributes: float = 1.0
    conflict: Literal["keep-both", "last-wins", "fail"] = "keep-both"
