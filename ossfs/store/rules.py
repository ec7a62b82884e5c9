"""What OSS refuses about names, metadata, tags and client-side encryption headers.

Sources: the pages of PutObject, PutObjectTagging and CopyObject, and the error pages 0005-00000401
to 0005-00000421, which apply as soon as one x-oss-meta-client-side-encryption- header is sent.
"""

import functools
import re
from collections.abc import Mapping

from ossfs.errors import StoreError
from ossfs.store.base import ServerEncryption
from ossfs.store.refusal import refusal

ENVELOPE = "client-side-encryption-"
"""Beginning of the metadata names that make an object a client-encrypted one."""

REFUSED_ENVELOPE = "InvalidEncryptionRequest"
"""What OSS calls a request that breaks its rules for client-encrypted objects."""

METADATA_LIMIT = 8192
"""Bytes of all x-oss-meta- headers of one object, names with that prefix and values."""

MAX_PARTS = 10_000
MIN_PART = 100 * 1024
MAX_PART = 5 * 2**30
MAX_OBJECT = MAX_PARTS * MAX_PART
"""Bytes of the largest object that can exist, 48.8 TB in the words of OSS."""

STORAGE_CLASSES = frozenset({"Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive"})
ARCHIVES = frozenset({"Archive", "ColdArchive", "DeepColdArchive"})

_META_NAME = re.compile(r"[A-Za-z0-9-]+")
_META_VALUE = re.compile("[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*")
_TAG_TEXT = re.compile(r"[A-Za-z0-9 +\-=._:/]*")
_MUST = (("key", "401"), ("start", "402"), ("cek-alg", "403"), ("wrap-alg", "404"))
_SIZES = (("data-size", "406", "408"), ("part-size", "407", "409"))


def check_key(key: str) -> None:
    """Raises RefusedByServer unless *key* is 1..1023 bytes of UTF-8, no leading / or backslash."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        size = 0
    if not 1 <= size <= 1023 or key.startswith(("/", "\\")):
        raise refusal(400, "InvalidObjectName", "the object name is not valid", ec="0016-00000005")


def check_copy(source: str, target: str) -> None:
    """Raises RefusedByServer where *source* is *target*: OSS would drop the metadata."""
    check_key(source)
    check_key(target)
    if source == target:
        raise refusal(
            400,
            "InvalidArgument",
            "a copy onto itself would lose the metadata",
            ec="0005-00000421",
        )


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Raises RefusedByServer for names or values that no header carries, or more than 8 KB of them.

    Blanks at the ends of a value are refused too: HTTP would drop them without a word.
    """
    for name, value in metadata.items():
        if value != value.strip() or not _is_meta_name(name):
            raise refusal(400, "InvalidArgument", f"the metadata {name!r} cannot be a header")
    values = "".join(metadata.values())
    if not _META_VALUE.fullmatch(values):
        raise refusal(400, "InvalidArgument", "a value of the metadata cannot be a header")
    total = sum(len("x-oss-meta-") + len(name) for name in metadata) + len(values.encode())
    if total > METADATA_LIMIT:
        raise refusal(400, "MetadataTooLarge", "the metadata exceeds 8 KB")


@functools.lru_cache(maxsize=256)
def _is_meta_name(name: str) -> bool:
    """The same few names come again and again."""
    return bool(_META_NAME.fullmatch(name))


def check_tags(tags: Mapping[str, str]) -> None:
    """Raises RefusedByServer for more than 10 tags, or one of wrong length or characters."""
    if len(tags) > 10:
        raise refusal(400, "InvalidTag", "an object has at most 10 tags")
    for name, value in tags.items():
        texts_fit = 1 <= len(name) <= 128 and len(value) <= 256
        if not texts_fit or not _TAG_TEXT.fullmatch(name) or not _TAG_TEXT.fullmatch(value):
            raise refusal(400, "InvalidTag", "a tag has a wrong length or character")


def check_server_side(encryption: ServerEncryption | None, storage_class: str | None) -> None:
    """Raises RefusedByServer for an algorithm, key id or storage class that OSS does not know."""
    if encryption is not None:
        if encryption.algorithm not in {"AES256", "KMS", "SM4"}:
            raise refusal(400, "InvalidEncryptionAlgorithmError", "no such encryption algorithm")
        if encryption.key_id is not None and encryption.algorithm != "KMS":
            raise refusal(400, "InvalidArgument", "a key id goes with KMS only")
        if encryption.data_algorithm is not None and encryption.algorithm != "KMS":
            raise refusal(400, "InvalidArgument", "a data algorithm goes with KMS only")
    if storage_class is not None and storage_class not in STORAGE_CLASSES:
        raise refusal(400, "InvalidArgument", "no such storage class")


def envelope_error(number: str, message: str) -> StoreError:
    """InvalidEncryptionRequest with the finer code 0005-00000*number*."""
    return refusal(400, REFUSED_ENVELOPE, message, ec=f"0005-00000{number}")


def is_client_encrypted(metadata: Mapping[str, str]) -> bool:
    """Whether OSS applies the rules of client-side encryption to an object with this metadata."""
    return any(name.startswith(ENVELOPE) for name in metadata)


def check_envelope(metadata: Mapping[str, str]) -> None:
    """Raises RefusedByServer (EC ...401 to ...405) for an incomplete envelope."""
    if not is_client_encrypted(metadata):
        return
    for name, number in _MUST:
        if not metadata.get(ENVELOPE + name):
            raise envelope_error(number, f"the envelope lacks {name}")
    if metadata[ENVELOPE + "wrap-alg"] == "rsa" and ENVELOPE + "magic-number-hmac" not in metadata:
        raise envelope_error("405", "the envelope lacks magic-number-hmac")


def multipart_sizes(metadata: Mapping[str, str]) -> tuple[int, int] | None:
    """(data-size, part-size) of a client-encrypted multipart upload, None for any other upload.

    Raises RefusedByServer (EC ...406 to ...410) where they are missing or wrong.
    """
    if not is_client_encrypted(metadata):
        return None
    sizes = []
    for name, missing, malformed in _SIZES:
        text = metadata.get(ENVELOPE + name)
        if text is None:
            raise envelope_error(missing, f"the envelope lacks {name}")
        if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) == 0:
            raise envelope_error(malformed, f"{name} is not a positive integer")
        sizes.append(int(text))
    data_size, part_size = sizes
    if data_size > part_size * MAX_PARTS:
        raise envelope_error("410", "data-size and part-size give more than 10,000 parts")
    return data_size, part_size
