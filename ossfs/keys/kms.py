"""A master key in the KMS of Alibaba Cloud: wraps and unwraps there, one request each.

    key = KmsMasterKey(client, "alias/photos", coding="single", context={"x-passphrase": "…"})

What an object holds of the blob that the KMS made comes in two codings: "single" are the bytes that
the blob is the base64 of (Go, Java, and the samples of the other SDKs), "double" is its base64 text
(the AliKMSProvider of oss2). Reading tells them apart: the bytes of a blob begin with the id of a
key version, whose hyphens are not in the alphabet of base64. "deprecated" is the single one under
the name that the deprecated form of envelope has for it, where a secret is text (`MasterKey`).

When reading, the configured context is tried, then none. What another key of the KMS wrapped is not
ours, even if the access key may use that key too.
"""

import base64
import binascii
import re
import secrets
from collections.abc import Mapping
from typing import final

from ossfs.errors import KeyProblem, KeyUnavailable, OssfsError
from ossfs.format.envelope import DEPRECATED_KMS, KMS
from ossfs.keys.base import WrongKey
from ossfs.keys.kms_client import Context, Decrypted, KmsClient
from ossfs.keys.kms_identity import KmsIdentity
from ossfs.keys.kms_refusal import KmsRefusal

_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_WRAP_ALGS = {"single": KMS, "double": KMS, "deprecated": DEPRECATED_KMS}

_WRAPPED_BYTES = 512
"""As much as an RSA key of 4,096 bits makes, for which there is room; a blob takes about 120."""


@final
class KmsMasterKey:
    """One key in the KMS; implements `MasterKey`."""

    def __init__(
        self,
        client: KmsClient,
        key_id: str,
        *,
        coding: str = "single",
        context: Context | None = None,
        name: str | None = None,
        matdesc: Mapping[str, str] | None = None,
        strict: bool = False,
    ) -> None:
        """key_id: id, ARN or alias/NAME; coding: "single", "double" or "deprecated"; strict: only
        the configured context counts, and a key that cannot be told from others is refused.
        """
        self._client = client
        self._key_id = key_id
        self._identity = KmsIdentity(key_id, client, strict=strict)
        self._strict = strict
        self._double = coding == "double"
        self._wrap_alg = _WRAP_ALGS[coding]
        self._context = dict(context or {})
        self._name = name or key_id
        self._matdesc = dict(matdesc or {})

    @property
    def name(self) -> str:
        """The id of the key, or what the keyring calls it."""
        return self._name

    @property
    def wrap_alg(self) -> str:
        """Decided by the coding."""
        return self._wrap_alg

    @property
    def unwrap_algs(self) -> frozenset[str]:
        """That of the current form and that of the deprecated one."""
        return frozenset(_WRAP_ALGS.values())

    @property
    def matdesc(self) -> Mapping[str, str]:
        """The description stored with each object."""
        return self._matdesc

    @property
    def can_unwrap(self) -> bool:
        """As far as can be known without asking."""
        return True

    @property
    def wrapped_limit(self) -> int:
        """`wrap` refuses to return more."""
        return _WRAPPED_BYTES

    async def wrap(self, secret: bytes) -> bytes:
        """Encrypt. Raises KeyUnavailable."""
        text = self._wrap_alg == DEPRECATED_KMS
        plaintext = secret.decode("ascii") if text else base64.b64encode(secret).decode("ascii")
        made = await self._client.encrypt(self._key_id, plaintext, self._context)
        self._identity.learn(made.key_id)
        try:
            raw = base64.b64decode(made.blob, validate=True)
        except (binascii.Error, ValueError) as exc:
            raise KeyUnavailable("the KMS returned a ciphertext that is not base64") from exc
        wrapped = made.blob.encode("ascii") if self._double else raw
        if len(wrapped) > _WRAPPED_BYTES:
            raise KeyUnavailable(f"the KMS returned a ciphertext of {len(wrapped)} bytes")
        return wrapped

    async def unwrap(self, wrapped: bytes, wrap_alg: str) -> bytes:
        """Decrypt, in either coding. Raises WrongKey, KeyUnavailable (another key's, too)."""
        opened = await self._decrypt(blob_of(wrapped))
        await self._identity.check(opened.key_id)
        try:
            if wrap_alg == DEPRECATED_KMS:
                return opened.plaintext.encode("ascii")
            return base64.b64decode(opened.plaintext, validate=True)
        except ValueError:
            raise WrongKey from None

    async def _decrypt(self, blob: str) -> Decrypted:
        if self._context:
            try:
                return await self._client.decrypt(blob, self._context, key_id=self._key_id)
            except WrongKey:
                if self._strict:
                    raise
                # Written without a context, perhaps.
        return await self._client.decrypt(blob, {}, key_id=self._key_id)

    async def check(self, *, writes: bool) -> None:
        """Raises KeyProblem, with one line that says why, if the key is of no use to a mount.

        writes: it must wrap, and unwrap what it wrapped; else a look at its state is enough, where
        the policy allows one.
        """
        try:
            if not writes:
                await self._check_state()
                return
            secret = base64.b64encode(secrets.token_bytes(24))
            if await self.unwrap(await self.wrap(secret), self._wrap_alg) != secret:
                raise KeyProblem(f"the KMS key {self._key_id} does not decrypt what it encrypted")
        except OssfsError as error:
            raise KeyProblem(str(error)) from error

    async def _check_state(self) -> None:
        try:
            found = await self._client.describe(self._key_id)
        except KmsRefusal as refusal:
            if not refusal.is_not_allowed or (self._strict and not self._identity.is_known):
                raise
            return
        self._identity.learn(found.key_id)
        if found.state != "Enabled":
            raise KeyProblem(f"the KMS key {self._key_id} is {found.state}, not Enabled")

    def __repr__(self) -> str:
        return f"<KmsMasterKey {self._name}>"


def blob_of(wrapped: bytes) -> str:
    """The blob as the KMS made it, out of what an object holds of it in either coding."""
    if _BASE64.fullmatch(wrapped):
        return wrapped.decode("ascii")
    return base64.b64encode(wrapped).decode("ascii")
