"""Encryption at rest: what the KMS keeps is sealed under a root key in a file of its own."""

import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ossfs.devserver import keyfiles

_KEY_BYTES = 32
_NONCE_BYTES = 12


class Vault:
    """Seals byte strings with AES-256-GCM; *purpose* is bound in, so that none stands for another.

    The root key is made at the first use, in a file of mode 0600. Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            keyfiles.write(path, secrets.token_bytes(_KEY_BYTES))
        root_key = path.read_bytes()
        if len(root_key) != _KEY_BYTES:
            raise OSError(f"{path} is no root key")
        self._cipher = AESGCM(root_key)

    def seal(self, plaintext: bytes, purpose: str) -> bytes:
        """Nonce, ciphertext and tag."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plaintext, purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes | None:
        """The opposite of seal, None for what this vault has not sealed for *purpose*."""
        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, ciphertext, purpose.encode())
        except (InvalidTag, ValueError):
            return None
