"""What the contract writes, and how it looks at what it wrote."""

import random

from ossfs.store.base import ObjectStore, PutOptions
from ossfs.types import ObjectKey

PLAIN = PutOptions()
KIB = 1024
MIN_PART = 100 * KIB
ENVELOPE = {
    "client-side-encryption-key": "a2V5",
    "client-side-encryption-start": "c3RhcnQ=",
    "client-side-encryption-cek-alg": "AES/CTR/NoPadding",
    "client-side-encryption-wrap-alg": "RSA/NONE/PKCS1Padding",
}


def key(name: str) -> ObjectKey:
    return ObjectKey(name)


def some_bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def multipart_envelope(data_size: int, part_size: int) -> PutOptions:
    sizes = {
        "client-side-encryption-data-size": str(data_size),
        "client-side-encryption-part-size": str(part_size),
    }
    return PutOptions(metadata=ENVELOPE | sizes)


async def names_of(
    store: ObjectStore, prefix: str, *, delimiter: str = "", max_keys: int = 1000
) -> list[str]:
    """All pages of a listing, keys and common prefixes in one order."""
    names: list[str] = []
    token = None
    while True:
        page = await store.list_page(prefix, delimiter=delimiter, token=token, max_keys=max_keys)
        assert len(page.entries) + len(page.prefixes) <= max_keys
        names += sorted([entry.key for entry in page.entries] + list(page.prefixes))
        token = page.next_token
        if token is None:
            return names
