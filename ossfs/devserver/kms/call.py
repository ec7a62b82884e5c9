"""One call of an action as its handler sees it, and what all handlers have in common."""

import base64
import binascii
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ossfs.devserver.documents import ACCOUNT
from ossfs.devserver.kms.errors import KmsError, invalid, missing
from ossfs.devserver.kms.keystore import Key, KeyStore, KeyVersion

_MAX_CONTEXT_CHARACTERS = 8192
_MAX_PAGE = 100

Answer = dict[str, object]


def iso_time(seconds: int | None) -> str:
    """A time as answers have it, empty for None."""
    if seconds is None:
        return ""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An authenticated call. now: seconds since the epoch."""

    parameters: Mapping[str, str]
    store: KeyStore
    region: str
    now: int

    # Parameters

    def text(self, name: str, default: str | None = None) -> str:
        """A parameter; empty is absent. Raises KmsError MissingParameter without a default."""
        value = self.parameters.get(name) or default
        if value is None:
            raise missing(name)
        return value

    def choice(self, name: str, default: str | None, choices: Sequence[str]) -> str:
        """One of *choices*. Raises KmsError InvalidParameter or MissingParameter."""
        value = self.text(name, default)
        if value not in choices:
            raise invalid(name)
        return value

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number. Raises KmsError InvalidParameter outside of low..high."""
        text = self.text(name, str(default))
        digits = text.isascii() and text.isdecimal() and len(text) <= 12
        if not digits or not low <= int(text) <= high:
            raise invalid(name)
        return int(text)

    def encoded(self, name: str) -> bytes:
        """Bytes in base64. Raises KmsError InvalidParameter or MissingParameter."""
        try:
            return base64.b64decode(self.text(name), validate=True)
        except (binascii.Error, ValueError):
            raise invalid(name) from None

    def context(self, name: str = "EncryptionContext") -> bytes:
        """An encryption context in its one canonical form; no context is an empty one.

        Raises KmsError InvalidParameter if it is no JSON object of strings.
        """
        text = self.text(name, "{}")
        try:
            context = json.loads(text)
        except ValueError:
            raise invalid(name) from None
        strings = isinstance(context, dict) and all(isinstance(v, str) for v in context.values())
        if not strings or len(text) > _MAX_CONTEXT_CHARACTERS:
            raise invalid(name)
        return json.dumps(context, sort_keys=True).encode()

    # Keys

    def arn(self, resource: str) -> str:
        """The name of a key or alias in the whole cloud."""
        prefix = "" if resource.startswith("alias/") else "key/"
        return f"acs:kms:{self.region}:{ACCOUNT}:{prefix}{resource}"

    def key(self, name: str = "KeyId", *, aliases: bool = False) -> Key:
        """The key that a parameter names: by id, by ARN, or where *aliases* by alias.

        Raises KmsError MissingParameter, Forbidden.KeyNotFound, Forbidden.AliasNotFound or
        Unsupported.Alias.
        """
        identity = self._local_name(self.text(name))
        if identity.startswith("alias/"):
            if not aliases:
                raise KmsError("Unsupported.Alias")
            alias = self.store.alias(identity)
            if alias is None:
                raise KmsError("Forbidden.AliasNotFound")
            identity = alias.key
        key = self.store.key(identity)
        if key is None:
            raise KmsError("Forbidden.KeyNotFound")
        return key

    def _local_name(self, name: str) -> str:
        if not name.startswith("acs:"):
            return name
        for kind in ("key/", "alias/"):
            prefix = f"acs:kms:{self.region}:{ACCOUNT}:{kind}"
            if name.startswith(prefix):
                return name.removeprefix(prefix.removesuffix("alias/"))
        # A key of another region or account cannot be found here.
        raise KmsError("Forbidden.KeyNotFound")

    def usable_key(self, name: str = "KeyId") -> Key:
        """The key, for encryption. Raises KmsError as `key`, and if its state forbids it."""
        key = self.key(name, aliases=True)
        check_usable(key)
        return key

    def page(self, items: Sequence[object], container: str, item: str) -> Answer:
        """One page of a listing."""
        size = self.number("PageSize", 10, 1, _MAX_PAGE)
        number = self.number("PageNumber", 1, 1, 10**9)
        start = (number - 1) * size
        return {
            container: {item: list(items[start : start + size])},
            "TotalCount": len(items),
            "PageNumber": number,
            "PageSize": size,
        }


def check_usable(key: Key) -> None:
    """Raises KmsError Rejected.Disabled, .PendingDeletion or .PendingImport."""
    if key.state != "Enabled":
        raise KmsError(f"Rejected.{key.state}")


def material_of(version: KeyVersion) -> bytes:
    """The bytes of a version of a usable key. Raises KmsError Rejected.PendingImport."""
    if version.material is None:
        raise KmsError("Rejected.PendingImport")
    return version.material
