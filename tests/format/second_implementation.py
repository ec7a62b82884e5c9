"""The object format once more, written from docs/format.md alone, sharing no code with ossfs.

Standard library and pycryptodome; slow and plain. It exists to disagree with the first.
"""

import base64
import hashlib
import hmac
import struct

from Crypto.Cipher import AES
from Crypto.Util import Counter

MIB = 1024 * 1024


def hkdf(secret: bytes, salt: bytes, info: str, length: int) -> bytes:
    """RFC 5869 with SHA-256."""
    pseudorandom = hmac.new(salt, secret, hashlib.sha256).digest()
    output, block, number = b"", b"", 1
    while len(output) < length:
        block = hmac.new(
            pseudorandom, block + info.encode() + bytes([number]), hashlib.sha256
        ).digest()
        output += block
        number += 1
    return output[:length]


def derived_iv(data_key: bytes) -> bytes:
    iv = hkdf(data_key, bytes(32), "ossfs/1 iv", 16)
    return iv[:8] + b"\0\0\0\0" + iv[12:]


def encrypt(data_key: bytes, iv: bytes, plain: bytes) -> bytes:
    counter = Counter.new(128, initial_value=int.from_bytes(iv, "big"))
    return AES.new(data_key, AES.MODE_CTR, counter=counter).encrypt(plain)


def chunk_size(size: int) -> int:
    if size <= 32 * MIB:
        for chunk in (64 * 1024, 128 * 1024, 256 * 1024):
            if size <= 128 * chunk:
                return chunk
    return 64 * 1024


def gmac(key: bytes, number: int, stored: bytes) -> bytes:
    cipher = AES.new(key, AES.MODE_GCM, nonce=struct.pack(">IQ", 0, number), mac_len=16)
    cipher.update(stored)
    return cipher.digest()


class Sealed:
    """Everything that is stored for one file, computed from plaintext and data key."""

    def __init__(self, data_key: bytes, plain: bytes, st_mode: int) -> None:
        self.iv = derived_iv(data_key)
        self.stored = encrypt(data_key, self.iv, plain)
        self.chunk = chunk_size(len(plain))
        tag_key = hkdf(data_key, self.iv, "ossfs/1 tag", 32)
        tags = [
            gmac(tag_key, number, self.stored[start : start + self.chunk])
            for number, start in enumerate(range(0, len(self.stored), self.chunk))
        ]
        self.tags = b"".join(tags)
        self.pages = [
            hashlib.sha256(b"".join(tags[first : first + 4096])).digest()
            for first in range(0, len(tags), 4096)
        ]
        self.tagsum = hashlib.sha256(b"".join(self.pages)).digest()
        facts = struct.pack(">BBQI", 1, st_mode >> 12, len(plain), self.chunk)
        head_key = hkdf(data_key, self.iv, "ossfs/1 head", 32)
        self.head = hmac.new(head_key, facts + self.tagsum, hashlib.sha256).digest()
        self.sidecar_name = hkdf(data_key, self.iv, "ossfs/1 sidecar", 20).hex()
        self.size = len(plain)

    @property
    def sidecar_body(self) -> bytes:
        return b"".join(self.pages) + self.tags

    def headers(self, prefix: str) -> dict[str, str]:
        """The x-oss-meta- headers of authenticity, names without that prefix."""
        headers = {
            "ossfs-format": "1",
            "ossfs-chunk": str(self.chunk),
            "ossfs-tagsum": base64.b64encode(self.tagsum).decode(),
            "ossfs-head": base64.b64encode(self.head).decode(),
        }
        if self.size > 32 * MIB:
            headers["ossfs-sidecar"] = f"{prefix}.ossfs/tags/{self.sidecar_name}"
        elif self.size:
            headers["ossfs-tags"] = base64.b64encode(self.tags).decode()
        return headers
