"""Server-side encryption: which headers are valid, and what comes back.

The bodies themselves are stored as they are received.
"""

import uuid
from collections.abc import Mapping

from ossfs.devserver.errors import OssError

ALGORITHM = "x-oss-server-side-encryption"
KEY_ID = "x-oss-server-side-encryption-key-id"
DATA_ALGORITHM = "x-oss-server-side-data-encryption"
HEADERS = (ALGORITHM, KEY_ID, DATA_ALGORITHM)


def requested(headers: Mapping[str, str], bucket: str) -> dict[str, str]:
    """The headers to store with an object; empty without server-side encryption.

    KMS without a key id gets the id of the bucket's own key. Raises OssError
    InvalidEncryptionAlgorithmError or InvalidArgument.
    """
    algorithm = headers.get(ALGORITHM)
    key_id = headers.get(KEY_ID)
    data_algorithm = headers.get(DATA_ALGORITHM)
    if algorithm is None:
        if key_id is not None or data_algorithm is not None:
            raise OssError("InvalidArgument", f"{ALGORITHM} is missing.")
        return {}
    if algorithm not in {"AES256", "SM4", "KMS"}:
        raise OssError("InvalidEncryptionAlgorithmError")
    if algorithm != "KMS":
        if key_id is not None or data_algorithm is not None:
            raise OssError("InvalidArgument", f"{algorithm} takes no key.")
        return {ALGORITHM: algorithm}
    if data_algorithm not in {None, "SM4"}:
        raise OssError("InvalidEncryptionAlgorithmError")
    stored = {ALGORITHM: algorithm, KEY_ID: key_id or str(uuid.uuid5(uuid.NAMESPACE_DNS, bucket))}
    if data_algorithm:
        stored[DATA_ALGORITHM] = data_algorithm
    return stored


def refuse(headers: Mapping[str, str]) -> None:
    """For requests that take no such header. Raises OssError InvalidArgument."""
    for name in HEADERS:
        if name in headers:
            raise OssError("InvalidArgument", f"{name} is not valid for this request.")
