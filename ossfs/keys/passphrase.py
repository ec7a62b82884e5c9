"""Reading the passphrase of a private key from a file."""

from pathlib import Path

from ossfs.errors import KeyProblem
from ossfs.keys import private_file


def read_passphrase(path: Path) -> bytes:
    """The first line of a file that its owner alone may read.

    Raises KeyProblem if it cannot be read, is open to others or is empty.
    """
    try:
        file = private_file.read(path)
    except OSError as error:
        raise KeyProblem(f"{path}: cannot read the passphrase: {error.strerror}") from error
    file.require_private()
    lines = file.content.splitlines()
    if not lines or not lines[0]:
        raise KeyProblem(f"{path}: the passphrase file is empty; its first line is the passphrase")
    return lines[0]
