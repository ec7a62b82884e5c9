"""The vectors of format version 1: both implementations reproduce them.

A vector that has to change means another version of the format. What the second implementation
makes of the inputs is printed by `python -m tests.format.test_vectors`.
"""

import base64
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ossfs.crypto import tags as crypto_tags
from ossfs.crypto.body import BodyCipher
from ossfs.crypto.datakey import DataKey
from ossfs.crypto.tags import ChunkTagger, SidecarLayout
from ossfs.format import seal as seals
from ossfs.format.names import sidecar_key
from tests.format.second_implementation import Sealed

FILE = Path(__file__).parent.parent / "vectors" / "format-v1.json"
MIB = 1 << 20
LARGEST = 257 * MIB + 12_345

INPUTS = [
    ("empty", 0, 0o100644),
    ("one byte", 1, 0o100600),
    ("a symbolic link", 11, 0o120777),
    ("one byte below a chunk", 64 * 1024 - 1, 0o100644),
    ("a chunk", 64 * 1024, 0o100644),
    ("one byte above a chunk", 64 * 1024 + 1, 0o100644),
    ("the first size with chunks of 128 KiB", 8 * MIB + 1, 0o100644),
    ("the last size with tags in a header", 32 * MIB, 0o100644),
    ("the first size with a sidecar", 32 * MIB + 1, 0o100644),
    ("two pages of tags", LARGEST, 0o100644),
]


@functools.cache
def block() -> bytes:
    """Byte 32 i + j is byte j of SHA-256 of i as eight bytes, big-endian; 1 MiB."""
    return b"".join(hashlib.sha256(i.to_bytes(8, "big")).digest() for i in range(MIB // 32))


def plain_of(size: int) -> bytes:
    """The block repeated up to *size* bytes."""
    whole, rest = divmod(size, MIB)
    return b"".join([block()] * whole + [block()[:rest]])


def data_key(number: int) -> bytes:
    return hashlib.sha256(b"ossfs format 1 vector %d" % number).digest()


def described(number: int, name: str, size: int, mode: int) -> dict[str, Any]:
    """One vector, as the second implementation computes it."""
    sealed = Sealed(data_key(number), plain_of(size), mode)
    return {
        "name": name,
        "data_key_hex": data_key(number).hex(),
        "size": size,
        "st_mode_octal": f"{mode:o}",
        "iv_hex": sealed.iv.hex(),
        "stored_sha256": hashlib.sha256(sealed.stored).hexdigest(),
        "stored_first32_hex": sealed.stored[:32].hex(),
        "chunk": sealed.chunk,
        "tag_count": len(sealed.tags) // 16,
        "first_tag_hex": sealed.tags[:16].hex(),
        "last_tag_hex": sealed.tags[-16:].hex(),
        "tags_sha256": hashlib.sha256(sealed.tags).hexdigest(),
        "pages_hex": [page.hex() for page in sealed.pages],
        "tagsum_hex": sealed.tagsum.hex(),
        "head_hex": sealed.head.hex(),
        "sidecar_name": sealed.sidecar_name,
        "sidecar_sha256": hashlib.sha256(sealed.sidecar_body).hexdigest(),
    }


def vectors() -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads(FILE.read_text())["vectors"]
    return loaded


@pytest.mark.parametrize("number", range(len(INPUTS)), ids=[name for name, _, _ in INPUTS])
def test_the_second_implementation_reproduces_the_vector(number: int) -> None:
    assert described(number, *INPUTS[number]) == vectors()[number]


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: str(vector["name"]))
def test_the_first_implementation_reproduces_the_vector(vector: dict[str, Any]) -> None:
    key = DataKey(bytes.fromhex(vector["data_key_hex"]))
    iv, size = key.iv(), vector["size"]
    assert iv.hex() == vector["iv_hex"]
    assert key.sidecar_name(iv) == vector["sidecar_name"]

    stored = BodyCipher(key, iv).apply(0, plain_of(size))
    assert hashlib.sha256(stored).hexdigest() == vector["stored_sha256"]

    chunk = crypto_tags.chunk_size(size)
    tagger = ChunkTagger(key, iv)
    tags = b"".join(
        tagger.tag(index, memoryview(stored)[index * chunk : (index + 1) * chunk])
        for index in range(crypto_tags.chunk_count(size))
    )
    assert chunk == vector["chunk"]
    assert hashlib.sha256(tags).hexdigest() == vector["tags_sha256"]
    assert crypto_tags.page_hashes(tags).hex() == "".join(vector["pages_hex"])
    body = crypto_tags.sidecar_body(tags)
    assert len(body) == SidecarLayout(size=size).total_length
    assert hashlib.sha256(body).hexdigest() == vector["sidecar_sha256"]

    mode = int(vector["st_mode_octal"], 8)
    sidecar = sidecar_key("", vector["sidecar_name"])
    seal = seals.make(key, file_type=mode >> 12, size=size, tags=tags, sidecar=sidecar)
    assert seal.tagsum.hex() == vector["tagsum_hex"]
    assert seal.head.hex() == vector["head_hex"]


@pytest.mark.parametrize("number", range(len(INPUTS) - 1))
def test_the_headers_of_the_second_implementation_are_ours(number: int) -> None:
    _, size, mode = INPUTS[number]
    theirs = Sealed(data_key(number), plain_of(size), mode).headers("some/prefix/")
    seal = seals.parse(theirs, size)
    assert seal is not None
    assert seal.accepts(DataKey(data_key(number)), file_type=mode >> 12, size=size)
    assert seals.to_metadata(seal) == theirs


def test_the_vector_of_the_sdk_body_has_the_md5_that_the_sdks_note() -> None:
    plain = bytes((7 * i + 3) & 255 for i in range(300_007))
    digest = hashlib.md5(plain).digest()
    assert base64.b64encode(digest) == b"F8l4J5qT1M337toiMuCmRA=="


if __name__ == "__main__":
    made = [described(number, *inputs) for number, inputs in enumerate(INPUTS)]
    about = (
        "plain: byte 32 i + j is byte j of SHA-256(i as u64), i = 0..32767, repeated after 1 MiB;"
        " data key of vector n: SHA-256 of the ASCII text 'ossfs format 1 vector n'"
    )
    print(json.dumps({"about": about, "vectors": made}, indent=1))
