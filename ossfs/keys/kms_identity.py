"""Which key of a KMS a master key is, so that no other key passes for it.

    identity = KmsIdentity("alias/photos", client, strict=True)
    identity.learn(key_id)                            # from an answer to Encrypt
    await identity.check(key_id)                      # from an answer to Decrypt

A blob names its key, and the KMS decrypts it under whichever key that is, as long as the access key
may use it. The id of a key stays when its material is rotated.
"""

import logging
import math
from typing import final

import trio

from ossfs.errors import KeyUnavailable
from ossfs.keys.kms_client import KmsClient
from ossfs.keys.kms_refusal import KmsRefusal

log = logging.getLogger(__name__)

RESOLVED_SECONDS = 60.0


@final
class KmsIdentity:
    """The ids that a key has had here: one, or several where an alias moves on."""

    def __init__(self, name: str, client: KmsClient, *, strict: bool) -> None:
        """name: id, ARN or alias; strict: a key that cannot be told from others is refused."""
        self._name = name
        self._client = client
        self._strict = strict
        self._is_alias = name.startswith("alias/") or ":alias/" in name
        self._ids = set() if self._is_alias else {_id_of(name)}
        self._asking = trio.Lock()
        self._asked_until = -math.inf
        self._warned = False

    @property
    def is_known(self) -> bool:
        """Whether other keys can be told from it without asking."""
        return bool(self._ids)

    def learn(self, key_id: str) -> None:
        """The KMS said that this is the key which the name stands for."""
        self._ids.add(_id_of(key_id))

    async def check(self, key_id: str) -> None:
        """Raises KeyUnavailable if *key_id* is another key, or may be another and that counts."""
        found = _id_of(key_id)
        if found not in self._ids and self._is_alias:
            await self._resolve()
        if found in self._ids:
            return
        if self._ids:
            raise KeyUnavailable(f"the object belongs to the KMS key {found}, not to {self._name}")
        self._doubt()

    async def _resolve(self) -> None:
        """Ask what the alias stands for now, unless that was asked a moment ago."""
        async with self._asking:
            if trio.current_time() < self._asked_until:
                return
            try:
                self.learn((await self._client.describe(self._name)).key_id)
            except KmsRefusal as refusal:
                if not refusal.is_not_allowed:
                    raise
            self._asked_until = trio.current_time() + RESOLVED_SECONDS

    def _doubt(self) -> None:
        told = (
            f"which key {self._name} stands for cannot be asked, so any KMS key passes for it:"
            f" the RAM policy must allow kms:DescribeKey, or name the key by its id"
        )
        if not self._warned:
            self._warned = True
            log.warning("%s", told)
        if self._strict:
            raise KeyUnavailable(told)


def _id_of(name: str) -> str:
    """The id in an ARN, acs:kms:REGION:ACCOUNT:key/ID; an id as it is."""
    return name.rpartition(":key/")[2]
