"""What `ossfs convert --to` says: `policy`, or what is to change, part by part."""

from dataclasses import dataclass
from typing import Literal, get_args

from ossfs.config.options import did_you_mean
from ossfs.config.server_side import AskedOfServer, parse_sse
from ossfs.errors import UsageError

POLICY = "policy"
Encrypt = Literal["", "rsa", "kms", "aes", "none"]
_PARTS = ("encrypt", "key", "sse")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """by_policy: what the configuration says for each path, and nothing else counts.

    encrypt, key: "" where they are not said; if neither is, client-side encryption stays. sse
    counts only where changes_sse is set; None: nothing is asked of OSS.
    """

    by_policy: bool = False
    encrypt: Encrypt = ""
    key: str = ""
    changes_sse: bool = False
    sse: AskedOfServer | None = None

    @property
    def changes_client(self) -> bool:
        """Whether client-side encryption is to be what is said here."""
        return bool(self.encrypt or self.key)


def parse_wanted(text: str) -> Wanted:
    """Reads `policy` or `encrypt=rsa|kms|aes|none,key=NAME,sse=none|AES256|KMS|KMS:ID`.

    Raises UsageError.
    """
    if text == POLICY:
        return Wanted(by_policy=True)
    parts: dict[str, str] = {}
    for item in text.split(","):
        name, equals, value = item.partition("=")
        if name not in _PARTS:
            raise UsageError(f"--to: unknown part {name!r}{did_you_mean(name, _PARTS)}")
        if not equals or not value:
            raise UsageError(f"--to: {name} needs a value: {name}=…")
        if name in parts:
            raise UsageError(f"--to: {name} stands there twice")
        parts[name] = value
    encrypt = _encrypt(parts.get("encrypt", ""))
    if encrypt == "none" and "key" in parts:
        raise UsageError("--to: encrypt=none takes no key")
    return Wanted(
        encrypt=encrypt,
        key=parts.get("key", ""),
        changes_sse="sse" in parts,
        sse=_sse(parts["sse"]) if "sse" in parts else None,
    )


def _encrypt(value: str) -> Encrypt:
    for known in get_args(Encrypt):
        if value == known:
            found: Encrypt = known
            return found
    raise UsageError(f"--to: encrypt: {value!r} is not one of rsa, kms, aes, none")


def _sse(value: str) -> AskedOfServer | None:
    try:
        return parse_sse(value)
    except ValueError as error:
        raise UsageError(f"--to: sse: {error}") from None
