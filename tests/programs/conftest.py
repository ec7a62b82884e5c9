"""The mounts of the neighbouring tests, for programs that know nothing of them."""

from tests.fuse.conftest import bucket, mount, oss, place, shared, work

__all__ = ["bucket", "mount", "oss", "place", "shared", "work"]
