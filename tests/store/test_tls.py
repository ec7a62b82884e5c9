import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from trio.testing import MockClock

from ossfs.errors import StoreError, UsageError
from ossfs.store.credentials import EnvironmentCredentials
from ossfs.store.oss import OssStore
from ossfs.store.tls import client_context
from ossfs.store.transport import Body, Transport, body_of
from ossfs.types import ObjectKey
from tests.store.scripted import Client, Scripted


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A self-signed certificate: what the server shows and what the client trusts."""

    bundle: Path
    server: ssl.SSLContext


def _authority(directory: Path, name: str, *, days: int = 1) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address(name))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=9))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    directory.mkdir()
    bundle, chain = directory / "ca.pem", directory / "server.pem"
    bundle.write_bytes(pem)
    chain.write_bytes(pem + private)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain)
    return Authority(bundle=bundle, server=context)


async def _echo(client: Client) -> None:
    while True:
        head, body = await client.request()
        if not head:
            return
        await client.answer(body)


async def _ask(transport: Transport, port: int, body: bytes = b"x") -> bytes:
    request = httpx.Request(
        "PUT",
        f"https://127.0.0.1:{port}/",
        headers={"host": "127.0.0.1", "content-length": str(len(body))},
        stream=Body(body),
    )
    return bytes(await body_of(await transport.handle_async_request(request)))


@pytest.mark.parametrize("minimum", ["1.2", "1.3"])
async def test_bodies_of_any_size_go_through_tls(
    background: trio.Nursery, tmp_path: Path, minimum: str
) -> None:
    authority = _authority(tmp_path / "a", "127.0.0.1")
    server = await Scripted(_echo).start(background, authority.server)
    transport = Transport(tls=client_context(minimum=minimum, ca_bundle=authority.bundle))
    for size in (0, 1, 16384, 70_000, 5 << 20):
        body = bytes(range(256)) * (size // 256) + bytes(size % 256)
        assert await _ask(transport, server.port, body) == body
    assert server.connections == 1
    await transport.aclose()


async def test_tls_1_2_works_unless_it_is_ruled_out(
    background: trio.Nursery, tmp_path: Path
) -> None:
    authority = _authority(tmp_path / "a", "127.0.0.1")
    authority.server.maximum_version = ssl.TLSVersion.TLSv1_2
    server = await Scripted(_echo).start(background, authority.server)
    old = Transport(tls=client_context(minimum="1.2", ca_bundle=authority.bundle))
    assert await _ask(old, server.port) == b"x"
    await old.aclose()
    new = Transport(tls=client_context(minimum="1.3", ca_bundle=authority.bundle))
    with pytest.raises(httpx.ConnectError, match=r"perhaps it offers no TLS 1\.3 \(--tls-min\)"):
        await _ask(new, server.port)


async def test_a_server_that_says_which_versions_it_refuses_is_not_asked_again(
    background: trio.Nursery, tmp_path: Path
) -> None:
    authority = _authority(tmp_path / "a", "127.0.0.1")
    authority.server.maximum_version = ssl.TLSVersion.TLSv1_2
    asked = 0

    async def refuse(stream: trio.SocketStream) -> None:
        nonlocal asked
        asked += 1
        inbound, outbound = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = authority.server.wrap_bio(inbound, outbound, server_side=True)
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        inbound.write(await stream.receive_some())
        with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
            tls.do_handshake()
        await stream.send_all(outbound.read())

    listeners = await background.start(partial(trio.serve_tcp, refuse, 0, host="127.0.0.1"))
    store = OssStore(
        "bucket",
        region="cn-hangzhou",
        endpoint=f"https://127.0.0.1:{listeners[0].socket.getsockname()[1]}",
        credentials=EnvironmentCredentials(
            {"OSS_ACCESS_KEY_ID": "id", "OSS_ACCESS_KEY_SECRET": "secret"}
        ),
        tls=client_context(minimum="1.3", ca_bundle=authority.bundle),
    )
    with pytest.raises(StoreError, match=r"offers no TLS 1\.3 or newer, as --tls-min demands"):
        await store.head(ObjectKey("a"))
    assert asked == 1
    await store.aclose()


@pytest.mark.parametrize(
    ("named", "days", "trusted", "why"),
    [
        ("127.0.0.1", 1, False, "self-signed certificate; --ca-bundle names a file"),
        ("127.0.0.2", 1, True, "not valid for '127.0.0.1'; the endpoint must"),
        ("127.0.0.1", -1, True, "certificate has expired; or the clock"),
    ],
)
async def test_a_certificate_that_is_not_accepted_is_named_and_not_tried_again(
    background: trio.Nursery,
    tmp_path: Path,
    named: str,
    days: int,
    trusted: bool,
    why: str,
) -> None:
    authority = _authority(tmp_path / "a", named, days=days)
    other = _authority(tmp_path / "b", "127.0.0.1")
    server = await Scripted(_echo).start(background, authority.server)
    bundle = authority.bundle if trusted else other.bundle
    store = OssStore(
        "bucket",
        region="cn-hangzhou",
        endpoint=f"https://127.0.0.1:{server.port}",
        credentials=EnvironmentCredentials(
            {"OSS_ACCESS_KEY_ID": "id", "OSS_ACCESS_KEY_SECRET": "secret"}
        ),
        tls=client_context(ca_bundle=bundle),
    )
    with pytest.raises(StoreError, match=r"certificate of 127\.0\.0\.1 is not accepted") as refused:
        await store.head(ObjectKey("a"))
    assert why in str(refused.value)
    assert not refused.value.retryable
    await store.aclose()


async def test_a_server_that_ends_tcp_in_place_of_tls_is_not_believed(
    background: trio.Nursery, tmp_path: Path
) -> None:
    async def cuts(client: Client) -> None:
        await client.request()
        await client.send(b"HTTP/1.1 200 OK\r\n\r\nhalf of i")
        assert isinstance(client.stream, trio.SSLStream)
        await trio.aclose_forcefully(client.stream.transport_stream)

    authority = _authority(tmp_path / "a", "127.0.0.1")
    server = await Scripted(cuts).start(background, authority.server)
    transport = Transport(tls=client_context(ca_bundle=authority.bundle))
    with pytest.raises(httpx.ReadError):
        await _ask(transport, server.port)
    await transport.aclose()


_TLS_VERSIONS = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"]
)


@asynccontextmanager
async def _ending_tls_after(
    answer: bytes, tmp_path: Path, version: ssl.TLSVersion
) -> AsyncIterator[int]:
    """The port of a server whose end of TLS comes with its answer, in one write."""
    authority = _authority(tmp_path / "a", "127.0.0.1")
    authority.server.maximum_version = version

    async def serve(stream: trio.SocketStream) -> None:
        inbound, outbound = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = authority.server.wrap_bio(inbound, outbound, server_side=True)
        for step in (tls.do_handshake, tls.read):
            while True:
                try:
                    step()
                    break
                except ssl.SSLWantReadError:
                    await stream.send_all(outbound.read())
                    inbound.write(await stream.receive_some())
            await stream.send_all(outbound.read())
        if answer:
            tls.write(answer)
        with pytest.raises(ssl.SSLWantReadError):
            tls.unwrap()
        await stream.send_all(outbound.read())
        await stream.receive_some()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@_TLS_VERSIONS
@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nall", b"all"),
    ],
)
async def test_the_end_of_tls_is_the_end_of_the_answer(
    tmp_path: Path, version: ssl.TLSVersion, answer: bytes, body: bytes
) -> None:
    async with _ending_tls_after(answer, tmp_path, version) as port:
        transport = Transport(tls=client_context(ca_bundle=tmp_path / "a" / "ca.pem"))
        assert await _ask(transport, port) == body
        await transport.aclose()


@_TLS_VERSIONS
@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"])
async def test_the_end_of_tls_before_that_of_the_answer_is_an_error(
    tmp_path: Path, version: ssl.TLSVersion, answer: bytes
) -> None:
    async with _ending_tls_after(answer, tmp_path, version) as port:
        transport = Transport(tls=client_context(ca_bundle=tmp_path / "a" / "ca.pem"))
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError), match="closed in the"):
            await _ask(transport, port)
        await transport.aclose()


async def test_a_server_without_tls_is_refused_in_time(
    background: trio.Nursery, patient_clock: MockClock, tmp_path: Path
) -> None:
    async def talks(client: Client) -> None:
        await client.send(b"220 mail ESMTP\r\n")
        await trio.sleep_forever()

    async def waits(client: Client) -> None:
        await trio.sleep_forever()

    transport = Transport(tls=client_context())
    talking = await Scripted(talks).start(background)
    with pytest.raises(httpx.UnsupportedProtocol, match="does not speak TLS there"):
        await _ask(transport, talking.port)
    silent = await Scripted(waits).start(background)
    with pytest.raises(httpx.ConnectTimeout, match="10 s"):
        await _ask(transport, silent.port)


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_an_unusable_bundle_is_a_usage_error(tmp_path: Path, content: bytes | None) -> None:
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_bytes(content)
    with pytest.raises(UsageError, match="CA bundle"):
        client_context(ca_bundle=bundle)
