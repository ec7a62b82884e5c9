"""Actions on keys: create, describe, list, switch, delete, and add versions."""

from ossfs.devserver.documents import ACCOUNT
from ossfs.devserver.kms.call import Answer, Call, check_usable, iso_time
from ossfs.devserver.kms.errors import KmsError
from ossfs.devserver.kms.keystore import Key, KeyVersion

_DAY_SECONDS = 24 * 3600
_MAX_DESCRIPTION = 8192


def metadata(call: Call, key: Key) -> Answer:
    """KeyMetadata as CreateKey and DescribeKey have it."""
    primary = call.store.primary(key.id)
    return {
        "KeyId": key.id,
        "Arn": call.arn(key.id),
        "KeyState": key.state,
        "KeySpec": "Aliyun_AES_256",
        "KeyUsage": "ENCRYPT/DECRYPT",
        "Origin": key.origin,
        "ProtectionLevel": key.protection,
        "Description": key.description,
        "Creator": ACCOUNT,
        "CreationDate": iso_time(key.created),
        "DeleteDate": iso_time(key.delete_at),
        "MaterialExpireTime": iso_time(key.expires_at),
        "PrimaryKeyVersion": primary.id,
        "LastRotationDate": iso_time(primary.created),
        "AutomaticRotation": "Disabled",
    }


async def create_key(call: Call) -> Answer:
    """CreateKey, symmetric ones only."""
    symmetric = call.text("KeySpec", "Aliyun_AES_256") == "Aliyun_AES_256"
    if not symmetric or call.text("KeyUsage", "ENCRYPT/DECRYPT") != "ENCRYPT/DECRYPT":
        raise KmsError("UnsupportedOperation")
    origin = call.choice("Origin", "Aliyun_KMS", ("Aliyun_KMS", "EXTERNAL"))
    key = call.store.create(
        origin="EXTERNAL" if origin == "EXTERNAL" else "Aliyun_KMS",
        description=call.text("Description", "")[:_MAX_DESCRIPTION],
        protection=call.choice("ProtectionLevel", "SOFTWARE", ("SOFTWARE", "HSM")),
    )
    return {"KeyMetadata": metadata(call, key)}


async def describe_key(call: Call) -> Answer:
    """DescribeKey."""
    return {"KeyMetadata": metadata(call, call.key(aliases=True))}


async def list_keys(call: Call) -> Answer:
    """ListKeys."""
    found = [{"KeyId": key.id, "KeyArn": call.arn(key.id)} for key in call.store.all_keys()]
    return call.page(found, "Keys", "Key")


def _switch(call: Call, *, on: bool) -> Answer:
    key = call.key()
    if key.state not in {"Enabled", "Disabled"}:
        raise KmsError("Rejected.StateModifiedFailed")
    call.store.set_state(key.id, "Enabled" if on else "Disabled")
    return {}


async def enable_key(call: Call) -> Answer:
    """EnableKey."""
    return _switch(call, on=True)


async def disable_key(call: Call) -> Answer:
    """DisableKey."""
    return _switch(call, on=False)


async def schedule_key_deletion(call: Call) -> Answer:
    """ScheduleKeyDeletion: the key goes after PendingWindowInDays."""
    key = call.key()
    call.text("PendingWindowInDays")
    days = call.number("PendingWindowInDays", 7, 7, 366)
    if key.state == "PendingDeletion":
        raise KmsError("Rejected.StateModifiedFailed")
    call.store.set_state(key.id, "PendingDeletion", call.now + days * _DAY_SECONDS)
    return {}


async def cancel_key_deletion(call: Call) -> Answer:
    """CancelKeyDeletion: the key can be used again, if it has its material."""
    key = call.key()
    if key.state != "PendingDeletion":
        raise KmsError("Rejected.StateModifiedFailed")
    has_material = call.store.primary(key.id).material is not None
    call.store.set_state(key.id, "Enabled" if has_material else "PendingImport")
    return {}


def _version_facts(version: KeyVersion) -> Answer:
    return {
        "KeyId": version.key,
        "KeyVersionId": version.id,
        "CreationDate": iso_time(version.created),
    }


async def create_key_version(call: Call) -> Answer:
    """CreateKeyVersion: from now on the new one encrypts; all go on decrypting."""
    key = call.key(aliases=True)
    if key.origin == "EXTERNAL":
        raise KmsError("Unsupported.Origin")
    check_usable(key)
    return {"KeyVersion": _version_facts(call.store.add_version(key.id))}


async def list_key_versions(call: Call) -> Answer:
    """ListKeyVersions, the oldest first."""
    versions = call.store.versions(call.key(aliases=True).id)
    return call.page([_version_facts(item) for item in versions], "KeyVersions", "KeyVersion")


async def describe_key_version(call: Call) -> Answer:
    """DescribeKeyVersion."""
    key = call.key(aliases=True)
    version = call.store.version(call.text("KeyVersionId"))
    if version is None or version.key != key.id:
        raise KmsError("Forbidden.KeyVersionNotFound")
    return {"KeyVersion": _version_facts(version)}
