"""Asking the process that serves a mount, over its control socket.

One JSON object a line in each direction; every answer has `"ok"`, a failed one `"error"`.

    {"command": "umount", "timeout": SECONDS or null}
        Store everything that is not stored yet, then unmount. Answers
        {"unmounted": BOOL, "unstored": [{"name": …, "reason": …}, …]}; where not everything could
        be stored the mount stays, and so does the staged data.
    {"command": "store", "timeout": SECONDS or null}
        Store everything that is not stored yet. → {"unstored": [{"name": …, "reason": …}, …]}
    {"command": "pending"}   → {"unstored": [{"name": …, "reason": …}, …]}
    {"command": "where"}     → {"bucket": …, "prefix": …, "endpoint": …, "region": …}
"""

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ossfs.errors import CommandError


class NobodyListens(CommandError):
    """No process serves the control socket."""


class Refused(CommandError):
    """The process could not do it, or ended before it had answered."""


def ask(path: Path, request: Mapping[str, object], *, seconds: float | None) -> Mapping[str, Any]:
    """Send *request* to the socket at *path* and return the answer.

    seconds: how long to wait for it, None for ever. Raises NobodyListens or Refused.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(seconds)
        _connect(peer, path)
        try:
            peer.sendall(json.dumps(request).encode() + b"\n")
            answer = _read_line(peer)
        except TimeoutError:
            raise Refused("no answer in time") from None
        except OSError as error:
            raise Refused(f"no answer: {error.strerror}") from error
    if not answer.endswith(b"\n"):
        raise Refused("the process that served the mount ended before it had answered")
    parsed: Mapping[str, Any] = json.loads(answer)
    if not parsed.get("ok"):
        raise Refused(str(parsed.get("error", "refused")))
    return parsed


def _connect(peer: socket.socket, path: Path) -> None:
    try:
        # Through the descriptor of its folder, since a socket's address holds only 107 bytes.
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            peer.connect(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
    except OSError as error:
        raise NobodyListens(f"{path}: {error.strerror}") from error


def _read_line(peer: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\n"):
        more = peer.recv(65536)
        if not more:
            break
        received += more
    return received
