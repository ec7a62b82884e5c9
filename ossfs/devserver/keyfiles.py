"""Files that hold secrets: whole or not there at all, and their owner's alone."""

import os
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Replaces *path* by a file of mode 0600.

    A kill leaves no part of a key, under which nothing could be opened later. Raises OSError.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    unfinished.replace(path)
