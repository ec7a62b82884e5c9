"""What a master key is to the keyring: an RSA pair, a symmetric key, a key in a KMS."""

from collections.abc import Mapping
from typing import Protocol

from ossfs.crypto.datakey import FAILED
from ossfs.errors import IntegrityError


class WrongKey(IntegrityError):
    """Another key wrapped these bytes, or they are damaged: the two are never told apart."""

    def __init__(self) -> None:
        super().__init__(FAILED)


class MasterKey(Protocol):
    """One key that wraps small secrets (data keys, IVs); serves many tasks at once.

    With the wrap-alg `kms` of the deprecated form a secret is text, as the KMS carries it in
    `Plaintext` (see `ossfs.format.deprecated`); with every other it is bytes. A key whose own
    wrap-alg is one of the deprecated form makes the mount write that form.
    """

    @property
    def name(self) -> str:
        """What the user calls it; shown in messages and as the xattr `user.ossfs.master-key`."""

    @property
    def wrap_alg(self) -> str:
        """The wrap-alg of what `wrap` makes."""

    @property
    def unwrap_algs(self) -> frozenset[str]:
        """Every wrap-alg that `unwrap` understands."""

    @property
    def matdesc(self) -> Mapping[str, str]:
        """The description stored with each object that it wraps for; empty for none."""

    @property
    def can_unwrap(self) -> bool:
        """False for a public key alone."""

    @property
    def wrapped_limit(self) -> int:
        """The most bytes that `wrap` makes of a secret of 32; for the metadata budget."""

    async def wrap(self, secret: bytes) -> bytes:
        """*secret* wrapped. Raises an OssfsError where a remote key cannot be used."""

    async def unwrap(self, wrapped: bytes, wrap_alg: str) -> bytes:
        """What was wrapped, or, with RSA/NONE/PKCS1Padding and a wrong key, sometimes junk.

        The caller must check the result. Raises WrongKey, and KeyUnavailable where public facts (no
        private part, the KMS's answer) say that this key cannot do it.
        """
