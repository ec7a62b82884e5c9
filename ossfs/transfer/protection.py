"""How one upload is protected: who encrypts it, here and in OSS."""

from dataclasses import dataclass

from ossfs.config.server_side import AskedOfServer
from ossfs.keys.pool import EnvelopeSource
from ossfs.store.base import ServerEncryption


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """What a new version gets.

    source: of its envelope, None to store content as it is; server: the encryption asked of OSS,
    None to ask for nothing, so that the bucket's own rule acts.
    """

    source: EnvelopeSource | None
    server: ServerEncryption | None = None


@dataclass(frozen=True, slots=True)
class ServerChoice:
    """Server-side encryption that someone chose for one file; None: nothing is asked of OSS."""

    encryption: ServerEncryption | None


def asked_of_server(asked: AskedOfServer | None) -> ServerEncryption | None:
    """What people asked for, as the store is told."""
    if asked is None:
        return None
    return ServerEncryption(algorithm=asked.algorithm, key_id=asked.key_id or None)


def is_as_asked(asked: ServerEncryption | None, shown: ServerEncryption | None) -> bool:
    """Whether an object of which OSS says *shown* can have been made by asking for *asked*.

    OSS names the key of KMS also where it chose it, by its id where an alias or ARN was given, and
    the bucket's own rule unasked.
    """
    if asked is None:
        return True
    if shown is None or asked.algorithm != shown.algorithm:
        return False
    by_id = asked.key_id is not None and not asked.key_id.startswith(("alias/", "acs:"))
    return not by_id or asked.key_id == shown.key_id
