"""Reading the passphrase of a private key from a file."""

from pathlib import Path

from ossfs.errors import KeyProblem


def read_passphrase(path: Path) -> bytes:
    """The first line of the file. Raises KeyProblem if it cannot be read or is empty."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise KeyProblem(f"{path}: cannot read the passphrase: {error.strerror}") from error
    if not lines or not lines[0]:
        raise KeyProblem(f"{path}: the passphrase file is empty; its first line is the passphrase")
    return lines[0]
