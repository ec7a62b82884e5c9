"""Symmetric master keys: 32 bytes in a file, which wrap by AES Key Wrap (RFC 3394).

    key = load(Path("archive.key"))          # 32 raw bytes, or 64 hex digits

No official SDK knows this way of wrapping; docs/format.md says all that a reader needs.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn, final

import trio
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from ossfs.errors import KeyProblem
from ossfs.format.envelope import AES_KEY_WRAP
from ossfs.keys import private_file
from ossfs.keys.base import WrongKey

KEY_BYTES = 32

_HEX = re.compile(rb"[0-9a-fA-F]{64}\r?\n?")
_LONGEST_FILE = 66
_LARGEST_WRAPPED = KEY_BYTES + 8


@final
class SymmetricMasterKey:
    """One AES-256 key; implements `MasterKey`."""

    def __init__(self, raw: bytes, *, name: str, matdesc: Mapping[str, str] | None = None) -> None:
        """raw: 32 bytes."""
        if len(raw) != KEY_BYTES:
            raise ValueError("a symmetric master key has 32 bytes")
        self._raw = bytes(raw)
        self._name = name
        self._matdesc = dict(matdesc or {})

    @property
    def name(self) -> str:
        """The name of the file, or what the keyring calls it."""
        return self._name

    @property
    def wrap_alg(self) -> str:
        """AES/KeyWrap/RFC3394."""
        return AES_KEY_WRAP

    @property
    def unwrap_algs(self) -> frozenset[str]:
        """The same alone."""
        return frozenset({AES_KEY_WRAP})

    @property
    def matdesc(self) -> Mapping[str, str]:
        """The description stored with each object."""
        return self._matdesc

    @property
    def can_unwrap(self) -> bool:
        """Always: the key that wraps unwraps."""
        return True

    @property
    def wrapped_limit(self) -> int:
        """8 bytes more than the secret."""
        return _LARGEST_WRAPPED

    async def wrap(self, secret: bytes) -> bytes:
        """Wrapped within microseconds; *secret* has 16 or more bytes, a multiple of 8."""
        await trio.lowlevel.checkpoint()
        return aes_key_wrap(self._raw, secret)

    async def unwrap(self, wrapped: bytes, wrap_alg: str) -> bytes:  # noqa: ARG002
        """Unwrapped and checked: what comes out was wrapped by this key. Raises WrongKey."""
        await trio.lowlevel.checkpoint()
        try:
            return aes_key_unwrap(self._raw, wrapped)
        except (InvalidUnwrap, ValueError):
            raise WrongKey from None

    def __repr__(self) -> str:
        return f"<SymmetricMasterKey {self._name}>"


def load(
    path: Path, *, name: str | None = None, matdesc: Mapping[str, str] | None = None
) -> SymmetricMasterKey:
    """The key in a file that its owner alone may read: 32 raw bytes, or 64 hex digits in a line.

    Raises KeyProblem with one line that says what is wrong and what to do.
    """
    content = _read(path)
    if _HEX.fullmatch(content):
        content = bytes.fromhex(content.decode("ascii").strip())
    if len(content) != KEY_BYTES:
        _refuse(
            path,
            "holds neither 32 bytes nor 64 hex digits; `openssl rand -hex 32` makes such a key",
        )
    return SymmetricMasterKey(content, name=name or path.name, matdesc=matdesc)


def _read(path: Path) -> bytes:
    try:
        file = private_file.read(path, limit=_LONGEST_FILE + 1)
    except FileNotFoundError:
        _refuse(path, "does not exist; `openssl rand -hex 32` makes a symmetric key")
    except OSError as error:
        _refuse(path, f"cannot be read: {error.strerror}; check the path and its permissions")
    file.require_private()
    return file.content


def _refuse(path: Path, reason: str) -> NoReturn:
    raise KeyProblem(f"{path} {reason}") from None
