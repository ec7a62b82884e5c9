import gc
import itertools
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.store.incoming import Incoming, MalformedError

_WITH_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello"
_CHUNKED = (
    b"HTTP/1.1 100 Continue\r\nX-A: wrong\r\n\r\nHTTP/1.1 200 OK\r\nX-A: b\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Late: 1\r\n\r\n"
)


def _receive(pieces: list[bytes], *, limit: int = 100, bodiless: bool = False) -> Incoming:
    incoming = Incoming(limit=limit, bodiless=bodiless)
    for piece in pieces:
        incoming.feed(memoryview(piece))
    return incoming


@given(st.sampled_from([_WITH_LENGTH, _CHUNKED]), st.sets(st.integers(1, 150)))
def test_it_does_not_matter_how_an_answer_is_cut(answer: bytes, cuts: set[int]) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(answer)), len(answer)]
    pieces = [answer[a:b] for a, b in itertools.pairwise(edges)]
    incoming = _receive(pieces)
    assert incoming.complete
    assert incoming.reusable
    assert incoming.status == 200
    assert bytes(incoming.body) == b"hello"
    assert [value for name, value in incoming.headers if name == b"X-A"] == [b"b"]


def test_the_rest_of_a_body_may_be_received_in_place() -> None:
    incoming = _receive([_WITH_LENGTH[:-3]])
    rest = incoming.rest()
    assert rest is not None
    assert len(rest) == 3
    rest[:2] = b"ll"
    incoming.filled(2)
    assert not incoming.complete
    incoming.feed(memoryview(b"o"))
    assert incoming.complete
    assert bytes(incoming.body) == b"hello"


@pytest.mark.parametrize("status", [b"200 OK", b"404 Not Found"])
def test_an_answer_to_head_has_no_body(status: bytes) -> None:
    head = b"HTTP/1.1 " + status + b"\r\nContent-Length: 5000\r\n\r\n"
    incoming = _receive([head], bodiless=True)
    assert incoming.complete
    assert incoming.reusable
    assert bytes(incoming.body) == b""


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    incoming = _receive([b"HTTP/1.1 200 OK\r\n\r\n", b"hel", b"lo"])
    assert not incoming.complete
    incoming.end()
    assert incoming.complete
    assert bytes(incoming.body) == b"hello"
    assert not incoming.reusable


@pytest.mark.parametrize(
    "answer",
    [
        _WITH_LENGTH.replace(b"X-A: b", b"Connection: close"),
        _WITH_LENGTH.replace(b"HTTP/1.1", b"HTTP/1.0"),
        _WITH_LENGTH + b"surplus",
        _WITH_LENGTH + _WITH_LENGTH,
    ],
)
def test_some_connections_are_not_used_again(answer: bytes) -> None:
    incoming = _receive([answer])
    assert incoming.complete
    assert bytes(incoming.body) == b"hello"
    assert not incoming.reusable


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        _WITH_LENGTH[:-1],
        _CHUNKED[:-1],
        _CHUNKED[:120],
    ],
)
def test_an_answer_cut_short_is_malformed(answer: bytes) -> None:
    incoming = _receive([answer])
    with pytest.raises(MalformedError, match="closed"):
        incoming.end()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + bytes(101),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000,
    ],
)
def test_garbage_is_malformed_and_takes_no_memory(answer: bytes) -> None:
    with pytest.raises(MalformedError):
        _receive([answer])


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"0\r\nX: ", b"a" * 1000),
        (b"0\r\n", b"X: y\r\n" * 100),
        (b"5;", b"a" * 1000),
        (b"1;" + b"a" * 100 + b"\r\n", b"b\r\n1;" + b"a" * 100 + b"\r\n"),
    ],
    ids=["long trailer", "many trailers", "long extension", "many extensions"],
)
def test_what_is_neither_head_nor_body_is_limited(begin: bytes, more: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with pytest.raises(MalformedError, match="too long"):
        _receive([head, begin, *[more] * 5000], limit=9999)


def test_a_body_may_come_in_very_many_chunks() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = [b"00000001;a\r\nb\r\n"] * 50_000
    incoming = _receive([head, *chunks, b"0\r\n\r\n"], limit=50_000)
    assert incoming.complete
    assert bytes(incoming.body) == b"b" * 50_000


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_malformed(data: bytes) -> None:
    incoming = Incoming(limit=100, bodiless=False)
    try:
        incoming.feed(memoryview(b"HTTP/1.1 200 OK\r\n"))
        incoming.feed(memoryview(data))
        incoming.end()
    except MalformedError:
        return
    assert incoming.complete


def test_an_answer_is_gone_with_its_last_user_and_needs_no_garbage_collection() -> None:
    incoming = Incoming(limit=100, bodiless=False)
    incoming.feed(memoryview(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
    incoming.detach()
    assert bytes(incoming.body) == b"hello"
    gone = weakref.ref(incoming)
    gc.disable()
    try:
        del incoming
        assert gone() is None
    finally:
        gc.enable()
