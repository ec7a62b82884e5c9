"""Server-side encryption as people ask for it: the options of a mount, and one value as text."""

import re
from dataclasses import dataclass, field
from typing import Literal

from ossfs.config import values
from ossfs.config.options import option
from ossfs.errors import UsageError

ALGORITHMS = ("AES256", "KMS")
NONE = "none"

_KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/+=@-]{0,255}")


def parse_key_id(value: str) -> str:
    """Id, ARN or alias of a key in the KMS of OSS. Raises ValueError."""
    if not _KEY_ID.fullmatch(value):
        raise ValueError(f"{value!r} is not the id, ARN or alias of a KMS key")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedOfServer:
    """The encryption asked of OSS; key_id: "" for the key that OSS chooses, only with KMS."""

    algorithm: str
    key_id: str = ""


def parse_sse(value: str) -> AskedOfServer | None:
    """Reads `none` (None), `AES256`, `KMS` or `KMS:<key id>`. Raises ValueError."""
    if value == NONE:
        return None
    algorithm, colon, key_id = value.partition(":")
    if algorithm not in ALGORITHMS or (colon and algorithm != "KMS"):
        raise ValueError(f"{value!r} is not one of none, AES256, KMS, KMS:<key id>")
    return AskedOfServer(algorithm=algorithm, key_id=parse_key_id(key_id) if colon else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSide:
    """What is asked of OSS for every upload; sse_kms_key_id: "" for the key that OSS chooses."""

    sse: Literal["none", "AES256", "KMS"] = field(
        default="none",
        metadata=option(
            values.choice(NONE, *ALGORITHMS),
            "server-side encryption asked for; none: nothing is asked, the bucket's own rule acts",
            metavar="none|AES256|KMS",
        ),
    )
    sse_kms_key_id: str = field(
        default="",
        metadata=option(
            parse_key_id,
            "key of --sse KMS",
            metavar="ID|ARN|alias/NAME",
            default="the key that OSS chooses",
        ),
    )

    @property
    def asked(self) -> AskedOfServer | None:
        """The two options as one."""
        if self.sse == NONE:
            return None
        return AskedOfServer(algorithm=self.sse, key_id=self.sse_kms_key_id)

    def check(self) -> None:
        """Raises UsageError for a key that nothing would use."""
        if self.sse_kms_key_id and self.sse != "KMS":
            raise UsageError("--sse-kms-key-id: names a key for --sse KMS; give that too")
