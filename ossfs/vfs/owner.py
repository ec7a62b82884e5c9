"""Who began something that outlives a crash: a process, named so that others can tell its end."""

import os
import socket
from pathlib import Path
from typing import Protocol, final

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_START_FIELD = 22
"""Of /proc/<pid>/stat, counted from 1: when the process began, in clock ticks since boot."""


class Owner(Protocol):
    """A process that can be named to other mounts."""

    @property
    def name(self) -> str:
        """Never that of two processes."""

    def is_gone(self, name: str) -> bool:
        """Whether the process of that name is known to have ended; False if nobody here knows."""


@final
class ThisProcess:
    """The running process; it knows of others of the same boot and the same PID namespace."""

    def __init__(self) -> None:
        self._where = f"{socket.gethostname()} {_BOOT.read_text().strip()} {_namespace()}"
        self._pid = os.getpid()

    @property
    def name(self) -> str:
        """Host, boot, PID namespace, PID and start time of the process."""
        return f"{self._where} {self._pid} {_started(self._pid)}"

    def is_gone(self, name: str) -> bool:
        """See `Owner`."""
        where, _, rest = name.rpartition(" ")
        where, _, pid = where.rpartition(" ")
        if where != self._where or not pid.isdecimal():
            return False
        return _started(int(pid)) != rest


def _namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino


def _started(pid: int) -> str:
    """When the process began; "" if there is none of that number."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    # The name of the program stands in brackets and may hold anything.
    return line.rpartition(")")[2].split()[_START_FIELD - 3]
