"""Reading the encryption context of a KMS key from a file."""

from collections.abc import Mapping
from pathlib import Path

from ossfs.config import values
from ossfs.errors import KeyProblem
from ossfs.keys import private_file


def read_context(path: Path) -> Mapping[str, str]:
    """The JSON object in a file that its owner alone may read, since some put a passphrase there.

    Raises KeyProblem.
    """
    try:
        file = private_file.read(path)
    except OSError as error:
        raise KeyProblem(f"{path}: cannot read the context: {error.strerror}") from error
    file.require_private()
    try:
        return values.context(file.content.decode())
    except UnicodeDecodeError:
        # Without `from`: the decoder's text would quote what it read.
        raise KeyProblem(f"{path}: the context is not UTF-8") from None
    except ValueError as error:
        raise KeyProblem(f"{path}: {error}") from None
