"""Names for the integers and strings that would otherwise be confused with one another."""

from typing import NewType

Ino = NewType("Ino", int)
"""Inode number as the kernel knows it; 1 is the root."""

HandleId = NewType("HandleId", int)
"""Number of one open file or directory."""

ObjectKey = NewType("ObjectKey", str)
"""Full name of an object in its bucket, prefix included, no leading slash."""

ETag = NewType("ETag", str)
"""Entity tag as OSS reports it, without the quotes."""

Buffer = bytes | bytearray | memoryview
"""Contiguous bytes that a callee reads and never keeps or changes."""
