"""The envelope: wrapped data key and wrapped IV of an object, in the headers of the official SDKs.

    envelope = parse(metadata)                        # None: not encrypted on a client
    headers = to_metadata(envelope, plain_size=n)     # part_size=… for a multipart upload

Wrapped values are the raw bytes that the base64 of a header holds (with KMS and the coding "double"
these bytes are base64 text again; that is the KMS key's business).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ossfs.errors import IntegrityError, Unsupported
from ossfs.format.fields import parse_base64, parse_decimal, parse_map, print_base64, print_map

CEK_ALG = "AES/CTR/NoPadding"
RSA_PKCS1 = "RSA/NONE/PKCS1Padding"
RSA_OAEP_SHA1 = "RSA/NONE/OAEPWithSHA-1AndMGF1Padding"
KMS = "KMS/ALICLOUD"
AES_KEY_WRAP = "AES/KeyWrap/RFC3394"
DEPRECATED_RSA = "rsa"
DEPRECATED_KMS = "kms"
DEPRECATED_ALGS = frozenset({DEPRECATED_RSA, DEPRECATED_KMS})
"""Names of the deprecated form alone (see `deprecated`)."""

PREFIX = "client-side-encryption-"
_KEY = PREFIX + "key"
_START = PREFIX + "start"
_CEK_ALG = PREFIX + "cek-alg"
_WRAP_ALG = PREFIX + "wrap-alg"
_MATDESC = PREFIX + "matdesc"
_LENGTH = PREFIX + "unencrypted-content-length"
_DATA_SIZE = PREFIX + "data-size"
_PART_SIZE = PREFIX + "part-size"
HEADERS = frozenset({_KEY, _START, _CEK_ALG, _WRAP_ALG, _MATDESC, _LENGTH, _DATA_SIZE, _PART_SIZE})
"""Every header that `parse` looks at."""

LARGEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What it takes, beside a master key, to decrypt one object; nothing in it is secret.

    The three sizes are what the writer noted; reading does not depend on them. deprecated: of the
    form of oss2 2.9 and older, which `deprecated` reads and writes.
    """

    wrapped_key: bytes
    wrapped_start: bytes
    cek_alg: str = CEK_ALG
    wrap_alg: str
    matdesc: Mapping[str, str] = field(default_factory=dict)
    unencrypted_content_length: int | None = None
    data_size: int | None = None
    part_size: int | None = None
    deprecated: bool = False


def parse(metadata: Mapping[str, str]) -> Envelope | None:
    """The envelope in the headers of an object, None if there is none.

    Raises IntegrityError if it is malformed or incomplete (ciphertext must not pass for plaintext),
    Unsupported for a cipher that no SDK writes and for a wrap-alg of the deprecated form.
    """
    if not any(name in metadata for name in (_KEY, _START, _CEK_ALG, _WRAP_ALG)):
        return None
    try:
        envelope = _parse(metadata)
    except (KeyError, ValueError):
        raise IntegrityError("the envelope of the object is malformed") from None
    if envelope.cek_alg != CEK_ALG:
        raise Unsupported(f"the object is not encrypted with {CEK_ALG}")
    if envelope.wrap_alg in DEPRECATED_ALGS:
        raise Unsupported(f"the wrap-alg {envelope.wrap_alg} belongs to another form of envelope")
    return envelope


def _parse(metadata: Mapping[str, str]) -> Envelope:
    envelope = Envelope(
        wrapped_key=parse_base64(metadata[_KEY]),
        wrapped_start=parse_base64(metadata[_START]),
        cek_alg=metadata[_CEK_ALG],
        wrap_alg=metadata[_WRAP_ALG],
        matdesc=parse_map(metadata.get(_MATDESC) or "{}"),
        unencrypted_content_length=_size(metadata, _LENGTH),
        data_size=_size(metadata, _DATA_SIZE),
        part_size=_size(metadata, _PART_SIZE),
    )
    if not (envelope.wrapped_key and envelope.wrapped_start and envelope.wrap_alg):
        raise ValueError("empty field")
    return envelope


def _size(metadata: Mapping[str, str], name: str) -> int | None:
    return parse_decimal(metadata[name], LARGEST) if name in metadata else None


def to_metadata(
    envelope: Envelope, *, plain_size: int, part_size: int | None = None
) -> dict[str, str]:
    """The headers of *envelope* on an object of *plain_size* bytes; part_size for multipart only.

    The sizes come from the arguments, not from the envelope, since a re-upload may cut other parts.
    """
    metadata = {
        _KEY: print_base64(envelope.wrapped_key),
        _START: print_base64(envelope.wrapped_start),
        _CEK_ALG: envelope.cek_alg,
        _WRAP_ALG: envelope.wrap_alg,
        _LENGTH: str(plain_size),
    }
    if envelope.matdesc:
        metadata[_MATDESC] = print_map(envelope.matdesc)
    if part_size is not None:
        metadata[_DATA_SIZE] = str(plain_size)
        metadata[_PART_SIZE] = str(part_size)
    return metadata
