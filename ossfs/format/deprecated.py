"""The envelope of oss2 2.9 and older: other headers, a counter in place of an IV, no authenticity.

    envelope = parse(metadata)                    # None: not of this form
    headers = to_metadata(envelope, plain_size=n)
    secret, text = pack_key(alg, raw), pack_start(8)      # what a master key wraps
    raw, iv = unpack_key(alg, secret), unpack_start(text)

The headers say AES/GCM/NoPadding over what is AES-256-CTR; the 128-bit counter begins with a number
from 1 to 10, which is wrapped as its decimal digits. A KMS carries text, not bytes: with the
wrap-alg `kms` a master key wraps the base64 of the data key, and the digits as they are.
"""

import re
from collections.abc import Mapping

from ossfs.crypto.datakey import FAILED, IV_BYTES
from ossfs.errors import IntegrityError, Unsupported
from ossfs.format.envelope import DEPRECATED_ALGS, DEPRECATED_KMS, LARGEST, Envelope
from ossfs.format.fields import parse_base64, parse_decimal, parse_map, print_base64

CEK_ALG = "AES/GCM/NoPadding"
LAST_START = 10

_KEY = "oss-crypto-key"
_START = "oss-crypto-start"
_CEK_ALG = "oss-cek-alg"
_WRAP_ALG = "oss-wrap-alg"
_LENGTH = "unencrypted-content-length"
# The page of that time names the first, oss2 reads the second; no version wrote either.
_MATDESCS = ("oss-matdesc", "oss-crypto-matdesc")
HEADERS = frozenset({_KEY, _START, _CEK_ALG, _WRAP_ALG, _LENGTH, *_MATDESCS})
"""Every header that `parse` looks at."""

_START_TEXT = re.compile(rb"[1-9]|10")


def parse(metadata: Mapping[str, str]) -> Envelope | None:
    """The deprecated envelope in the headers of an object, None if there is none.

    Raises IntegrityError if it is malformed or incomplete, Unsupported for another cipher or
    another way of wrapping than were ever written.
    """
    if not any(name in metadata for name in (_KEY, _START, _CEK_ALG, _WRAP_ALG)):
        return None
    try:
        envelope = _parse(metadata)
    except (KeyError, ValueError):
        raise IntegrityError("the envelope of the object is malformed") from None
    if envelope.cek_alg != CEK_ALG or envelope.wrap_alg not in DEPRECATED_ALGS:
        raise Unsupported("the object is not encrypted as oss2 2.9 and older did")
    return envelope


def _parse(metadata: Mapping[str, str]) -> Envelope:
    description = next((metadata[name] for name in _MATDESCS if metadata.get(name)), "{}")
    length = metadata.get(_LENGTH)
    envelope = Envelope(
        wrapped_key=parse_base64(metadata[_KEY]),
        wrapped_start=parse_base64(metadata[_START]),
        cek_alg=metadata[_CEK_ALG],
        wrap_alg=metadata[_WRAP_ALG],
        matdesc=parse_map(description),
        unencrypted_content_length=None if length is None else parse_decimal(length, LARGEST),
        deprecated=True,
    )
    if not (envelope.wrapped_key and envelope.wrapped_start):
        raise ValueError("empty field")
    return envelope


def to_metadata(envelope: Envelope, *, plain_size: int) -> dict[str, str]:
    """The headers of *envelope* on an object of *plain_size* bytes, however it is uploaded.

    The form knows no sizes of parts, and a description would keep oss2 from reading the object.
    """
    return {
        _KEY: print_base64(envelope.wrapped_key),
        _START: print_base64(envelope.wrapped_start),
        _CEK_ALG: envelope.cek_alg,
        _WRAP_ALG: envelope.wrap_alg,
        _LENGTH: str(plain_size),
    }


def pack_key(wrap_alg: str, raw: bytes) -> bytes:
    """What a master key wraps for the data key *raw*."""
    return print_base64(raw).encode() if wrap_alg == DEPRECATED_KMS else raw


def pack_start(start: int) -> bytes:
    """What a master key wraps for the counter *start*."""
    return str(start).encode()


def unpack_key(wrap_alg: str, secret: bytes) -> bytes:
    """The data key in what a master key unwrapped. Raises IntegrityError."""
    if wrap_alg != DEPRECATED_KMS:
        return secret
    try:
        return parse_base64(secret.decode("ascii"))
    except ValueError:
        raise IntegrityError(FAILED) from None


def unpack_start(secret: bytes) -> bytes:
    """The first counter block, in place of an IV. Raises IntegrityError unless it is 1 to 10."""
    if not _START_TEXT.fullmatch(secret):
        raise IntegrityError(FAILED)
    return int(secret).to_bytes(IV_BYTES, "big")
