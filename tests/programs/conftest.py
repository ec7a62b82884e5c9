"""The mounts of the neighbouring tests, for programs that know nothing of them."""

from tests.fuse.conftest import bucket, mount, open_to_all, oss, place, shared, work

__all__ = ["bucket", "mount", "open_to_all", "oss", "place", "shared", "work"]
