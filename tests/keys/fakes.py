"""Master keys that do no cryptography, and RSA pairs made once."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import trio
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from ossfs.errors import OssfsError
from ossfs.keys.base import WrongKey


@dataclass(kw_only=True)
class FakeKey:
    """Wraps by putting its mark before the secret; counts its unwraps, and can be slow or fail."""

    name: str = "fake"
    wrap_alg: str = "FAKE"
    unwrap_algs: frozenset[str] = frozenset({"FAKE"})
    matdesc: Mapping[str, str] = field(default_factory=dict)
    can_unwrap: bool = True
    wrapped_limit: int = 64
    seconds: float = 0.0
    failure: OssfsError | None = None
    unwraps: int = 0

    async def wrap(self, secret: bytes) -> bytes:
        return self.name.encode() + b":" + secret

    async def unwrap(self, wrapped: bytes, wrap_alg: str) -> bytes:
        assert self.can_unwrap
        assert wrap_alg in self.unwrap_algs
        self.unwraps += 1
        await trio.sleep(self.seconds)
        if self.failure is not None:
            raise self.failure
        mark = self.name.encode() + b":"
        if not wrapped.startswith(mark):
            raise WrongKey
        return wrapped.removeprefix(mark)


@functools.cache
def rsa_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key pair, the same at every call with the same arguments."""
    return rsa.generate_private_key(65537, bits)


def write_private(path: Path, content: bytes | str) -> Path:
    """Write a file of mode 0600, as those that hold secrets have to be."""
    path.touch(0o600)
    path.chmod(0o600)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def private_pem(
    key: rsa.RSAPrivateKey, *, pkcs1: bool = False, passphrase: bytes | None = None
) -> bytes:
    encryption: KeySerializationEncryption = (
        BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    )
    form = PrivateFormat.TraditionalOpenSSL if pkcs1 else PrivateFormat.PKCS8
    return key.private_bytes(Encoding.PEM, form, encryption)


def public_pem(key: rsa.RSAPrivateKey, *, pkcs1: bool = False) -> bytes:
    form = PublicFormat.PKCS1 if pkcs1 else PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(Encoding.PEM, form)
