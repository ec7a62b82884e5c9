"""What talks to OSS and to the KMS, built from the configuration; needs no kernel."""

import os
from collections.abc import Sequence
from pathlib import Path

import httpx
import trio

from ossfs.config.sections import Connection, Keys, Where
from ossfs.keys.keyring import Keyring
from ossfs.keys.keyring_file import Entry
from ossfs.keys.kms_factory import KmsFactory, KmsSettings
from ossfs.keys.masters import load_masters
from ossfs.keys.trial import Trial, try_key
from ossfs.store.credentials import CredentialsProvider, EnvironmentCredentials, FileCredentials
from ossfs.store.oss import OssStore
from ossfs.store.retry import Retry
from ossfs.store.tls import client_context
from ossfs.store.transport import Transport

CLOSE_SECONDS = 5


def open_store(where: Where, connection: Connection) -> OssStore:
    """A client of the bucket; nothing is asked yet. Raises BucketError, UsageError."""
    credentials = open_credentials(connection)
    tls = None
    if where.endpoint.startswith("https:"):
        tls = client_context(minimum=connection.tls_min, ca_bundle=connection.ca_bundle)
    return OssStore(
        where.bucket,
        region=where.region,
        endpoint=where.endpoint,
        path_style=where.uses_path_style,
        credentials=credentials,
        tls=tls,
        timeout=connection.timeout,
        retries=connection.retries,
        signature=where.signature,
    )


def open_credentials(connection: Connection) -> CredentialsProvider:
    """Where access keys come from. Raises BucketError."""
    if connection.credentials_file is not None:
        return FileCredentials(connection.credentials_file)
    return EnvironmentCredentials(os.environ)


def load_keys(keys: Keys, kms: KmsFactory) -> Keyring:
    """The master keys that were configured; nothing is asked yet. Raises KeyProblem."""
    return Keyring(load_masters(keys, kms=kms))


def try_keys(entries: Sequence[Entry], *, kms_endpoint: str, connection: Connection) -> list[Trial]:
    """What each of the keys can do; *kms_endpoint*: of those that name none."""

    async def try_all() -> list[Trial]:
        kms = open_kms(Keys(kms_endpoint=kms_endpoint), connection)
        try:
            return [await try_key(entry, kms=kms) for entry in entries]
        finally:
            await close(kms)

    return trio.run(try_all)


def open_kms(keys: Keys, connection: Connection) -> KmsFactory:
    """What makes the keys that live in a KMS."""

    def connect(endpoint: str, ca_bundle: Path | None) -> httpx.AsyncBaseTransport:
        tls = None
        if endpoint.startswith("https:"):
            trusted = ca_bundle or connection.ca_bundle
            tls = client_context(minimum=connection.tls_min, ca_bundle=trusted)
        return Transport(tls=tls)

    return KmsFactory(
        KmsSettings(
            endpoint=keys.kms_endpoint,
            signature=keys.kms_signature,
            pause=Retry(retries=connection.retries).wait,
            retries=connection.retries,
            timeout=connection.timeout,
            allow_http=connection.allow_http,
            strict=keys.integrity == "require",
        ),
        credentials=lambda: open_credentials(connection),
        connect=connect,
    )


async def close(client: OssStore | KmsFactory) -> None:
    """End its connections, without waiting long."""
    with trio.move_on_after(CLOSE_SECONDS, shield=True):
        await client.aclose()
