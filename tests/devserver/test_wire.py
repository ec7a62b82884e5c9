"""HTTP as rude clients speak it."""

import contextlib
import socket
import struct
from pathlib import Path

import httpx
import pytest

from ossfs.devserver.errors import OssError
from ossfs.devserver.names import key_bytes
from ossfs.devserver.routing import target_of
from ossfs.devserver.wire import Head
from tests.devserver.clients import Clients
from tests.waiting import wait_until


def connect(clients: Clients) -> socket.socket:
    port = int(clients.server.endpoint.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def request(
    clients: Clients, method: str, key: str, headers: dict[str, str] | None = None
) -> bytes:
    """Request line and signed headers as bytes."""
    path, signed = clients.signed(method, key)
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in (signed | (headers or {})).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def read_all(connection: socket.socket) -> bytes:
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
    return answer


def files_of(clients: Clients) -> list[Path]:
    return list((clients.server.config.root / "bodies").glob("*/*"))


def test_requests_may_be_pipelined(clients: Clients) -> None:
    clients.bucket.put_object("one", b"first body")
    clients.bucket.put_object("two", b"second body")
    with connect(clients) as connection:
        connection.sendall(
            request(clients, "GET", "one")
            + request(clients, "HEAD", "one")
            + request(clients, "PUT", "three", {"Content-Length": "3"})
            + b"abc"
            + request(clients, "GET", "two", {"Connection": "close"})
        )
        answer = read_all(connection)
    assert answer.count(b"HTTP/1.1 200 OK") == 4
    assert answer.index(b"first body") < answer.index(b"second body")
    assert clients.server.object_bytes("bkt", "three") == b"abc"


def test_a_client_that_waits_for_permission_gets_it(clients: Clients) -> None:
    with connect(clients) as connection:
        connection.sendall(
            request(clients, "PUT", "k", {"Content-Length": "3", "Expect": "100-continue"})
        )
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_a_body_that_is_not_wanted_is_not_asked_for(clients: Clients) -> None:
    headers = {"Content-Length": str(6 << 30), "Expect": "100-continue"}
    with connect(clients) as connection:
        connection.sendall(request(clients, "PUT", "k", headers))
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"EntityTooLarge" in answer
    assert b"Connection: close" in answer


def test_an_error_reaches_a_client_that_is_still_sending(clients: Clients) -> None:
    url = clients.server.endpoint + "/missing/key"
    answer = httpx.put(url, content=bytes(8_000_000))
    assert answer.status_code == 403
    _, headers = clients.signed("PUT", "k", changes={"if-match": "x"})
    answer = httpx.put(
        clients.server.endpoint + "/bkt/k", content=bytes(8_000_000), headers=headers
    )
    assert b"NotImplemented" in answer.content


@pytest.mark.parametrize("reset", [True, False])
def test_a_put_that_breaks_off_leaves_nothing(clients: Clients, reset: bool) -> None:
    clients.bucket.put_object("k", b"old")
    with connect(clients) as connection:
        connection.sendall(request(clients, "PUT", "k", {"Content-Length": "1000000"}))
        connection.sendall(bytes(400_000))
        wait_until(lambda: len(files_of(clients)) == 2)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: len(files_of(clients)) == 1)
    assert clients.bucket.get_object("k").read() == b"old"


def test_a_put_that_the_server_stops_leaves_nothing(clients: Clients) -> None:
    with connect(clients) as connection:
        connection.sendall(request(clients, "PUT", "k", {"Content-Length": "1000000"}))
        connection.sendall(bytes(400_000))
        wait_until(lambda: len(files_of(clients)) == 1)
        clients.server.stop()
    assert files_of(clients) == []


def test_a_reader_that_leaves_does_no_harm(clients: Clients) -> None:
    clients.bucket.put_object("k", bytes(4_000_000))
    for _ in range(3):
        with connect(clients) as connection:
            connection.sendall(request(clients, "GET", "k"))
            connection.recv(10)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert len(clients.bucket.get_object("k").read()) == 4_000_000


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nBroken header\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nA: " + b"a" * 600_000,
        b"PUT /a/b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"",
    ],
)
def test_garbage_ends_its_own_connection_only(clients: Clients, garbage: bytes) -> None:
    # The server may reset the connection at any point.
    with connect(clients) as connection, contextlib.suppress(OSError):
        connection.sendall(garbage)
        connection.shutdown(socket.SHUT_WR)
        read_all(connection)
    assert clients.bucket.put_object("k", b"1").status == 200


def test_keys_that_are_not_utf8_are_refused() -> None:
    head = Head(method="PUT", target=b"/bkt/%FF%FE", headers={"host": "::1"}, keep_alive=True)
    with pytest.raises(OssError, match="InvalidObjectName"):
        key_bytes(target_of(head).key)


def test_a_body_that_vanished_from_the_disk_ends_the_connection_only(clients: Clients) -> None:
    clients.bucket.put_object("k", b"1")
    files_of(clients)[0].unlink()
    with connect(clients) as connection:
        connection.sendall(request(clients, "GET", "k"))
        assert read_all(connection) == b""
    clients.bucket.put_object("k", b"2")
    assert clients.bucket.get_object("k").read() == b"2"
