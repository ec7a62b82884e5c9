"""Actions on aliases: create, update, delete, list."""

import re

from ossfs.devserver.kms.call import Answer, Call
from ossfs.devserver.kms.errors import KmsError, invalid
from ossfs.devserver.kms.keystore import Alias

_NAME = re.compile(r"alias/[A-Za-z0-9_/-]{1,249}")


def _name(call: Call) -> str:
    name = call.text("AliasName")
    if not _NAME.fullmatch(name):
        raise invalid("AliasName")
    return name


def _existing(call: Call) -> Alias:
    alias = call.store.alias(_name(call))
    if alias is None:
        raise KmsError("Forbidden.AliasNotFound")
    return alias


async def create_alias(call: Call) -> Answer:
    """CreateAlias."""
    name, key = _name(call), call.key()
    if call.store.alias(name) is not None:
        raise KmsError("AliasAlreadyExists")
    if key.state == "PendingDeletion":
        raise KmsError("Rejected.StateModifiedFailed")
    call.store.set_alias(name, key.id)
    return {}


async def update_alias(call: Call) -> Answer:
    """UpdateAlias: the alias names another key, in whatever state that one is but one."""
    alias, key = _existing(call), call.key()
    if key.state == "PendingDeletion":
        raise KmsError("Rejected.PendingDeletion")
    call.store.set_alias(alias.name, key.id)
    return {}


async def delete_alias(call: Call) -> Answer:
    """DeleteAlias; the key stays."""
    call.store.delete_alias(_existing(call).name)
    return {}


def _listed(call: Call, key: str | None) -> Answer:
    found = [
        {"AliasName": alias.name, "AliasArn": call.arn(alias.name), "KeyId": alias.key}
        for alias in call.store.aliases(key)
    ]
    return call.page(found, "Aliases", "Alias")


async def list_aliases(call: Call) -> Answer:
    """ListAliases."""
    return _listed(call, None)


async def list_aliases_by_key_id(call: Call) -> Answer:
    """ListAliasesByKeyId."""
    return _listed(call, call.key().id)
