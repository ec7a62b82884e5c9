"""Keys of a KMS are made from what people wrote: one client for each KMS, with its certificates."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
import trio

from ossfs.compose.clients import open_kms
from ossfs.config.sections import Connection, Keys
from ossfs.errors import KeyProblem, KeyUnavailable, UsageError
from ossfs.keys.keyring_file import KmsEntry
from ossfs.keys.kms_factory import KmsFactory, KmsSettings
from tests.keys.fakes import write_private
from tests.keys.kms_mock import Always, MockKms
from tests.store.scripted import Client, Scripted
from tests.store.test_tls import Authority, _authority

SETTINGS = KmsSettings(
    endpoint="https://kms.example.com", signature="acs3", pause=max, retries=0, timeout=10
)
ENTRY = KmsEntry(name="cloud", key_id="alias/a")


class Connections:
    """Makes transports to one mock, and notes to where."""

    def __init__(self) -> None:
        self.made: list[tuple[str, Path | None]] = []
        self.kms = MockKms()

    def __call__(self, endpoint: str, ca_bundle: Path | None) -> httpx.AsyncBaseTransport:
        self.made.append((endpoint, ca_bundle))
        return httpx.MockTransport(self.kms)


async def test_keys_of_one_kms_share_its_client() -> None:
    connections = Connections()
    factory = KmsFactory(SETTINGS, credentials=Always, connect=connections)
    instance, bundle = "https://kst-1.cryptoservice.kms.aliyuncs.com", Path("/ca.pem")
    for entry in (
        ENTRY,
        replace(ENTRY, key_id="alias/b"),
        replace(ENTRY, endpoint=instance, ca_bundle=bundle),
        replace(ENTRY, endpoint="kst-1.cryptoservice.kms.aliyuncs.com", ca_bundle=bundle),
    ):
        key = factory(entry)
        assert key.name == "cloud"
        await key.wrap(b"secret")
    assert connections.made == [("https://kms.example.com", None), (instance, bundle)]
    named = [sent["KeyId"] for _, sent in connections.kms.calls]
    assert named == ["alias/a", "alias/b", "alias/a", "alias/a"]
    await factory.aclose()


async def test_a_context_is_read_from_its_file(tmp_path: Path) -> None:
    connections = Connections()
    factory = KmsFactory(SETTINGS, credentials=Always, connect=connections)
    file = write_private(tmp_path / "context.json", '{"x-passphrase": "open sesame"}\n')
    await factory(replace(ENTRY, context_file=file)).wrap(b"secret")
    sent = connections.kms.calls[-1][1]
    assert json.loads(sent["EncryptionContext"]) == {"x-passphrase": "open sesame"}
    for bad, said in [(b"{", "JSON"), (b'{"a": 1}', "strings"), (b"\xff", "UTF-8")]:
        with pytest.raises(KeyProblem, match=said) as caught:
            factory(replace(ENTRY, context_file=write_private(file, bad)))
        assert str(caught.value).startswith(f"{file}: ")
    file.unlink()
    with pytest.raises(KeyProblem, match="cannot read the context: No such file"):
        factory(replace(ENTRY, context_file=file))


@pytest.mark.parametrize("endpoint", ["http://kms.example.com", "https://a/b", "ftp://a"])
def test_an_endpoint_that_will_not_do_is_a_key_problem(endpoint: str) -> None:
    factory = KmsFactory(SETTINGS, credentials=Always, connect=Connections())
    with pytest.raises(KeyProblem, match="cloud"):
        factory(replace(ENTRY, endpoint=endpoint))


@pytest.mark.parametrize("of_entry", ["http://kms.example.com", None])
def test_a_kms_in_clear_must_be_meant(of_entry: str | None) -> None:
    entry = replace(ENTRY, endpoint=of_entry)
    settings = replace(SETTINGS, endpoint="http://kms.example.com")
    connections = Connections()
    with pytest.raises(KeyProblem, match="is not encrypted; use https, or --allow-http"):
        KmsFactory(settings, credentials=Always, connect=connections)(entry)
    assert not connections.made
    meant = replace(settings, allow_http=True)
    KmsFactory(meant, credentials=Always, connect=connections)(entry)
    here = replace(settings, endpoint="http://127.0.0.1:8000")
    KmsFactory(here, credentials=Always, connect=connections)(ENTRY)
    assert [made[0] for made in connections.made] == [settings.endpoint, here.endpoint]


def test_without_region_and_endpoint_there_is_no_kms_to_ask() -> None:
    factory = KmsFactory(replace(SETTINGS, endpoint=""), credentials=Always, connect=Connections())
    with pytest.raises(KeyProblem, match="endpoint"):
        factory(ENTRY)


@pytest.mark.parametrize("integrity", ["require", "prefer", "off"])
async def test_a_mount_that_requires_integrity_requires_the_context(
    integrity: Literal["require", "prefer", "off"],
) -> None:
    keys = Keys(kms_endpoint="https://kms.example.com", integrity=integrity)
    factory = open_kms(keys, Connection(credentials_file=Path("/none")))
    assert factory._settings.strict is (integrity == "require")


# --- certificates -----------------------------------------------------------------------------

ServeKms = Callable[[Authority], Any]


async def _kms(client: Client) -> None:
    while True:
        head, _ = await client.request()
        if not head:
            return
        await client.answer(json.dumps({"CiphertextBlob": "QUJD", "KeyId": "a"}).encode())


@pytest.fixture
async def serve(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServeKms]:
    """Starts a KMS behind TLS that encrypts all there is to the same."""
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", "secret")
    async with trio.open_nursery() as nursery:

        async def start(authority: Authority) -> str:
            server = await Scripted(_kms).start(nursery, authority.server)
            return f"https://127.0.0.1:{server.port}"

        yield start
        nursery.cancel_scope.cancel()


async def test_an_instance_is_trusted_by_its_own_authority(serve: ServeKms, tmp_path: Path) -> None:
    authority = _authority(tmp_path / "instance", "127.0.0.1")
    other = _authority(tmp_path / "other", "127.0.0.1")
    endpoint = await serve(authority)

    async def wrap(of_mount: Path | None, of_key: Path | None) -> bytes:
        connection = Connection(ca_bundle=of_mount, retries=0)
        factory = open_kms(Keys(kms_endpoint=endpoint), connection)
        try:
            return await factory(replace(ENTRY, ca_bundle=of_key)).wrap(b"secret")
        finally:
            await factory.aclose()

    assert await wrap(authority.bundle, None) == b"ABC"
    assert await wrap(other.bundle, authority.bundle) == b"ABC"
    for of_mount, of_key in ((None, None), (other.bundle, None), (authority.bundle, other.bundle)):
        with pytest.raises(KeyUnavailable, match="certificate"):
            await wrap(of_mount, of_key)
    with pytest.raises(UsageError, match="CA bundle"):
        await wrap(tmp_path / "nowhere.pem", None)
