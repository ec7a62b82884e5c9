"""Keys of the embedded KMS, reached as a mount reaches them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ossfs.devserver import Credential, RunningServer, ServerConfig
from ossfs.keys.keyring import Keyring
from ossfs.keys.keyring_file import KmsEntry
from ossfs.keys.kms import KmsMasterKey
from ossfs.keys.kms_factory import KmsFactory, KmsSettings
from ossfs.store.credentials import EnvironmentCredentials
from ossfs.store.transport import Transport

ALIAS = "alias/tests"
CREDENTIALS = {
    "full": Credential(secret="secret"),
    "sts": Credential(secret="secret", token="token"),
    "expired": Credential(secret="secret", token="token", token_expires=1.0),
    "writer": Credential(secret="secret", kms_denied=frozenset({"Decrypt"})),
    "undescribed": Credential(secret="secret", kms_denied=frozenset({"DescribeKey"})),
    "reader": Credential(secret="secret", kms_denied=frozenset({"Encrypt", "DescribeKey"})),
}

_OPEN: list[KmsFactory] = []


async def close_connections() -> None:
    """Ends what the test that asks has opened."""
    while _OPEN:
        await _OPEN.pop().aclose()


@contextmanager
def kms_server(root: Path, **changes: Any) -> Iterator[RunningServer]:
    """A server with the bucket `bkt` and the key `alias/tests`."""
    config = ServerConfig(root=root, credentials=CREDENTIALS, **changes)
    with RunningServer(config, buckets=["bkt"]) as server:
        server.create_key(ALIAS)
        yield server


def environment(access_key_id: str = "full") -> dict[str, str]:
    """The access key as a mount finds it in its environment."""
    credential = CREDENTIALS[access_key_id]
    return {
        "OSS_ACCESS_KEY_ID": access_key_id,
        "OSS_ACCESS_KEY_SECRET": credential.secret,
        "OSS_SESSION_TOKEN": credential.token or "",
    }


def master(
    server: RunningServer,
    key_id: str = ALIAS,
    *,
    access_key_id: str = "full",
    signature: str = "acs3",
    retries: int = 0,
    strict: bool = False,
    name: str = "kms",
    **fields: Any,
) -> KmsMasterKey:
    """A master key in that KMS, with a client of its own."""
    factory = KmsFactory(
        KmsSettings(
            endpoint=server.kms_endpoint,
            signature=signature,
            pause=lambda _repetition, _at_least: 0.01,
            retries=retries,
            timeout=10,
            strict=strict,
        ),
        credentials=lambda: EnvironmentCredentials(environment(access_key_id)),
        connect=lambda _endpoint, _ca_bundle: Transport(),
    )
    _OPEN.append(factory)
    return factory(KmsEntry(name=name, key_id=key_id, **fields))


def ring(server: RunningServer, key_id: str = ALIAS, **options: Any) -> Keyring:
    """A keyring with that key alone, which remembers nothing."""
    return Keyring([master(server, key_id, **options)])
