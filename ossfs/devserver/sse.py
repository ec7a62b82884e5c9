"""Server-side encryption as requests ask for it and as answers tell of it.

The encryption itself is in `datakeys` and `chunks`. SM4 is accepted and told like the others, but
what lies on the disk is AES-256-GCM for it too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from ossfs.devserver.errors import OssError

ALGORITHM = "x-oss-server-side-encryption"
KEY_ID = "x-oss-server-side-encryption-key-id"
DATA_ALGORITHM = "x-oss-server-side-data-encryption"
HEADERS = (ALGORITHM, KEY_ID, DATA_ALGORITHM)
TAKEN_BY = frozenset({"PutObject", "CopyObject", "InitiateMultipartUpload"})
"""The operations that take these headers."""

_ALGORITHMS = ("AES256", "SM4", "KMS")
_SUPPORTED = "The Encryption request you specified is not valid. Supported value: AES256/SM4/KMS."


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """One way to encrypt. key_id: "" is the default key of OSS where the algorithm is KMS."""

    algorithm: str
    key_id: str = ""
    data_algorithm: str = ""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Self | None:
        """What headers that were found valid before say, None if they say nothing."""
        if ALGORITHM not in headers:
            return None
        return cls(
            algorithm=headers[ALGORITHM],
            key_id=headers.get(KEY_ID, ""),
            data_algorithm=headers.get(DATA_ALGORITHM, ""),
        )

    def headers(self) -> dict[str, str]:
        """The opposite of `of`."""
        named = zip(HEADERS, (self.algorithm, self.key_id, self.data_algorithm), strict=True)
        return {name: value for name, value in named if value}


def requested(headers: Mapping[str, str]) -> Encryption | None:
    """What a request asks for, None if it says nothing.

    Raises OssError InvalidEncryptionAlgorithmError or InvalidArgument.
    """
    algorithm = headers.get(ALGORITHM)
    key_id, data_algorithm = headers.get(KEY_ID), headers.get(DATA_ALGORITHM)
    if algorithm is None:
        if key_id is not None or data_algorithm is not None:
            raise OssError("InvalidArgument", f"{ALGORITHM} is missing.")
        return None
    if key_id == "":
        raise OssError("InvalidArgument", f"{KEY_ID} is empty.", ec="0005-00000205")
    if algorithm in _ALGORITHMS and algorithm != "KMS" and (key_id or data_algorithm is not None):
        raise OssError("InvalidArgument", f"{algorithm} takes no key.")
    return _checked(algorithm, key_id or "", data_algorithm or "")


def rule(algorithm: str, key_id: str, data_algorithm: str) -> Encryption:
    """The default of a bucket, from the texts of its document; whether the key exists is not asked.

    Raises OssError InvalidEncryptionAlgorithmError or InvalidArgument.
    """
    checked = _checked(algorithm, key_id, data_algorithm)
    if key_id and algorithm != "KMS":
        raise OssError(
            "InvalidArgument",
            "KMSMasterKeyID is not applicable if the default sse algorithm is not KMS",
            ec="0005-00000204",
        )
    if data_algorithm and algorithm != "KMS":
        raise OssError(
            "InvalidArgument",
            "KMSDataEncryption is not applicable if the default sse algorithm is not KMS",
        )
    return checked


def _checked(algorithm: str, key_id: str, data_algorithm: str) -> Encryption:
    if algorithm not in _ALGORITHMS:
        raise OssError("InvalidEncryptionAlgorithmError", _SUPPORTED, ec="0005-00000003")
    if data_algorithm not in {"", "SM4"}:
        raise OssError("InvalidEncryptionAlgorithmError", ec="0005-00000203")
    return Encryption(algorithm=algorithm, key_id=key_id, data_algorithm=data_algorithm)


def told(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of server-side encryption among those stored, as every answer repeats them."""
    return {name: headers[name] for name in HEADERS if name in headers}


def refuse(headers: Mapping[str, str]) -> None:
    """For requests that take no such header. Raises OssError InvalidArgument."""
    for name in HEADERS:
        if name in headers:
            raise OssError(
                "InvalidArgument",
                f"{name} is not valid for this request.",
                ec="0005-00000002",
            )
