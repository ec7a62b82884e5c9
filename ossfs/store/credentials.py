"""Access keys: the value, and where it comes from.

Every request asks its provider again, so that a token that was renewed behind our back is used from
the next request on.
"""

import configparser
import logging
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ossfs.errors import BucketError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An access key; token is there only for a temporary one (STS)."""

    access_key_id: str
    access_key_secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class CredentialsProvider(Protocol):
    """A source of credentials."""

    async def get(self) -> Credentials:
        """What is valid now. Raises BucketError where there is nothing to use."""


_ENVIRONMENT = (
    ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"),
    (
        "ALIBABA_CLOUD_ACCESS_KEY_ID",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
        "ALIBABA_CLOUD_SECURITY_TOKEN",
    ),
)


class EnvironmentCredentials:
    """The access key in environment variables: those of OSS, else those of Alibaba Cloud.

    The two sets are never mixed. Raises BucketError if neither is complete.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._credentials = _from_environment(environment)

    async def get(self) -> Credentials:
        """The access key found at the start."""
        return self._credentials


def _from_environment(environment: Mapping[str, str]) -> Credentials:
    for id_name, secret_name, token_name in _ENVIRONMENT:
        access_key_id = environment.get(id_name, "")
        secret = environment.get(secret_name, "")
        if access_key_id and secret:
            token = environment.get(token_name) or None
            return _checked(id_name, access_key_id, secret, token)
        if access_key_id or secret:
            present, missing = (id_name, secret_name) if access_key_id else (secret_name, id_name)
            raise BucketError(f"{present} is set in the environment, but {missing} is not")
    raise BucketError("no access key: OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET are not set")


def _checked(source: str, access_key_id: str, secret: str, token: str | None) -> Credentials:
    """Raises BucketError for what no header could carry; the values are never shown."""
    for value in (access_key_id, secret, token or ""):
        if not (value.isascii() and value.isprintable()) or value != value.strip():
            raise BucketError(f"the access key from {source} has characters that no key has")
    if "/" in access_key_id or "," in access_key_id:
        raise BucketError(f"the access key id from {source} has characters that no id has")
    return Credentials(access_key_id=access_key_id, access_key_secret=secret, token=token)


class FileCredentials:
    """The access key in a file in the manner of ossutil 2, read again whenever it changes.

        [default]                    # or [profile NAME]; [Credentials] of ossutil 1 is read too
        access-key-id = ...
        access-key-secret = ...
        sts-token = ...              # only for a temporary key

    Names differ neither by case nor by - and _. Raises BucketError at first if the file cannot be
    used, or may be read or changed by others than its owner. Once it has been read, a file that is
    unusable for a moment, as while it is being replaced, leaves the last good key in use.
    """

    def __init__(self, path: Path, profile: str = "default") -> None:
        self._path = path
        self._profile = profile
        self._version, self._credentials = self._read()

    async def get(self) -> Credentials:
        """The access key that the file holds now."""
        try:
            found = os.stat(self._path)
            if _version_of(found) != self._version:
                self._version, self._credentials = self._read()
        except (OSError, BucketError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else exc
            log.warning("credentials file not usable, the last access key stays: %s", reason)
        return self._credentials

    def _read(self) -> tuple[tuple[int, int, int], Credentials]:
        try:
            with open(self._path, encoding="utf-8") as file:
                found = os.fstat(file.fileno())
                _check_mode(self._path, found.st_mode)
                text = file.read(1 << 20)
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "not text"
            raise BucketError(f"credentials file {self._path}: {reason}") from exc
        return _version_of(found), self._parse(text)

    def _parse(self, text: str) -> Credentials:
        parser = configparser.ConfigParser(
            interpolation=None, default_section="\0", strict=False, delimiters=("=",)
        )
        try:
            parser.read_string(text)
        except configparser.Error:
            # Its text and its cause would quote the line, which may hold the secret.
            raise BucketError(f"credentials file {self._path}: not an INI file") from None
        values = self._section(parser)
        found = [values.get(name, "") for name in ("accesskeyid", "accesskeysecret", "ststoken")]
        access_key_id, secret, token = found
        if not access_key_id or not secret:
            missing = "access-key-secret" if access_key_id else "access-key-id"
            raise BucketError(f"credentials file {self._path}: {missing} is missing")
        return _checked(str(self._path), access_key_id, secret, token or None)

    def _section(self, parser: configparser.ConfigParser) -> dict[str, str]:
        default = self._profile == "default"
        wanted = {"default", "credentials"} if default else {f"profile {self._profile}".lower()}
        for name in parser.sections():
            if " ".join(name.split()).lower() in wanted:
                return {
                    key.lower().replace("-", "").replace("_", ""): value.strip()
                    for key, value in parser.items(name)
                }
        raise BucketError(f"credentials file {self._path}: no section for {self._profile!r}")


def _version_of(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_mtime_ns, found.st_size, found.st_ino


def _check_mode(path: Path, mode: int) -> None:
    if stat.S_ISREG(mode) and stat.S_IMODE(mode) & 0o077:
        raise BucketError(f"credentials file {path} is open to others: chmod 600 it")
