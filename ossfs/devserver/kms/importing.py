"""Actions that bring one's own key material: GetParametersForImport and its relatives.

The import token holds the private key and what it is for, sealed by the KMS itself; so nothing is
kept between the two calls, and a token outlives a restart.
"""

import base64
import binascii
import json

import trio
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ossfs.devserver.kms.call import Answer, Call, iso_time
from ossfs.devserver.kms.errors import KmsError, invalid
from ossfs.devserver.kms.keystore import MATERIAL_BYTES, Key

_TOKEN_SECONDS = 24 * 3600
_PURPOSE = "import token"
_PADDINGS: dict[str, padding.AsymmetricPadding] = {
    "RSAES_PKCS1_V1_5": padding.PKCS1v15(),
    "RSAES_OAEP_SHA_1": padding.OAEP(
        mgf=padding.MGF1(hashes.SHA1()),  # noqa: S303 - fixed by the API, and safe in OAEP
        algorithm=hashes.SHA1(),  # noqa: S303 - the same
        label=None,
    ),
    "RSAES_OAEP_SHA_256": padding.OAEP(
        mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None
    ),
}


def _external_key(call: Call) -> Key:
    key = call.key()
    if key.origin != "EXTERNAL":
        raise KmsError("Unsupported.Origin")
    return key


async def get_parameters_for_import(call: Call) -> Answer:
    """GetParametersForImport: a public key that wraps the material, and the token for it."""
    key = _external_key(call)
    algorithm = call.choice("WrappingAlgorithm", None, tuple(_PADDINGS))
    call.choice("WrappingKeySpec", None, ("RSA_2048",))
    private = await trio.to_thread.run_sync(rsa.generate_private_key, 65537, 2048)
    expires_at = call.now + _TOKEN_SECONDS
    der = private.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    fields = [key.id, algorithm, expires_at, base64.b64encode(der).decode()]
    public = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    token = call.store.vault.seal(json.dumps(fields).encode(), _PURPOSE)
    return {
        "KeyId": key.id,
        "PublicKey": base64.b64encode(public).decode(),
        "ImportToken": base64.b64encode(token).decode(),
        "TokenExpireTime": iso_time(expires_at),
    }


def _unwrapped(call: Call, key: Key) -> bytes:
    """The material in the request. Raises KmsError."""
    try:
        sealed = base64.b64decode(call.text("ImportToken"), validate=True)
    except (binascii.Error, ValueError):
        raise KmsError("InvalidImportToken") from None
    token = call.store.vault.open(sealed, _PURPOSE)
    if token is None:
        raise KmsError("InvalidImportToken")
    key_id, algorithm, expires_at, der = json.loads(token)
    if key_id != key.id:
        raise KmsError("InvalidImportToken")
    if call.now >= expires_at:
        raise KmsError("ExpiredImportToken")
    private = serialization.load_der_private_key(base64.b64decode(der), None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise TypeError("import tokens hold RSA keys")
    try:
        material = private.decrypt(call.encoded("EncryptedKeyMaterial"), _PADDINGS[algorithm])
    except ValueError:
        raise KmsError("InvalidKeyMaterial") from None
    if len(material) != MATERIAL_BYTES:
        raise KmsError("InvalidKeyMaterial")
    return material


async def import_key_material(call: Call) -> Answer:
    """ImportKeyMaterial: 32 bytes; after the first time only the same ones."""
    key = _external_key(call)
    if key.state == "PendingDeletion":
        raise KmsError("Rejected.StateModifiedFailed")
    expires_at = call.number("KeyMaterialExpireUnix", 0, 0, 10**11)
    if expires_at and expires_at <= call.now:
        raise invalid("KeyMaterialExpireUnix")
    if not call.store.import_material(key, _unwrapped(call, key), expires_at or None):
        raise KmsError("InvalidKeyMaterial")
    return {}


async def delete_key_material(call: Call) -> Answer:
    """DeleteKeyMaterial: the key waits for the same material again."""
    call.store.drop_material(_external_key(call).id)
    return {}
