"""Rules for new files by their path: the `[[policy]]` tables of the TOML file.

    [[policy]]
    glob = "letters"            # config.globs says what it matches
    encrypt = "rsa"             # kind of the key, or "none"; left out: as the mount's
    key = "team-2025"           # by its name; left out: the one of that kind
    sse = "KMS:alias/letters"   # none, AES256, KMS, KMS:<key id>; left out: as the mount's

Which keys there are is not known here: whoever has them loaded chooses among them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ossfs.config import values
from ossfs.config.globs import Glob, parse_glob
from ossfs.config.options import did_you_mean
from ossfs.config.server_side import AskedOfServer, parse_sse
from ossfs.errors import UsageError

Encrypt = Literal["", "rsa", "kms", "aes", "none"]

_FIELDS = ("glob", "encrypt", "key", "sse")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One table.

    label: how an error names it; encrypt, key: "" where it does not say; sets_server: whether it
    says what to ask of OSS, which is `server` then.
    """

    label: str
    glob: Glob
    encrypt: Encrypt = ""
    key: str = ""
    sets_server: bool = False
    server: AskedOfServer | None = None


def read_rules(value: object, where: str) -> tuple[Rule, ...]:
    """The rules that the key `policy` of a TOML table holds; *where*: how errors begin.

    Raises UsageError.
    """
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        raise UsageError(f"{where}policy must be tables of the form [[policy]]")
    return tuple(
        _read(table, f"{where}[[policy]] number {number}") for number, table in enumerate(value, 1)
    )


def check_rules(rules: tuple[Rule, ...], *, integrity: str) -> None:
    """Raises UsageError for a rule that contradicts `--integrity`."""
    for rule in rules:
        if rule.encrypt == "none" and integrity == "require":
            raise UsageError(
                f'{rule.label}: --integrity require refuses what encrypt = "none" would write'
            )


def _read(table: Mapping[str, object], label: str) -> Rule:
    for name in table:
        if name not in _FIELDS:
            raise UsageError(f"{label}: unknown key {name}{did_you_mean(name, _FIELDS)}")
    texts = {name: _text(value, f"{label}: {name}") for name, value in table.items()}
    if "glob" not in texts:
        raise UsageError(f"{label}: glob is missing")
    label = f"{label} ({texts['glob']})"
    if len(texts) == 1:
        raise UsageError(f"{label}: says nothing; give encrypt, key or sse")
    name = "glob"
    try:
        glob = parse_glob(texts[name])
        name = "encrypt"
        encrypt: Encrypt = ""
        if name in texts:
            encrypt = values.choice("rsa", "kms", "aes", "none")(texts[name])  # type: ignore[assignment]
        name = "sse"
        server = parse_sse(texts[name]) if name in texts else None
    except ValueError as error:
        raise UsageError(f"{label}: {name}: {error}") from None
    key = texts.get("key", "")
    if encrypt == "none" and key:
        raise UsageError(f'{label}: encrypt = "none" takes no key')
    return Rule(
        label=label,
        glob=glob,
        encrypt=encrypt,
        key=key,
        sets_server="sse" in texts,
        server=server,
    )


def _text(value: object, label: str) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{label}: must be a text")
    return value
