"""What an object is to be, and whether it is so already."""

import stat
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from ossfs.crypto.datakey import DataKey
from ossfs.errors import IntegrityError, KeyUnavailable
from ossfs.format.contents import Foreign, Own, Plain, classify
from ossfs.format.envelope import DEPRECATED_ALGS, Envelope
from ossfs.format.seal import Seal
from ossfs.keys.base import MasterKey
from ossfs.keys.keyring import Keyring
from ossfs.store.base import ObjectInfo, ServerEncryption
from ossfs.transfer.opening import file_type_of
from ossfs.transfer.protection import is_as_asked
from ossfs.types import ObjectKey


class Stays(Enum):
    """A part of the encryption that is left as it is."""

    STAYS = "stays"


STAYS = Stays.STAYS


class Work(Enum):
    """What it takes to make an object what it is to be."""

    NOTHING = "nothing"
    SERVER = "server"
    CONTENT = "content"


class Target:
    """One master key that content is to be encrypted under.

    writer makes envelopes, reader opens them with a memory of its own, so that what was written is
    judged by what stands in the bucket.
    """

    def __init__(self, master: MasterKey) -> None:
        self.master = master
        self.writer = Keyring([master])
        self.reader = Keyring([master])

    @property
    def is_deprecated(self) -> bool:
        """Whether it writes the deprecated form, which has no seal and no description."""
        return self.master.wrap_alg in DEPRECATED_ALGS

    async def has_encrypted(self, info: ObjectInfo) -> bool:
        """Whether the object is as this key would write it today: key, form, description, seal.

        Raises IntegrityError, Unsupported: headers that no client writes.
        """
        match classify(info.metadata, info.size):
            case Own(envelope=envelope, seal=seal) if not self.is_deprecated:
                return self._names(envelope) and await self._opens(info, envelope, seal)
            case Foreign(envelope=envelope) if self.is_deprecated and envelope.deprecated:
                return self._names(envelope) and await self._opens_foreign(envelope)
        return False

    def _names(self, envelope: Envelope) -> bool:
        described = {} if self.is_deprecated else dict(self.master.matdesc)
        return envelope.wrap_alg == self.master.wrap_alg and dict(envelope.matdesc) == described

    async def _opens(self, info: ObjectInfo, envelope: Envelope, seal: Seal) -> bool:
        file_type = file_type_of(info)

        def is_genuine(key: DataKey) -> bool:
            return seal.accepts(key, file_type=file_type, size=info.size)

        try:
            await self.reader.open(envelope, accept=is_genuine)
        except (IntegrityError, KeyUnavailable):
            # Another key's; or damaged, which comes to light where the content is read.
            return False
        return True

    async def _opens_foreign(self, envelope: Envelope) -> bool:
        try:
            await self.reader.open_foreign(envelope)
        except (IntegrityError, KeyUnavailable):
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """client: None for plain content; server: None for no wish, so that the bucket's rule acts."""

    client: Target | Stays | None = STAYS
    server: ServerEncryption | Stays | None = STAYS

    def server_for(self, info: ObjectInfo) -> ServerEncryption | None:
        """What is asked of OSS for the new version of *info*."""
        return info.encryption if isinstance(self.server, Stays) else self.server

    async def work_for(self, info: ObjectInfo, rule: ServerEncryption | None) -> Work:
        """What is left to do; rule: the bucket's own server-side encryption.

        Raises IntegrityError, Unsupported: headers that no client writes.
        """
        if not await self._client_is_so(info):
            return Work.CONTENT
        return Work.NOTHING if self._server_is_so(info, rule) else Work.SERVER

    async def _client_is_so(self, info: ObjectInfo) -> bool:
        if isinstance(self.client, Stays):
            return True
        if self.client is None:
            return isinstance(classify(info.metadata, info.size), Plain)
        return await self.client.has_encrypted(info)

    def _server_is_so(self, info: ObjectInfo, rule: ServerEncryption | None) -> bool:
        if isinstance(self.server, Stays):
            return True
        if self.server is None:
            return info.encryption is None or (
                rule is not None and is_as_asked(rule, info.encryption)
            )
        return is_as_asked(self.server, info.encryption)


Goals = Callable[[ObjectKey], Goal]
"""The goal for each key."""


def is_special(info: ObjectInfo) -> bool:
    """Whether it is a directory, a fifo or a socket, which have no content and no envelope."""
    return info.key.endswith("/") or file_type_of(info) not in {
        stat.S_IFREG >> 12,
        stat.S_IFLNK >> 12,
    }
