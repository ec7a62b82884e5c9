"""The data key of one content version and all that is derived from it.

    key = DataKey.generate()            # or DataKey(32 bytes)
    iv = key.iv()                       # the IV of our own objects
    key.tag_key(iv), key.head_key(iv)   # 32 bytes each
    key.sidecar_name(iv)                # 40 hex digits

The derivations are HKDF (RFC 5869) with SHA-256. The IV has no salt; the others are salted with the
IV in use, so that one data key under two IVs would not share tag keys.
"""

import hmac
import secrets
from typing import NoReturn, final

from ossfs.errors import IntegrityError

KEY_BYTES = 32
IV_BYTES = 16

FAILED = "the stored data failed its integrity check"
"""The one text of every failed cryptographic check, so that none can be told from another."""


@final
class DataKey:
    """32 secret bytes that encrypt exactly one byte string.

    It has no useful repr, cannot be pickled or copied, and compares by identity alone. `reveal`
    is the only way to the bytes.
    """

    __slots__ = ("_iv", "_raw")

    def __init__(self, raw: bytes) -> None:
        """Raises IntegrityError unless *raw* has 32 bytes: a wrong master key may have made it."""
        if len(raw) != KEY_BYTES:
            raise IntegrityError(FAILED)
        self._raw = bytes(raw)
        self._iv: bytes | None = None

    @classmethod
    def generate(cls) -> "DataKey":
        """A fresh key from the operating system's random source."""
        return cls(secrets.token_bytes(KEY_BYTES))

    def reveal(self) -> bytes:
        """The secret itself: for wrapping and for the ciphers of this package."""
        return self._raw

    def iv(self) -> bytes:
        """The IV of an object of ours; bytes 8..11 are zero, or the SDKs' counters disagree."""
        if self._iv is None:
            derived = self._derive(bytes(32), b"ossfs/1 iv", IV_BYTES)
            self._iv = derived[:8] + bytes(4) + derived[12:]
        return self._iv

    def tag_key(self, iv: bytes) -> bytes:
        """K_tag, 32 bytes."""
        return self._derive(iv, b"ossfs/1 tag", 32)

    def head_key(self, iv: bytes) -> bytes:
        """K_head, 32 bytes."""
        return self._derive(iv, b"ossfs/1 head", 32)

    def sidecar_name(self, iv: bytes) -> str:
        """Last component of the sidecar's key: 40 lower-case hex digits."""
        return self._derive(iv, b"ossfs/1 sidecar", 20).hex()

    def _derive(self, salt: bytes, info: bytes, length: int) -> bytes:
        """HKDF of at most 32 bytes, which are one block: extract, then expand once."""
        secret = hmac.digest(salt, self._raw, "sha256")
        return hmac.digest(secret, info + b"\x01", "sha256")[:length]

    def __repr__(self) -> str:
        return "<DataKey>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a data key is neither pickled nor copied")


def is_usable_iv(iv: bytes) -> bool:
    """Whether *iv* has the form that every SDK writes: 16 bytes, 8..11 zero."""
    return len(iv) == IV_BYTES and iv[8:12] == bytes(4)
