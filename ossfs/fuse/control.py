"""The control socket: one JSON object a line in, one out, for `ossfs umount` and its like.

A request is `{"command": NAME, …}`; the answer is what the handler of that name returned, with
`"ok": true`, or `{"ok": false, "error": TEXT}`. A connection carries any number of requests, one
after another. Nothing that arrives here can end the mount.
"""

import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio

from ossfs.errors import CommandError, OssfsError

log = logging.getLogger(__name__)

Handler = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, object]]]
"""Answers one request; OssfsError and CommandError become the error text of the answer."""

REQUEST_BYTES = 64 * 1024
IDLE_SECONDS = 60.0
_BACKLOG = 16


async def serve_control(
    path: Path,
    handlers: Mapping[str, Handler],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Listen on *path* until cancelled, then remove it; started once it listens.

    What is left at *path* of an earlier process is replaced: the caller holds the lock of the
    mount. Raises OSError if the socket cannot be made.
    """
    with _listening(path) as listener:
        async with trio.open_nursery() as nursery:
            task_status.started()
            while True:
                try:
                    connection, _ = await listener.accept()
                except OSError as error:
                    # Out of descriptors, or the peer has gone: the next one may do better.
                    log.warning("control socket: %s", error.strerror)
                    await trio.sleep(1)  # or it would fail again at once, and fill the log
                    continue
                nursery.start_soon(_serve_connection, connection, handlers)


@contextmanager
def _listening(path: Path) -> Iterator[trio.socket.SocketType]:
    path.unlink(missing_ok=True)
    plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The address of a Unix socket holds 107 bytes; the way through the descriptor of its
        # folder is short however long the path is.
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            plain.bind(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
        # Nobody can connect before listen(), so the mode is right from the first connection on.
        path.chmod(0o600)
        plain.listen(_BACKLOG)
        yield trio.socket.from_stdlib_socket(plain)
    finally:
        plain.close()
        path.unlink(missing_ok=True)


async def _serve_connection(
    connection: trio.socket.SocketType, handlers: Mapping[str, Handler]
) -> None:
    with connection:
        try:
            await _answer_requests(trio.SocketStream(connection), handlers)
        except trio.BrokenResourceError:
            log.debug("control socket: the peer has gone")


async def _answer_requests(stream: trio.SocketStream, handlers: Mapping[str, Handler]) -> None:
    pending = bytearray()
    while True:
        line = await _next_line(stream, pending)
        if line is None:
            return
        answer = await _answer(line, handlers)
        await stream.send_all(json.dumps(answer).encode() + b"\n")


async def _next_line(stream: trio.SocketStream, pending: bytearray) -> bytes | None:
    """The next line without its end; None at the end, or where the peer sends none in time."""
    with trio.move_on_after(IDLE_SECONDS):
        while True:
            line, newline, rest = pending.partition(b"\n")
            if newline:
                pending[:] = rest
                return bytes(line)
            if len(pending) > REQUEST_BYTES:
                return None
            received = await stream.receive_some(REQUEST_BYTES)
            if not received:
                return None
            pending += received
    return None


async def _answer(line: bytes, handlers: Mapping[str, Handler]) -> dict[str, object]:
    try:
        request = json.loads(line)
    except ValueError:
        return _failure("the request is not JSON")
    name = request.get("command") if isinstance(request, dict) else None
    handler = handlers.get(name) if isinstance(name, str) else None
    if handler is None:
        return _failure(f"unknown command; known are {', '.join(sorted(handlers))}")
    try:
        return {"ok": True, **await handler(request)}
    except (OssfsError, CommandError) as error:
        return _failure(str(error))
    except Exception:  # A wrong handler must cost its request, never the mount.
        log.exception("control socket: %s failed", name)
        return _failure("internal error; the log has more")


def _failure(text: str) -> dict[str, object]:
    return {"ok": False, "error": text}
