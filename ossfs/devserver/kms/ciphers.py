"""Actions that encrypt: GenerateDataKey, Encrypt, Decrypt, ReEncrypt.

A blob is the id of the key version in ASCII, 36 characters, then nonce, ciphertext and tag of
AES-256-GCM under the material of that version. The encryption context is authenticated with it and
stored nowhere.
"""

import base64
import re
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ossfs.devserver.kms.call import Answer, Call, check_usable, material_of
from ossfs.devserver.kms.errors import KmsError, invalid
from ossfs.devserver.kms.keystore import Key, KeyVersion

_NONCE_BYTES = 12
_VERSION_BYTES = 36
_MAX_PLAINTEXT_CHARACTERS = 8192
_SPECS = {"AES_256": 32, "AES_128": 16}
_UUID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def version_of(blob: bytes) -> str | None:
    """The id of the key version in a blob, None for what is no blob."""
    identity = blob[:_VERSION_BYTES]
    return identity.decode() if _UUID.fullmatch(identity) else None


def sealed(version: KeyVersion, plaintext: str, context: bytes) -> str:
    """The blob, in base64. Raises KmsError Rejected.PendingImport."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    identity = version.id.encode()
    ciphertext = AESGCM(material_of(version)).encrypt(
        nonce, plaintext.encode("utf-8", "surrogateescape"), identity + context
    )
    return base64.b64encode(identity + nonce + ciphertext).decode()


def opened(call: Call, context: bytes) -> tuple[str, KeyVersion]:
    """The plaintext in CiphertextBlob and the version that encrypted it. Raises KmsError."""
    blob = call.encoded("CiphertextBlob")
    identity = version_of(blob)
    if identity is None:
        raise invalid("CiphertextBlob")
    version = call.store.version(identity)
    key = None if version is None else call.store.key(version.key)
    if version is None or key is None:
        raise KmsError("Forbidden.KeyNotFound")
    check_usable(key)
    nonce_end = _VERSION_BYTES + _NONCE_BYTES
    try:
        plaintext = AESGCM(material_of(version)).decrypt(
            blob[_VERSION_BYTES:nonce_end], blob[nonce_end:], identity.encode() + context
        )
    except (InvalidTag, ValueError):
        # Damage and another context look the same, which is what authenticating it means.
        raise invalid("CiphertextBlob") from None
    return plaintext.decode("utf-8", "surrogateescape"), version


def _encrypted(call: Call, key: Key, plaintext: str, context: bytes) -> Answer:
    version = call.store.primary(key.id)
    return {
        "CiphertextBlob": sealed(version, plaintext, context),
        "KeyId": key.id,
        "KeyVersionId": version.id,
    }


def _data_key(call: Call) -> str:
    spec = call.choice("KeySpec", "AES_256", tuple(_SPECS))
    size = call.number("NumberOfBytes", _SPECS[spec], 1, 1024)
    return base64.b64encode(secrets.token_bytes(size)).decode()


async def generate_data_key(call: Call) -> Answer:
    """GenerateDataKey: random bytes, in the clear and encrypted."""
    key, plaintext = call.usable_key(), _data_key(call)
    return {**_encrypted(call, key, plaintext, call.context()), "Plaintext": plaintext}


async def generate_data_key_without_plaintext(call: Call) -> Answer:
    """GenerateDataKeyWithoutPlaintext: the same, encrypted only."""
    return _encrypted(call, call.usable_key(), _data_key(call), call.context())


async def encrypt(call: Call) -> Answer:
    """Encrypt. Plaintext is base64 by agreement only: Decrypt returns the very characters."""
    key, plaintext = call.usable_key(), call.text("Plaintext")
    if len(plaintext) > _MAX_PLAINTEXT_CHARACTERS:
        raise invalid("Plaintext")
    return _encrypted(call, key, plaintext, call.context())


async def decrypt(call: Call) -> Answer:
    """Decrypt, with the version that encrypted."""
    plaintext, version = opened(call, call.context())
    return {"Plaintext": plaintext, "KeyId": version.key, "KeyVersionId": version.id}


async def re_encrypt(call: Call) -> Answer:
    """ReEncrypt: from one key, version or context to another; the plaintext stays inside."""
    plaintext, _ = opened(call, call.context("SourceEncryptionContext"))
    key = call.usable_key("DestinationKeyId")
    return _encrypted(call, key, plaintext, call.context("DestinationEncryptionContext"))
