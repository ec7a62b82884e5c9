"""RSA master keys in PEM files.

    key = load(Path("mykey.pem"), passphrase=b"…", padding="pkcs1")

A private key unwraps and wraps, a public key wraps alone. Either padding is understood when
unwrapping; `padding` says which one wraps: "pkcs1" is what most SDKs read, "oaep-sha1" is what the
LocalRsaProvider of oss2 reads. "deprecated" is the same OAEP under the name that the deprecated
form of envelope has for it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn, final

import trio
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import (
    MGF1,
    OAEP,
    AsymmetricPadding,
    PKCS1v15,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from ossfs.errors import KeyProblem, KeyUnavailable
from ossfs.format.envelope import DEPRECATED_RSA, RSA_OAEP_SHA1, RSA_PKCS1
from ossfs.keys import private_file
from ossfs.keys.base import WrongKey

SMALLEST_BITS = 2048
LARGEST_BITS = 4096

# The format fixes SHA-1 here; its weakness against collisions does not touch OAEP.
_OAEP = OAEP(mgf=MGF1(SHA1()), algorithm=SHA1(), label=None)  # noqa: S303
_PADDINGS: dict[str, AsymmetricPadding] = {
    RSA_PKCS1: PKCS1v15(),
    RSA_OAEP_SHA1: _OAEP,
    DEPRECATED_RSA: _OAEP,
}
_WRAP_ALGS = {"pkcs1": RSA_PKCS1, "oaep-sha1": RSA_OAEP_SHA1, "deprecated": DEPRECATED_RSA}

_PRIVATE = b" PRIVATE KEY-----"
"""In the first line of every form of a private key."""

_THREADS = trio.CapacityLimiter(os.cpu_count() or 1)


@final
class RsaMasterKey:
    """One RSA key, whole or its public part alone; implements `MasterKey`."""

    def __init__(
        self,
        key: RSAPrivateKey | RSAPublicKey,
        *,
        name: str,
        padding: str = "pkcs1",
        matdesc: Mapping[str, str] | None = None,
    ) -> None:
        """padding: "pkcs1", "oaep-sha1" or "deprecated"."""
        self._private = key if isinstance(key, RSAPrivateKey) else None
        self._public = key.public_key() if isinstance(key, RSAPrivateKey) else key
        self._name = name
        self._wrap_alg = _WRAP_ALGS[padding]
        self._matdesc = dict(matdesc or {})

    @property
    def name(self) -> str:
        """The name of the file, or what the keyring calls it."""
        return self._name

    @property
    def wrap_alg(self) -> str:
        """Decided by the padding."""
        return self._wrap_alg

    @property
    def unwrap_algs(self) -> frozenset[str]:
        """Both paddings, under all their names."""
        return frozenset(_PADDINGS)

    @property
    def matdesc(self) -> Mapping[str, str]:
        """The description stored with each object."""
        return self._matdesc

    @property
    def can_unwrap(self) -> bool:
        """Whether the private part is here."""
        return self._private is not None

    @property
    def wrapped_limit(self) -> int:
        """RSA makes as many bytes as the modulus has."""
        return (self._public.key_size + 7) // 8

    async def wrap(self, secret: bytes) -> bytes:
        """Encrypted with the public part: under 0.1 ms, so without a thread."""
        await trio.lowlevel.checkpoint()
        return self._public.encrypt(secret, _PADDINGS[self._wrap_alg])

    async def unwrap(self, wrapped: bytes, wrap_alg: str) -> bytes:
        """Decrypted in a thread (0.7 to 4.5 ms). Raises WrongKey, KeyUnavailable.

        OpenSSL answers bad PKCS#1 v1.5 padding with random bytes of random length rather than an
        error (implicit rejection), so the result proves nothing by itself.
        """
        private = self._private
        if private is None:
            raise KeyUnavailable(f"{self._name} is a public key, which cannot decrypt")
        padding = _PADDINGS[wrap_alg]

        def decrypt() -> bytes:
            try:
                return private.decrypt(wrapped, padding)
            except ValueError:
                raise WrongKey from None

        return await trio.to_thread.run_sync(decrypt, limiter=_THREADS)

    def __repr__(self) -> str:
        return f"<RsaMasterKey {self._name}>"


def load(
    path: Path,
    *,
    passphrase: bytes | None = None,
    padding: str = "pkcs1",
    name: str | None = None,
    matdesc: Mapping[str, str] | None = None,
) -> RsaMasterKey:
    """The key in a PEM file: PKCS#1 or PKCS#8 (private), PKCS#1 or SPKI (public).

    A private key, encrypted or not, must be its owner's alone; a public key is for everyone.
    *passphrase* is used only where the file needs one. Raises KeyProblem with one line that says
    what is wrong and what to do.
    """
    key = _parse(path, _read(path), passphrase)
    if not isinstance(key, RSAPrivateKey | RSAPublicKey):
        _refuse(path, "is not an RSA key; make one with `ossfs keygen`")
    if not SMALLEST_BITS <= key.key_size <= LARGEST_BITS:
        _refuse(
            path,
            f"has {key.key_size} bits; {SMALLEST_BITS} to {LARGEST_BITS} are accepted,"
            " `ossfs keygen` makes 3072",
        )
    return RsaMasterKey(key, name=name or path.name, padding=padding, matdesc=matdesc)


def _read(path: Path) -> bytes:
    try:
        file = private_file.read(path)
    except FileNotFoundError:
        _refuse(path, "does not exist; `ossfs keygen` makes a key")
    except OSError as error:
        _refuse(path, f"cannot be read: {error.strerror}; check the path and its permissions")
    if _PRIVATE in file.content:
        file.require_private()
    return file.content


def _parse(path: Path, pem: bytes, passphrase: bytes | None) -> object:
    if b"-----BEGIN CERTIFICATE-----" in pem:
        _refuse(path, "is a certificate; `openssl x509 -pubkey -noout` extracts its public key")
    if b"-----BEGIN OPENSSH PRIVATE KEY-----" in pem:
        _refuse(path, "is an OpenSSH key; `ssh-keygen -p -m PEM` converts a copy of it")
    if _PRIVATE not in pem:
        return _parse_public(path, pem)
    if b"ENCRYPTED" not in pem:
        return _parse_private(path, pem, None)
    if passphrase is None:
        _refuse(
            path,
            "is protected by a passphrase; name its file with --key-passphrase-file,"
            " in a keyring with passphrase-file",
        )
    return _parse_private(path, pem, passphrase)


def _parse_private(path: Path, pem: bytes, passphrase: bytes | None) -> object:
    try:
        return load_pem_private_key(pem, passphrase)
    except UnsupportedAlgorithm:
        _refuse(path, "is of a kind that is not supported; make an RSA key with `ossfs keygen`")
    except (ValueError, TypeError):
        # Without `from`: the parser's text may quote what it read.
        if passphrase is None:
            _refuse(path, "is a damaged private key; use a good copy of it")
        _refuse(
            path,
            "does not open with this passphrase; check the file that holds it",
        )


def _parse_public(path: Path, pem: bytes) -> object:
    if b" PUBLIC KEY-----" not in pem:
        _refuse(path, "is not a PEM file with an RSA key; it would begin with -----BEGIN")
    try:
        return load_pem_public_key(pem)
    except UnsupportedAlgorithm:
        _refuse(path, "is of a kind that is not supported; make an RSA key with `ossfs keygen`")
    except ValueError:
        _refuse(path, "is a damaged public key; use a good copy of it")


def _refuse(path: Path, reason: str) -> NoReturn:
    raise KeyProblem(f"{path} {reason}") from None
