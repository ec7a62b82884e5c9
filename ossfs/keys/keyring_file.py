"""The keyring file: named master keys of all kinds, one of them active.

    active = "team-2025"

    [key.team-2025]
    kind = "rsa"
    file = "team-2025.pem"
    matdesc = { team = "photos", year = "2025" }

    [key.archive]
    kind = "aes"
    file = "archive.key"

It names files and holds no secret, unless a KMS key has its `context` in it instead of in a
`context-file`: then it must be its owner's alone. Relative file names are relative to its folder.
"""

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ossfs.config import values
from ossfs.config.options import did_you_mean
from ossfs.errors import KeyProblem
from ossfs.keys import private_file
from ossfs.keys.private_file import PrivateFile

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RsaEntry:
    """An RSA key in a PEM file."""

    kind: ClassVar[str] = "rsa"
    name: str
    file: Path
    passphrase_file: Path | None = None
    padding: str = "pkcs1"
    matdesc: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AesEntry:
    """A symmetric key in a file."""

    kind: ClassVar[str] = "aes"
    name: str
    file: Path
    matdesc: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class KmsEntry:
    """A key in a KMS.

    key_id: id, ARN or alias; endpoint, ca_bundle: None for the usual ones; context_file: takes the
    place of the context.

    coding: "single" or "double"; "deprecated" where that form is written, never in the file.
    """

    kind: ClassVar[str] = "kms"
    name: str
    key_id: str
    endpoint: str | None = None
    coding: str = "single"
    context: Mapping[str, str] = field(default_factory=dict, repr=False)
    context_file: Path | None = None
    ca_bundle: Path | None = None
    matdesc: Mapping[str, str] = field(default_factory=dict)


Entry = RsaEntry | AesEntry | KmsEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyringFile:
    """What a keyring file says; entries in the order of the file."""

    path: Path
    active: str
    entries: tuple[Entry, ...]

    @property
    def holds_context(self) -> bool:
        """Whether the file itself holds what may be a secret."""
        return any(isinstance(entry, KmsEntry) and entry.context for entry in self.entries)

    def named(self, name: str) -> Entry:
        """The entry of this name. Raises KeyProblem."""
        for entry in self.entries:
            if entry.name == name:
                return entry
        known = [entry.name for entry in self.entries]
        raise KeyProblem(f"{self.path}: there is no key {name}{did_you_mean(name, known)}")


def read(path: Path) -> KeyringFile:
    """The keyring in *path*. Raises KeyProblem with one line that says what is wrong."""
    return read_with_text(path)[1]


def read_with_text(path: Path) -> tuple[str, KeyringFile]:
    """The text of a keyring file, and what it says. Raises KeyProblem."""
    file = _read(path)
    try:
        text = file.content.decode()
    except UnicodeDecodeError:
        raise KeyProblem(f"{path} cannot be read: it is not UTF-8") from None
    ring = parse(text, path)
    if ring.holds_context:
        file.require_private("a context")
    return text, ring


def _read(path: Path) -> PrivateFile:
    try:
        return private_file.read(path)
    except FileNotFoundError:
        raise KeyProblem(f"{path} does not exist; `ossfs key add` makes a keyring") from None
    except OSError as error:
        raise KeyProblem(f"{path} cannot be read: {error.strerror}") from error


def parse(text: str, path: Path) -> KeyringFile:
    """The keyring that *text* describes; *path*: for messages and relative names.

    Raises KeyProblem.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise KeyProblem(f"{path}: is not TOML: {error}") from None
    tables, active = document.pop("key", {}), document.pop("active", None)
    if document:
        raise KeyProblem(f"{path}: unknown key {next(iter(document))}")
    if not isinstance(tables, dict) or not tables:
        raise KeyProblem(f"{path}: has no keys; each is a section [key.NAME]")
    entries = tuple(_entry(name, table, path) for name, table in tables.items())
    if not isinstance(active, str) or active not in tables:
        raise KeyProblem(f'{path}: active = "NAME" must name one of its keys')
    return KeyringFile(path=path, active=active, entries=entries)


def is_name(text: str) -> bool:
    """Whether *text* can name a key: 1 to 64 letters, digits, hyphens and underscores of ASCII."""
    return _NAME.fullmatch(text) is not None


Read = Callable[[object, Path], Any]


def _text(value: object, _base: Path) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text")
    return value


def _file(value: object, base: Path) -> Path:
    name = Path(_text(value, base))
    return base / (name.expanduser() if name.parts[:1] == ("~",) else name)


def _strings(value: object, _base: Path) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise ValueError("must be a table of texts")
    return value


def _matdesc(value: object, base: Path) -> Mapping[str, str]:
    return values.matdesc(json.dumps(_strings(value, base)))


def _choice(*words: str) -> Read:
    def read(value: object, base: Path) -> str:
        return values.choice(*words)(_text(value, base))

    return read


_FIELDS: Mapping[str, Mapping[str, Read]] = {
    "rsa": {
        "file": _file,
        "passphrase-file": _file,
        "padding": _choice("pkcs1", "oaep-sha1"),
        "matdesc": _matdesc,
    },
    "aes": {"file": _file, "matdesc": _matdesc},
    "kms": {
        "key-id": _text,
        "endpoint": _text,
        "coding": _choice("single", "double"),
        "context": _strings,
        "context-file": _file,
        "ca-bundle": _file,
        "matdesc": _matdesc,
    },
}
_NEEDED = {"rsa": "file", "aes": "file", "kms": "key-id"}
_CLASSES: Mapping[str, Callable[..., Entry]] = {
    entry.kind: entry for entry in (RsaEntry, AesEntry, KmsEntry)
}


def _entry(name: str, table: object, path: Path) -> Entry:
    where = f"{path}: [key.{name}]"
    if not is_name(name):
        raise KeyProblem(f"{where}: a name has 1 to 64 letters, digits, - and _")
    if not isinstance(table, dict):
        raise KeyProblem(f"{where}: must be a section of its own")
    kind = table.get("kind")
    fields = _FIELDS.get(kind) if isinstance(kind, str) else None
    if fields is None:
        raise KeyProblem(f"{where}: kind must be one of {', '.join(_FIELDS)}")
    if _NEEDED[str(kind)] not in table:
        raise KeyProblem(f"{where}: {_NEEDED[str(kind)]} is missing")
    found: dict[str, object] = {}
    for key, value in table.items():
        if key == "kind":
            continue
        read = fields.get(key)
        if read is None:
            raise KeyProblem(f"{where}: unknown key {key}{did_you_mean(key, fields)}")
        try:
            found[key.replace("-", "_")] = read(value, path.parent)
        except ValueError as error:
            raise KeyProblem(f"{where}: {key}: {error}") from None
    if "context" in found and "context_file" in found:
        raise KeyProblem(f"{where}: takes context or context-file, not both")
    return _CLASSES[str(kind)](name=name, **found)
