"""Trying a master key: wrap something, unwrap it again."""

import secrets
from dataclasses import dataclass

from ossfs.errors import CommandError, OssfsError
from ossfs.keys.keyring_file import Entry
from ossfs.keys.masters import KmsFactory, load


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of it. said: what the key can do, or why it cannot; nothing secret."""

    name: str
    works: bool
    said: str


async def try_key(entry: Entry, *, kms: KmsFactory) -> Trial:
    """Load the key that *entry* names, wrap random bytes with it, and get them back."""
    try:
        works, said = await _try(entry, kms)
    except (CommandError, OssfsError) as error:
        works, said = False, str(error)
    return Trial(name=entry.name, works=works, said=said)


async def _try(entry: Entry, kms: KmsFactory) -> tuple[bool, str]:
    key = load(entry, kms=kms)
    secret = secrets.token_bytes(32)
    wrapped = await key.wrap(secret)
    if not key.can_unwrap:
        return True, "wraps; it is a public key, which opens nothing"
    if await key.unwrap(wrapped, key.wrap_alg) != secret:
        return False, "gives back other bytes than it wrapped"
    return True, "wraps and unwraps"
