from collections.abc import AsyncIterator

import httpx
import pytest
import trio
from trio.testing import MockClock

from ossfs.store.transport import Body, Transport, body_of
from ossfs.types import Buffer
from tests.store.scripted import Client, Scripted

_ONE_SEGMENT = 64 << 10
_LARGE = 8 << 20


async def ask(
    transport: Transport,
    server: Scripted,
    method: str = "GET",
    *,
    body: Buffer = b"",
    **extensions: object,
) -> tuple[int, bytes]:
    request = httpx.Request(
        method,
        f"http://127.0.0.1:{server.port}/path?q",
        headers={"host": "127.0.0.1", "content-length": str(len(body))},
        stream=Body(body),
        extensions={"timeout": {"connect": 10.0, "read": 20.0}} | extensions,
    )
    response = await transport.handle_async_request(request)
    return response.status_code, bytes(await body_of(response))


async def _echo(client: Client) -> None:
    while True:
        head, body = await client.request()
        if not head:
            return
        await client.answer(head.split(b"\r\n")[0] + b"|" + body)


async def test_a_connection_serves_many_requests(background: trio.Nursery) -> None:
    server = await Scripted(_echo).start(background)
    transport = Transport()
    for _ in range(3):
        assert await ask(transport, server) == (200, b"GET /path?q HTTP/1.1|")
    assert await ask(transport, server, target=b"/a/../b") == (200, b"GET /a/../b HTTP/1.1|")
    assert server.connections == 1
    await transport.aclose()


@pytest.mark.parametrize("size", [1, 70_000, _LARGE])
async def test_bodies_of_any_size_go_both_ways(background: trio.Nursery, size: int) -> None:
    server = await Scripted(_echo).start(background)
    transport = Transport()
    body = memoryview(bytes(range(256)) * (size // 256 + 1))[:size]
    for _ in range(2):
        status, read = await ask(transport, server, "PUT", body=body)
        assert (status, read.partition(b"|")[2]) == (200, bytes(body))
    assert server.connections == 1
    await transport.aclose()


async def test_it_serves_the_httpx_client_too(background: trio.Nursery) -> None:
    server = await Scripted(_echo).start(background)
    async with httpx.AsyncClient(transport=Transport()) as client:
        for content in (b"whole", _pieces()):
            answer = await client.put(
                f"http://127.0.0.1:{server.port}/x",
                content=content,
                headers={"content-length": "5"},
            )
            assert answer.content == b"PUT /x HTTP/1.1|whole"


async def _pieces() -> AsyncIterator[bytes]:
    yield b"who"
    yield b"le"


async def test_connections_are_limited_and_shared(background: trio.Nursery) -> None:
    server = await Scripted(_echo).start(background)
    transport = Transport(max_connections=3)
    async with trio.open_nursery() as nursery:
        for _ in range(30):
            nursery.start_soon(ask, transport, server)
    assert server.connections <= 3
    await transport.aclose()


async def test_a_connection_that_the_server_closed_is_not_used(background: trio.Nursery) -> None:
    closed = trio.Event()

    async def once(client: Client) -> None:
        await client.request()
        await client.answer(b"ok")
        await client.stream.aclose()
        closed.set()

    server = await Scripted(once).start(background)
    transport = Transport()
    for _ in range(3):
        assert await ask(transport, server, repeatable=False) == (200, b"ok")
        await closed.wait()
    assert server.connections == 3
    await transport.aclose()


async def _dies_on_the_second(client: Client) -> None:
    """Closes on the second request of its first connection, which no client can foresee."""
    await client.request()
    await client.answer(b"ok")
    head, _ = await client.request()
    if head and client.number > 1:
        await client.answer(b"ok")


async def test_a_request_on_a_dying_connection_is_repeated_on_another(
    background: trio.Nursery,
) -> None:
    server = await Scripted(_dies_on_the_second).start(background)
    transport = Transport()
    for _ in range(2):
        assert await ask(transport, server) == (200, b"ok")
    assert server.connections == 2
    await transport.aclose()


async def test_a_request_that_must_not_be_repeated_is_not(background: trio.Nursery) -> None:
    server = await Scripted(_dies_on_the_second).start(background)
    transport = Transport()
    await ask(transport, server)
    with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
        await ask(transport, server, repeatable=False)
    assert server.connections == 1
    await transport.aclose()


async def test_an_answer_that_began_is_never_asked_for_again(background: trio.Nursery) -> None:
    async def cuts_the_second(client: Client) -> None:
        await client.request()
        await client.answer(b"ok")
        await client.request()
        await client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    server = await Scripted(cuts_the_second).start(background)
    transport = Transport()
    await ask(transport, server)
    with pytest.raises(httpx.ReadError, match="closed in the middle"):
        await ask(transport, server)
    assert server.connections == 1
    await transport.aclose()


async def test_old_connections_are_not_used_again(
    background: trio.Nursery, patient_clock: MockClock
) -> None:
    server = await Scripted(_echo).start(background)
    transport = Transport(idle_seconds=30)
    await ask(transport, server)
    await trio.sleep(29)
    await ask(transport, server)
    assert server.connections == 1
    await trio.sleep(31)
    await ask(transport, server)
    assert server.connections == 2
    await transport.aclose()


async def test_a_server_that_says_nothing_times_out(
    background: trio.Nursery, patient_clock: MockClock
) -> None:
    async def silent(client: Client) -> None:
        await client.request()
        await trio.sleep_forever()

    server = await Scripted(silent).start(background)
    transport = Transport()
    began = trio.current_time()
    with pytest.raises(httpx.ReadTimeout, match="20 s"):
        await ask(transport, server)
    assert trio.current_time() - began == pytest.approx(20)
    await transport.aclose()


async def test_a_server_that_takes_nothing_times_out(
    background: trio.Nursery, patient_clock: MockClock
) -> None:
    async def deaf(client: Client) -> None:
        await trio.sleep_forever()

    server = await Scripted(deaf).start(background)
    transport = Transport()
    with pytest.raises(httpx.WriteTimeout):
        await ask(transport, server, "PUT", body=bytes(64 << 20))
    await transport.aclose()


async def test_slow_is_not_stalled(background: trio.Nursery, patient_clock: MockClock) -> None:
    async def drips(client: Client) -> None:
        await client.request()
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello":
            await trio.sleep(15)
            await client.send(bytes((byte,)))

    server = await Scripted(drips).start(background)
    transport = Transport()
    assert await ask(transport, server) == (200, b"hello")
    await transport.aclose()


async def test_a_refusal_before_the_body_was_read_is_received(background: trio.Nursery) -> None:
    async def refuses(client: Client) -> None:
        await client.head()
        await client.answer(b"no", status="403 Forbidden")
        await trio.sleep_forever()

    server = await Scripted(refuses).start(background)
    transport = Transport()
    for _ in range(2):
        assert await ask(transport, server, "PUT", body=bytes(64 << 20)) == (403, b"no")
    # The body was not sent to its end, so nothing can follow it.
    assert server.connections == 2
    await transport.aclose()


async def test_a_success_before_the_body_was_sent_is_not_believed(
    background: trio.Nursery,
) -> None:
    async def lies(client: Client) -> None:
        await client.head()
        await client.answer(status="200 OK", extra='ETag: "E"\r\n')
        await trio.sleep_forever()

    server = await Scripted(lies).start(background)
    transport = Transport()
    with pytest.raises(httpx.RemoteProtocolError, match="half a request"):
        await ask(transport, server, "PUT", body=bytes(64 << 20))
    await transport.aclose()


async def test_a_success_right_after_the_last_byte_is_believed(background: trio.Nursery) -> None:
    server = await Scripted(_echo).start(background)
    transport = Transport()
    for size in range(_ONE_SEGMENT, _ONE_SEGMENT + 50):
        status, read = await ask(transport, server, "PUT", body=bytes(size))
        assert (status, len(read.partition(b"|")[2])) == (200, size)
    await transport.aclose()


async def test_a_refusal_with_an_immediate_close_is_received(background: trio.Nursery) -> None:
    async def refuses(client: Client) -> None:
        await client.head()
        await client.answer(b"no", status="403 Forbidden", extra="Connection: close\r\n")

    server = await Scripted(refuses).start(background)
    transport = Transport()
    assert await ask(transport, server, "PUT", body=b"x" * 100) == (403, b"no")
    await transport.aclose()


@pytest.mark.parametrize("data", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"])
async def test_garbage_is_a_protocol_error(background: trio.Nursery, data: bytes) -> None:
    async def garbles(client: Client) -> None:
        await client.request()
        if data:
            await client.send(data)

    server = await Scripted(garbles).start(background)
    transport = Transport()
    with pytest.raises(httpx.RemoteProtocolError):
        await ask(transport, server)
    await transport.aclose()


async def test_an_answer_above_its_limit_is_refused(background: trio.Nursery) -> None:
    server = await Scripted(_echo).start(background)
    transport = Transport()
    with pytest.raises(httpx.RemoteProtocolError, match="longer than it may be"):
        await ask(transport, server, max_body=10)
    await transport.aclose()


async def test_cancelling_a_request_closes_its_connection(background: trio.Nursery) -> None:
    gone = trio.Event()

    async def waits(client: Client) -> None:
        await client.request()
        assert await client.head() == b""
        gone.set()

    server = await Scripted(waits).start(background)
    transport = Transport(max_connections=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, transport, server)
        while not server.connections:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    await gone.wait()
    await transport.aclose()


async def test_a_request_cannot_smuggle_headers(background: trio.Nursery) -> None:
    server = await Scripted(_echo).start(background)
    transport = Transport()
    request = httpx.Request(
        "GET",
        f"http://127.0.0.1:{server.port}/",
        headers=[(b"x-a", b"b\r\nx-evil: 1")],
        stream=Body(b""),
    )
    with pytest.raises(httpx.LocalProtocolError):
        await transport.handle_async_request(request)
    assert server.connections == 0


async def test_an_unreachable_server_is_a_connect_error() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    with pytest.raises(httpx.ConnectError, match="Connection refused"):
        await Transport().handle_async_request(
            httpx.Request("GET", f"http://127.0.0.1:{port}/", stream=Body(b""))
        )


async def test_a_closed_transport_keeps_no_connection(background: trio.Nursery) -> None:
    release = trio.Event()

    async def waits(client: Client) -> None:
        await client.request()
        await release.wait()
        await client.answer(b"ok")
        assert await client.head() == b""

    server = await Scripted(waits).start(background)
    transport = Transport()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, transport, server)
        while not server.connections:
            await trio.lowlevel.checkpoint()
        await transport.aclose()
        release.set()
