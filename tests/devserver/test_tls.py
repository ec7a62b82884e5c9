"""TLS of both services, with certificates of the server's own making and with given ones."""

import datetime as dt
import socket
import ssl
import stat
from pathlib import Path
from typing import Any

import alibabacloud_oss_v2 as oss
import httpx
import pytest
from cryptography import x509

from ossfs.devserver import RunningServer, TlsConfig, certificates
from ossfs.errors import UsageError
from tests.devserver.clients import Clients, settings

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


def handshake(endpoint: str, trusted: Path, name: str = "127.0.0.1", **limits: Any) -> str:
    """The version of TLS that a client and the server agree on."""
    context = ssl.create_default_context(cafile=trusted)
    for limit, version in limits.items():
        setattr(context, limit, version)
    address = ("127.0.0.1", int(endpoint.rpartition(":")[2]))
    with (
        socket.create_connection(address, timeout=10) as raw,
        context.wrap_socket(raw, server_hostname=name) as secure,
    ):
        return secure.version() or ""


def test_both_services_speak_tls_to_whoever_trusts_the_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunningServer(settings(tmp_path, tls=TlsConfig()), buckets=["bkt"]) as server:
        trusted = server.ca_bundle
        assert trusted is not None
        assert server.endpoint.startswith("https://127.0.0.1:")
        assert server.kms_endpoint.startswith("https://127.0.0.1:")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
        clients, body = Clients(server), b"x" * 3_000_000
        clients.bucket.put_object("k", body)
        found = clients.client.get_object(oss.GetObjectRequest(bucket="bkt", key="k"))
        assert found.body.content == body
        clients.bucket.session.session.close()
        context = ssl.create_default_context(cafile=trusted)
        assert httpx.get(server.kms_endpoint, verify=context).json()["Code"] == "MissingParameter"
        for name in ("127.0.0.1", "::1", "localhost"):
            assert handshake(server.endpoint, trusted, name) == "TLSv1.3"
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(server.endpoint, trusted, "example.org")


def test_who_does_not_trust_or_speaks_no_tls_disturbs_nobody(tmp_path: Path) -> None:
    with RunningServer(settings(tmp_path, tls=TlsConfig()), buckets=["bkt"]) as server:
        assert server.ca_bundle is not None
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(server.endpoint)
        with pytest.raises(httpx.TransportError):
            httpx.get(server.endpoint.replace("https", "http"))
        assert handshake(server.endpoint, server.ca_bundle) == "TLSv1.3"


def test_the_newest_version_on_offer_can_be_limited(tmp_path: Path) -> None:
    config = settings(tmp_path, tls=TlsConfig(maximum="1.2"))
    with RunningServer(config) as server:
        assert server.ca_bundle is not None
        for endpoint in (server.endpoint, server.kms_endpoint):
            assert handshake(endpoint, server.ca_bundle) == "TLSv1.2"
            with pytest.raises(ssl.SSLError):
                handshake(endpoint, server.ca_bundle, minimum_version=ssl.TLSVersion.TLSv1_3)


def test_the_certificate_lasts_its_key_is_private_and_the_authority_has_none(
    tmp_path: Path,
) -> None:
    config = settings(tmp_path, tls=TlsConfig())
    with RunningServer(config) as server:
        assert server.ca_bundle is not None
        trusted = server.ca_bundle.read_bytes()
    server_file = tmp_path / "tls" / "server.pem"
    assert stat.S_IMODE(server_file.stat().st_mode) == 0o600
    assert server_file.read_bytes().count(b"PRIVATE KEY-----") == 2
    assert b"PRIVATE" not in trusted
    assert sorted(path.name for path in (tmp_path / "tls").iterdir()) == ["ca.pem", "server.pem"]
    (tmp_path / "tls" / "ca.pem").unlink()
    with RunningServer(config) as server:
        assert server.ca_bundle is not None
        assert server.ca_bundle.read_bytes() == trusted
        assert handshake(server.endpoint, server.ca_bundle) == "TLSv1.3"


@pytest.mark.parametrize("reason", ["it ends soon", "it lacks a name", "it is none"])
def test_the_certificate_is_renewed_in_time(tmp_path: Path, reason: str) -> None:
    folder, names = tmp_path / "tls", [*certificates.LOCAL_NAMES, "127.0.0.1"]
    if reason == "it lacks a name":
        names.remove("::1")
    until = NOW + (10 if reason == "it ends soon" else 300) * DAY
    files = certificates.make(folder, names, NOW - DAY, until)
    if reason == "it is none":
        files.server.write_bytes(b"")
    before = files.authority.read_bytes()
    renewed = certificates.ensure(folder, "127.0.0.1")
    assert renewed.authority.read_bytes() != before
    found = x509.load_pem_x509_certificates(renewed.server.read_bytes())[0]
    assert found.not_valid_after_utc > NOW + 300 * DAY
    kept = renewed.server.read_bytes()
    assert certificates.ensure(folder, "127.0.0.1").server.read_bytes() == kept


def test_a_certificate_of_ones_own_is_shown(tmp_path: Path) -> None:
    files = certificates.make(tmp_path / "own", ["127.0.0.1"], NOW - DAY, NOW + DAY)
    config = settings(tmp_path / "root", tls=TlsConfig(certificate=files.server))
    with RunningServer(config) as server:
        assert server.ca_bundle is None
        assert handshake(server.endpoint, files.authority) == "TLSv1.3"
    assert not (tmp_path / "root" / "tls").exists()


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    one = certificates.make(tmp_path / "one", ["127.0.0.1"], NOW - DAY, NOW + DAY)
    two = certificates.make(tmp_path / "two", ["127.0.0.1"], NOW - DAY, NOW + DAY)
    for tls, error in (
        (TlsConfig(certificate=one.authority, private_key=two.server), UsageError),
        (TlsConfig(certificate=one.authority), UsageError),
        (TlsConfig(certificate=tmp_path / "missing"), FileNotFoundError),
    ):
        with pytest.raises(error):
            RunningServer(settings(tmp_path / "root", tls=tls)).__enter__()
    with RunningServer(settings(tmp_path / "root")):
        pass
