"""The server side of the control socket, driven over a real Unix socket."""

import json
import os
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from ossfs.errors import StagingFull
from ossfs.fuse.control import Handler, serve_control


async def echo(request: Mapping[str, Any]) -> Mapping[str, object]:
    return {"said": request.get("word")}


async def full(request: Mapping[str, Any]) -> Mapping[str, object]:
    raise StagingFull("no room left")


async def wrong(request: Mapping[str, Any]) -> Mapping[str, object]:
    raise ZeroDivisionError("secret detail")


HANDLERS: Mapping[str, Handler] = {"echo": echo, "full": full, "wrong": wrong}


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_control, path, HANDLERS)
        yield
        nursery.cancel_scope.cancel()


async def connect(path: Path) -> trio.SocketStream:
    folder = os.open(path.parent, os.O_PATH)
    try:
        peer = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
        await peer.connect(f"/proc/self/fd/{folder}/{path.name}")
        return trio.SocketStream(peer)
    finally:
        os.close(folder)


async def ask(stream: trio.SocketStream, line: bytes) -> Any:
    await stream.send_all(line + b"\n")
    received = b""
    while not received.endswith(b"\n"):
        more = await stream.receive_some()
        assert more
        received += more
    return json.loads(received)


async def flood(stream: trio.SocketStream) -> None:
    for _ in range(100):
        await stream.send_all(b"x" * 65536)


async def test_a_handlers_answer_comes_back_as_ok(tmp_path: Path) -> None:
    async with serving(tmp_path / "control"), await connect(tmp_path / "control") as stream:
        assert await ask(stream, b'{"command": "echo", "word": "hi"}') == {
            "ok": True,
            "said": "hi",
        }
        assert (await ask(stream, b'{"command": "echo"}'))["ok"] is True


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"nonsense", "the request is not JSON"),
        (b"\xff\xfe", "the request is not JSON"),
        (b"[]", "unknown command; known are echo, full, wrong"),
        (b'{"command": "format"}', "unknown command; known are echo, full, wrong"),
        (b'{"command": ["echo"]}', "unknown command; known are echo, full, wrong"),
        (b'{"command": "full"}', "no room left"),
    ],
)
async def test_a_bad_request_gets_an_error_and_the_connection_lives(
    tmp_path: Path, line: bytes, error: str
) -> None:
    async with serving(tmp_path / "control"), await connect(tmp_path / "control") as stream:
        assert await ask(stream, line) == {"ok": False, "error": error}
        assert (await ask(stream, b'{"command": "echo"}'))["ok"] is True


async def test_a_wrong_handler_costs_its_request_alone_and_tells_no_detail(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path / "control"), await connect(tmp_path / "control") as stream:
        answer = await ask(stream, b'{"command": "wrong"}')
        assert answer == {"ok": False, "error": "internal error; the log has more"}
        assert (await ask(stream, b'{"command": "echo"}'))["ok"] is True
    assert "wrong failed" in caplog.text


async def test_only_the_owner_may_connect_and_nothing_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "control"
    async with serving(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


async def test_what_a_dead_process_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control"
    path.write_text("left over")
    async with serving(path), await connect(path) as stream:
        assert (await ask(stream, b'{"command": "echo"}'))["ok"] is True


async def test_a_path_longer_than_a_socket_address_works(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 120) / ("e" * 120)
    folder.mkdir(parents=True)
    async with serving(folder / "control"), await connect(folder / "control") as stream:
        assert (await ask(stream, b'{"command": "echo"}'))["ok"] is True


async def test_a_line_without_end_is_hung_up_on(tmp_path: Path) -> None:
    async with serving(tmp_path / "control"):
        async with await connect(tmp_path / "control") as stream:
            with pytest.raises(trio.BrokenResourceError):
                await flood(stream)
        async with await connect(tmp_path / "control") as stream:
            assert (await ask(stream, b'{"command": "echo"}'))["ok"] is True


async def test_a_silent_peer_is_hung_up_on(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(tmp_path / "control"), await connect(tmp_path / "control") as stream:
        assert await stream.receive_some() == b""


async def test_a_peer_that_leaves_at_once_is_no_matter(tmp_path: Path) -> None:
    async with serving(tmp_path / "control"):
        for _ in range(3):
            stream = await connect(tmp_path / "control")
            await stream.send_all(b'{"command": "echo"}\n')
            await stream.aclose()
        async with await connect(tmp_path / "control") as stream:
            assert (await ask(stream, b'{"command": "echo"}'))["ok"] is True
