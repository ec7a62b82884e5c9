"""What the server demands of client-encrypted objects: InvalidEncryptionRequest and its ECs."""

from collections.abc import Mapping, Sequence

from ossfs.devserver.errors import OssError

PREFIX = "x-oss-meta-client-side-encryption-"
_REQUIRED = (("key", 401), ("start", 402), ("cek-alg", 403), ("wrap-alg", 404))
_REPEATED = (
    ("key", 412),
    ("start", 413),
    ("cek-alg", 414),
    ("wrap-alg", 415),
    ("magic-number-hmac", 416),
    ("data-size", 417),
    ("part-size", 418),
)
_MAX_PARTS = 10_000


def _refuse(number: int, message: str) -> OssError:
    return OssError("InvalidEncryptionRequest", message, ec=f"0005-{number:08d}")


def is_encrypted(headers: Mapping[str, str]) -> bool:
    """Whether any header of client-side encryption is among *headers*."""
    return any(name.startswith(PREFIX) for name in headers)


def check_envelope(headers: Mapping[str, str]) -> None:
    """PutObject, Initiate and UploadPart: the envelope is whole, if it is there at all."""
    if not is_encrypted(headers):
        return
    for name, number in _REQUIRED:
        if not headers.get(PREFIX + name):
            raise _refuse(number, f"The client encryption header {name} is missing.")
    if headers[PREFIX + "wrap-alg"] == "rsa" and not headers.get(PREFIX + "magic-number-hmac"):
        raise _refuse(405, "The client encryption header magic-number-hmac is missing.")


def _number(headers: Mapping[str, str], name: str, missing: int, wrong: int) -> int:
    value = headers.get(PREFIX + name)
    if not value:
        raise _refuse(missing, f"The client encryption header {name} is missing.")
    if not (value.isascii() and value.isdecimal()):
        raise _refuse(wrong, f"The client encryption header {name} is not an integer.")
    return int(value)


def _sizes(headers: Mapping[str, str]) -> tuple[int, int]:
    data_size = _number(headers, "data-size", 406, 408)
    part_size = _number(headers, "part-size", 407, 409)
    return data_size, part_size


def check_initiate(headers: Mapping[str, str]) -> None:
    """Initiate: envelope, and the sizes that Complete will be held to."""
    if not is_encrypted(headers):
        return
    check_envelope(headers)
    data_size, part_size = _sizes(headers)
    if part_size == 0 or -(-data_size // part_size) > _MAX_PARTS:
        raise _refuse(410, "The client encryption part count is greater than 10000.")


def check_part(headers: Mapping[str, str], initiated: Mapping[str, str]) -> None:
    """UploadPart: an envelope that is repeated is the one of Initiate."""
    if not is_encrypted(headers):
        return
    check_envelope(headers)
    for name, number in _REPEATED:
        sent = headers.get(PREFIX + name)
        if sent is not None and sent != initiated.get(PREFIX + name):
            raise _refuse(
                number, f"The client encryption header {name} is unexpected with init_multipart."
            )


def check_complete(initiated: Mapping[str, str], part_sizes: Sequence[int]) -> None:
    """Complete: as many parts as announced, each of the announced length."""
    if not is_encrypted(initiated):
        return
    data_size, part_size = _sizes(initiated)
    if len(part_sizes) != max(-(-data_size // part_size), 1):
        raise _refuse(
            411, "The client encryption part list is unexpected with init_multipart setted."
        )
    if any(size != part_size for size in part_sizes[:-1]):
        raise _refuse(419, "The length of a part is unexpected with part-size.")
    if part_sizes[-1] != data_size - sum(part_sizes[:-1]):
        raise _refuse(420, "The length of the last part is unexpected with data-size.")


def check_copy(source: Mapping[str, str], *, metadata_changes: bool) -> None:
    """CopyObject: the metadata of a client-encrypted object cannot be changed."""
    if metadata_changes and is_encrypted(source):
        raise _refuse(421, "The metadata of a client encryption object can not be changed.")


def check_part_copy(source: Mapping[str, str]) -> None:
    """UploadPartCopy: not from a client-encrypted object."""
    if is_encrypted(source):
        raise OssError(
            "InvalidEncryptionRequest",
            "The source object of UploadPartCopy is a client encryption object.",
            ec="0042-00000309",
        )
