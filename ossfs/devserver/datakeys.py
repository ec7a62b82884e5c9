"""Data keys of server-side encryption: one per object, wrapped by a master key or by the KMS.

A wrapped data key is a line of text in the object's row: `own:VERSION:BASE64` for AES256 and SM4,
`kms:BLOB` for KMS. Nothing is kept in memory, so that a key that is disabled opens nothing from
then on. Callers need the rights of the KMS for the keys they name, not for the default key of OSS.
"""

import base64
import secrets
from dataclasses import dataclass, field, replace

from ossfs.devserver.config import Credential
from ossfs.devserver.errors import OssError
from ossfs.devserver.kms.errors import KmsError
from ossfs.devserver.kms.server import KmsServer
from ossfs.devserver.masters import Masters
from ossfs.devserver.sse import Encryption

DEFAULT_ALIAS = "alias/acs/oss"
"""Names the key for KMS without a key id; made when it is first needed."""

_DATA_KEY_BYTES = 32
_CODES = {
    "Forbidden.AliasNotFound": "AliasNotFound",
    "Forbidden.KeyNotFound": "KeyNotFound",
    "Forbidden.KmsServiceNotEnabled": "KmsServiceNotEnabled",
    "Rejected.Disabled": "KeyDisabled",
    "Rejected.PendingDeletion": "KeyPendingDeletion",
    "Rejected.PendingImport": "KeyPendingImport",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKey:
    """A data key in both forms; that of a body that stays as it was sent is None and empty."""

    clear: bytes | None = field(repr=False)
    wrapped: str


NO_DATA_KEY = DataKey(clear=None, wrapped="")


class DataKeys:
    """Makes, wraps and unwraps the data keys of one server; used from its thread."""

    def __init__(self, masters: Masters, kms: KmsServer) -> None:
        self._masters = masters
        self._kms = kms

    def resolved(self, encryption: Encryption) -> Encryption:
        """The same with the id of its key, as answers tell it. Raises OssError KeyNotFound, …"""
        if encryption.algorithm != "KMS":
            return encryption
        try:
            if not encryption.key_id and self._kms.store.alias(DEFAULT_ALIAS) is None:
                return replace(encryption, key_id=self._kms.create_key(DEFAULT_ALIAS))
            return replace(encryption, key_id=self._kms.key_id(encryption.key_id or DEFAULT_ALIAS))
        except KmsError as refusal:
            raise _translated(refusal) from refusal

    def wrap(
        self, encryption: Encryption, caller: Credential, clear: bytes | None = None
    ) -> DataKey:
        """A data key for one object, a new one unless *clear* is one already.

        encryption: resolved. Raises OssError as OSS does if the KMS refuses.
        """
        clear = clear or secrets.token_bytes(_DATA_KEY_BYTES)
        if encryption.algorithm != "KMS":
            version, wrapped = self._masters.wrap(clear)
            text = f"own:{version}:{base64.b64encode(wrapped).decode()}"
            return DataKey(clear=clear, wrapped=text)
        try:
            self._check_right(encryption.key_id, "GenerateDataKey", caller)
            return DataKey(clear=clear, wrapped=f"kms:{self._kms.wrap(encryption.key_id, clear)}")
        except KmsError as refusal:
            raise _translated(refusal) from refusal

    def unwrap(self, wrapped: str, caller: Credential) -> DataKey:
        """The data key of a row. Raises OssError as OSS does if the KMS refuses."""
        if not wrapped:
            return NO_DATA_KEY
        kind, _, rest = wrapped.partition(":")
        if kind == "own":
            version, _, encoded = rest.partition(":")
            clear = self._masters.unwrap(version, base64.b64decode(encoded))
            return DataKey(clear=clear, wrapped=wrapped)
        try:
            self._check_right(self._kms.key_of(rest), "Decrypt", caller)
            return DataKey(clear=self._kms.unwrap(rest), wrapped=wrapped)
        except KmsError as refusal:
            raise _translated(refusal) from refusal

    def _check_right(self, key_id: str, action: str, caller: Credential) -> None:
        default = self._kms.store.alias(DEFAULT_ALIAS)
        if action in caller.kms_denied and (default is None or default.key != key_id):
            raise KmsError("Forbidden.NoPermission")


def _translated(refusal: KmsError) -> OssError:
    if refusal.code == "Forbidden.NoPermission":
        return OssError("AccessDenied", "This request is forbidden by kms")
    if refusal.code in _CODES:
        return OssError(_CODES[refusal.code])
    return OssError("ServiceUnavailable", "The KMS does not answer.", status=503)
