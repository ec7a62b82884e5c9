"""The master keys that a configuration or a keyring file names, loaded.

masters = load_masters(config.keys, kms=make_kms_key)      # the one that wraps first
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ossfs.config.sections import Keys
from ossfs.errors import KeyProblem
from ossfs.keys import keyring_file, rsa, symmetric
from ossfs.keys.base import MasterKey
from ossfs.keys.keyring_file import AesEntry, Entry, KmsEntry, RsaEntry
from ossfs.keys.passphrase import read_passphrase

KmsFactory = Callable[[KmsEntry], MasterKey]
"""Makes a key in a KMS; the coding "deprecated" wraps for the deprecated form."""


def load_masters(keys: Keys, *, kms: KmsFactory) -> list[MasterKey]:
    """The keys of a mount; the first encrypts new files, if any does. Raises KeyProblem."""
    entries = _of_options(keys) if keys.keyring is None else _of_keyring(keys, keys.keyring)
    if keys.dialect == "deprecated":
        # Any of them may be named for some path; what they open does not depend on it.
        entries = [_deprecated(entries[0]), *(_deprecated_if_any(entry) for entry in entries[1:])]
    return [load(entry, kms=kms) for entry in entries]


def load(entry: Entry, *, kms: KmsFactory) -> MasterKey:
    """The master key that *entry* names. Raises KeyProblem."""
    return kms(entry) if isinstance(entry, KmsEntry) else load_file(entry)


def load_file(entry: RsaEntry | AesEntry) -> MasterKey:
    """The master key in the file that *entry* names. Raises KeyProblem."""
    match entry:
        case RsaEntry():
            file = entry.passphrase_file
            return rsa.load(
                entry.file,
                passphrase=None if file is None else read_passphrase(file),
                padding=entry.padding,
                name=entry.name,
                matdesc=entry.matdesc,
            )
        case AesEntry():
            return symmetric.load(entry.file, name=entry.name, matdesc=entry.matdesc)


def _of_options(keys: Keys) -> list[Entry]:
    entries: list[Entry] = [
        RsaEntry(
            name=path.name,
            file=path,
            passphrase_file=keys.key_passphrase_file,
            padding=keys.rsa_padding,
            matdesc=keys.matdesc,
        )
        for path in keys.rsa_keys
    ]
    if keys.aes_key is not None:
        path = keys.aes_key
        entries.append(AesEntry(name=path.name, file=path, matdesc=keys.matdesc))
    if keys.kms_key_id:
        entries.append(
            KmsEntry(
                name=keys.kms_key_id,
                key_id=keys.kms_key_id,
                coding=keys.kms_coding,
                context=keys.kms_context,
                matdesc=keys.matdesc,
            )
        )
    # Sorting is stable: among the keys of the kind that encrypts, the first one does.
    return sorted(entries, key=lambda entry: entry.kind != keys.encrypt)


def _of_keyring(keys: Keys, path: Path) -> list[Entry]:
    ring = keyring_file.read(path)
    active = ring.named(ring.active)
    if keys.encrypt not in {"", "none", active.kind}:
        raise KeyProblem(
            f"{path}: the active key {active.name} is {active.kind}, not {keys.encrypt}"
            f" as --encrypt says"
        )
    return [active, *(entry for entry in ring.entries if entry is not active)]


def _deprecated(entry: Entry) -> Entry:
    match entry:
        case RsaEntry():
            return replace(entry, padding="deprecated")
        case KmsEntry():
            return replace(entry, coding="deprecated")
        case AesEntry():
            raise KeyProblem(f"--dialect deprecated: {entry.name} is symmetric, which it never was")


def _deprecated_if_any(entry: Entry) -> Entry:
    return entry if isinstance(entry, AesEntry) else _deprecated(entry)
