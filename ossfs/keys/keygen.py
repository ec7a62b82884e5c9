"""Making a new RSA pair: `NAME.pem` (PKCS#8, mode 0600) and `NAME.pub.pem` (SPKI).

Existing files are never touched: an overwritten private key is data lost for good.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from ossfs.errors import KeyProblem
from ossfs.keys.rsa import LARGEST_BITS, SMALLEST_BITS

DEFAULT_BITS = 3072


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """Where the two halves stand."""

    private: Path
    public: Path


def generate(name: Path, *, bits: int = DEFAULT_BITS, passphrase: bytes | None = None) -> KeyPair:
    """Make a pair and store it, synced, under *name* (with or without `.pem`); takes up to seconds.

    Raises KeyProblem: bits out of range, a file exists already, it cannot be written.
    """
    if not SMALLEST_BITS <= bits <= LARGEST_BITS or bits % 8:
        raise KeyProblem(
            f"{bits} bits: {SMALLEST_BITS} to {LARGEST_BITS} in steps of 8 are possible"
        )
    stem = name.name.removesuffix(".pem")
    pair = KeyPair(private=name.with_name(f"{stem}.pem"), public=name.with_name(f"{stem}.pub.pem"))
    if pair.public.exists():
        raise _exists(pair.public)
    key = rsa.generate_private_key(65537, bits)
    encryption: KeySerializationEncryption = (
        BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _create(pair.private, private, 0o600)
    _create(pair.public, public, 0o644)
    return pair


def _create(path: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _sync_directory(path.parent)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise KeyProblem(f"{path} cannot be written: {error.strerror}") from error


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exists(path: Path) -> KeyProblem:
    return KeyProblem(f"{path} exists already; choose another name, a key is never overwritten")
