"""Clients for what no SDK reads or writes, from docs/format.md and with no code of ossfs.

They share the calls of an SDK: put, put_in_parts, get.
"""

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import oss2
from Crypto.Cipher import AES, PKCS1_OAEP
from Crypto.PublicKey import RSA
from Crypto.Util import Counter

from tests.fuse.sdks import PART, Sdk
from tests.modes import rfc3394
from tests.modes.place import AES_KEY, KmsCalls, Place, b64

META = "x-oss-meta-"
CURRENT = META + "client-side-encryption-"
OLD = META + "oss-crypto-"


def keystream(key: bytes, start: int, offset: int, data: bytes) -> bytes:
    """AES-CTR of *data* as it stands at *offset*."""
    blocks, within = divmod(offset, 16)
    counter = Counter.new(128, initial_value=(start + blocks) % (1 << 128))
    return AES.new(key, AES.MODE_CTR, counter=counter).encrypt(bytes(within) + data)[within:]


@dataclass(frozen=True, kw_only=True)
class Form:
    """How one form says what the data key and the first counter block are.

    headers: of an object with this key, counter, size, and part size if it has parts; keys: the
    other way round.
    """

    headers: Callable[[bytes, int, int, int | None], dict[str, str]]
    keys: Callable[[Any], tuple[bytes, int]]
    new_start: Callable[[], int]


def independent_client(place: Place, form: Form) -> Sdk:
    """A client that knows *form*."""
    plain = place.plain

    def encrypted(body: bytes, parts: int | None) -> tuple[bytes, dict[str, str]]:
        key, start = secrets.token_bytes(32), form.new_start()
        headers = form.headers(key, start, len(body), parts)
        return keystream(key, start, 0, body), headers

    def put(name: str, body: bytes) -> None:
        stored, headers = encrypted(body, None)
        plain.put_object(name, stored, headers=headers)

    def put_in_parts(name: str, body: bytes) -> None:
        stored, headers = encrypted(body, PART)
        upload = plain.init_multipart_upload(name, headers=headers).upload_id
        parts = []
        for number, begin in enumerate(range(0, len(stored), PART), 1):
            done = plain.upload_part(name, upload, number, stored[begin : begin + PART])
            parts.append(oss2.models.PartInfo(number, done.etag))
        plain.complete_multipart_upload(name, upload, parts)

    def get(name: str, first: int | None, last: int | None) -> bytes:
        wanted = None if first is None else (first, last)
        answer = plain.get_object(name, byte_range=wanted)
        key, start = form.keys(answer.headers)
        return keystream(key, start, first or 0, answer.read())

    return Sdk(name="independent client", padding="", put=put, get=get, put_in_parts=put_in_parts)


def symmetric(_place: Place) -> Form:
    """A symmetric master key in the current form."""

    def headers(key: bytes, start: int, size: int, part_size: int | None) -> dict[str, str]:
        found = {
            CURRENT + "key": b64(rfc3394.wrap(AES_KEY, key)),
            CURRENT + "start": b64(rfc3394.wrap(AES_KEY, start.to_bytes(16, "big"))),
            CURRENT + "cek-alg": "AES/CTR/NoPadding",
            CURRENT + "wrap-alg": "AES/KeyWrap/RFC3394",
        }
        if part_size is not None:
            found |= {CURRENT + "data-size": str(size), CURRENT + "part-size": str(part_size)}
        return found

    def keys(found: Any) -> tuple[bytes, int]:
        assert found[CURRENT + "wrap-alg"] == "AES/KeyWrap/RFC3394"
        wrapped = (base64.b64decode(found[CURRENT + name]) for name in ("key", "start"))
        key, start = (rfc3394.unwrap(AES_KEY, one) for one in wrapped)
        return key, int.from_bytes(start, "big")

    return Form(headers=headers, keys=keys, new_start=new_iv)


def new_iv() -> int:
    iv = secrets.token_bytes(8) + bytes(4) + secrets.token_bytes(4)
    return int.from_bytes(iv, "big")


def old_rsa(place: Place) -> Form:
    """What LocalRsaProvider of oss2 2.9.1 wrote."""
    cipher = PKCS1_OAEP.new(RSA.import_key(place.pair["private_key"]))

    def keys(found: Any) -> tuple[bytes, int]:
        key, start = (cipher.decrypt(base64.b64decode(found[OLD + n])) for n in ("key", "start"))
        return key, int(start)

    def headers(key: bytes, start: int, size: int, _: int | None) -> dict[str, str]:
        wrapped_key, wrapped_start = cipher.encrypt(key), cipher.encrypt(str(start).encode())
        return old_headers(b64(wrapped_key), b64(wrapped_start), "rsa", size)

    return Form(headers=headers, keys=keys, new_start=lambda: secrets.randbelow(10) + 1)


def old_kms(place: Place) -> Form:
    """What AliKMSProvider of oss2 2.9.1 wrote: the blobs as the KMS made them, of text."""
    kms = KmsCalls(place.kms_client())

    def keys(found: Any) -> tuple[bytes, int]:
        key, start = (kms.decrypt(found[OLD + name]) for name in ("key", "start"))
        return base64.b64decode(key), int(start)

    def headers(key: bytes, start: int, size: int, _: int | None) -> dict[str, str]:
        return old_headers(kms.encrypt(b64(key)), kms.encrypt(str(start)), "kms", size)

    return Form(headers=headers, keys=keys, new_start=lambda: secrets.randbelow(10) + 1)


def old_headers(key: str, start: str, wrap_alg: str, size: int) -> dict[str, str]:
    return {
        OLD + "key": key,
        OLD + "start": start,
        META + "oss-cek-alg": "AES/GCM/NoPadding",
        META + "oss-wrap-alg": wrap_alg,
        META + "unencrypted-content-length": str(size),
    }
