"""TLS of OSS and KMS as a mount meets it: what fails is one line that says what to do."""

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ossfs.compose.checks import check_bucket
from ossfs.compose.clients import close, load_keys, open_kms, open_store
from ossfs.config.sections import Connection, Keys, Where
from ossfs.devserver import RunningServer, ServerConfig, TlsConfig, certificates
from ossfs.errors import BucketError, KeyProblem
from ossfs.keys.kms import KmsMasterKey

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


class Service:
    """A server, the authority that clients of it trust, and what a mount on it is told."""

    def __init__(self, server: RunningServer, bundle: Path | None, folder: Path) -> None:
        self.server = server
        self.bundle = bundle
        self.credentials = folder / "credentials"
        self.credentials.touch(0o600)
        self.credentials.write_text(
            "[default]\n"
            f"access-key-id = {server.access_key_id}\n"
            f"access-key-secret = {server.access_key_secret}\n"
        )
        self.where = Where(bucket="bkt", endpoint=server.endpoint, region=server.region)

    def connection(self, **changes: Any) -> Connection:
        base = Connection(credentials_file=self.credentials, ca_bundle=self.bundle, retries=3)
        return replace(base, **changes)

    async def try_bucket(self, **changes: Any) -> None:
        store = open_store(self.where, self.connection(**changes))
        try:
            await check_bucket(store, self.where)
        finally:
            await close(store)

    async def try_kms(self, **changes: Any) -> None:
        keys = Keys(
            encrypt="kms", kms_key_id="alias/ossfs-demo", kms_endpoint=self.server.kms_endpoint
        )
        kms = open_kms(keys, self.connection(**changes))
        try:
            writer = load_keys(keys, kms).writer
            assert isinstance(writer, KmsMasterKey)
            await writer.check(writes=True)
        finally:
            await close(kms)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Service]]:
    """One with each kind of certificate."""
    folder = tmp_path_factory.mktemp("tls")
    given = {
        "expired": (["127.0.0.1"], NOW - DAY),
        "of another name": (["oss.example.com"], NOW + DAY),
    }
    kinds: dict[str, TlsConfig] = {"good": TlsConfig(), "old": TlsConfig(maximum="1.2")}
    bundles: dict[str, Path] = {}
    for name, (names, until) in given.items():
        files = certificates.make(folder / name, names, NOW - 9 * DAY, until)
        kinds[name], bundles[name] = TlsConfig(certificate=files.server), files.authority
    with ExitStack() as stack:
        found = {}
        for name, tls in kinds.items():
            root = folder / f"root {name}"
            config = ServerConfig(root=root, tls=tls)
            server = stack.enter_context(RunningServer(config, buckets=["bkt"]))
            found[name] = Service(server, bundles.get(name) or server.ca_bundle, root)
        yield found


async def test_a_trusted_server_is_used_with_any_version(servers: dict[str, Service]) -> None:
    for name, least in (("good", "1.2"), ("good", "1.3"), ("old", "1.2")):
        await servers[name].try_bucket(tls_min=least)
        await servers[name].try_kms(tls_min=least)


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("good", {"ca_bundle": None}, "; --ca-bundle names a file with the authorities to trust"),
        ("expired", {}, "certificate has expired"),
        ("of another name", {}, "IP address mismatch, certificate is not valid for '127.0.0.1'"),
        ("old", {"tls_min": "1.3", "retries": 0}, "perhaps it offers no TLS 1.3 (--tls-min)"),
    ],
)
async def test_what_is_wrong_is_said_at_once_in_one_line_for_oss_and_kms(
    servers: dict[str, Service], name: str, changes: dict[str, Any], says: str
) -> None:
    service = servers[name]
    with pytest.raises(BucketError) as refused:
        await service.try_bucket(**changes)
    assert says in str(refused.value)
    assert str(refused.value).startswith(f"no connection to {service.server.endpoint}: ")
    assert refused.value.exit_code == 3
    with pytest.raises(KeyProblem) as no_key:
        await service.try_kms(**changes)
    assert says in str(no_key.value)
    assert no_key.value.exit_code == 4
    for error in (refused.value, no_key.value):
        assert "\n" not in str(error)


def command(service: Service, tmp_path: Path, *words: str) -> tuple[int, str]:
    """Exit code and stderr of a mount that cannot be."""
    mountpoint = tmp_path / "mnt"
    mountpoint.mkdir()
    options = {
        "encrypt": "none",
        "endpoint": service.server.endpoint,
        "region": service.server.region,
        "credentials-file": service.credentials,
        "state-dir": tmp_path / "state",
    }
    where = [f"--{name}={value}" for name, value in options.items()]
    inherited = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "ossfs", "mount", "oss://bkt", str(mountpoint), *where, *words],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | inherited,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


def test_the_command_ends_with_code_3_and_one_line(
    servers: dict[str, Service], tmp_path: Path
) -> None:
    code, said = command(servers["good"], tmp_path)
    assert code == 3
    assert said.count("\n") == 1
    assert said.startswith("ossfs: no connection to https://127.0.0.1:")
    assert "--ca-bundle" in said
