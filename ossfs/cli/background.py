"""A mount in the background whose start is truthful: the command waits until it answers or failed.

Rules of this file: the fork comes before any thread or event loop exists; the child reports
exactly once through a pipe, and the end of the pipe without a report is a failure too; the child
never returns into the code of its parent.
"""

import contextlib
import faulthandler
import json
import logging
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from ossfs.errors import CommandError

log = logging.getLogger(__name__)

Ready = Callable[[], None]
Serve = Callable[[Ready], int]
"""Serves the mount until its end and returns the exit code; calls its argument once it answers."""


class StartFailed(CommandError):
    """What the child reported in place of being ready; carries its exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # one class stands for all of them


def run_in_background(serve: Serve, output: Path) -> int:
    """Fork; the child serves. Returns 0 once it is ready.

    output: file that takes what the child writes to stdout and stderr. Raises StartFailed.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with _interrupts_held():
        child = os.fork()
        if child == 0:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
            os.close(reading)
            _be_the_daemon(serve, writing, output)
        os.close(writing)
    with _interrupts_passed_on(child), _wakes_up() as woken:
        report = _read_all(reading, woken)
        os.close(reading)
        if report == _READY:
            return 0
        _, status = os.waitpid(child, 0)
    raise _failure(report, os.waitstatus_to_exitcode(status))


_READY = b"ready\n"


def _be_the_daemon(serve: Serve, writing: int, output: Path) -> NoReturn:
    code = 1
    reporter = _Reporter(writing)
    try:
        os.setsid()
        os.chdir("/")
        _redirect(output)
        code = serve(reporter.ready)
    except CommandError as error:
        reporter.failed(str(error))
        code = error.exit_code
    except BaseException as error:
        # Nothing may get past: above this frame stands the parent's code.
        log.exception("the mount process failed")
        reporter.failed(f"internal error: {type(error).__name__}; {output} has more")
    finally:
        logging.shutdown()
        os._exit(code)


def _redirect(output: Path) -> None:
    """Input from nowhere; output, libfuse's and a crash's stack included, to *output*."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    sink = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(nothing, 0)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.close(nothing)
    os.close(sink)
    faulthandler.enable(2)


class _Reporter:
    """The child's end of the pipe: the first report counts, later ones go to the log."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def ready(self) -> None:
        self._send(_READY)

    def failed(self, message: str) -> None:
        if self._descriptor is None:
            log.error("%s", message)
        self._send(json.dumps(message).encode() + b"\n")

    def _send(self, report: bytes) -> None:
        if self._descriptor is None:
            return
        with contextlib.suppress(BrokenPipeError):
            os.write(self._descriptor, report)
        os.close(self._descriptor)
        self._descriptor = None


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C waits until the block is over; `_interrupts_passed_on` lets it come."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    except BaseException:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        raise


@contextlib.contextmanager
def _interrupts_passed_on(child: int) -> Iterator[None]:
    """Ctrl-C while the child starts ends the child: it has a session of its own and gets none."""
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        yield
    except KeyboardInterrupt:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        raise


@contextlib.contextmanager
def _wakes_up() -> Iterator[int]:
    """A descriptor that any signal makes readable.

    One that comes right before a blocking call would otherwise be noticed only after it.
    """
    woken, waking = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.set_wakeup_fd(waking)
    try:
        yield woken
    finally:
        signal.set_wakeup_fd(before)
        os.close(waking)
        os.close(woken)


def _read_all(descriptor: int, woken: int) -> bytes:
    received = b""
    while True:
        ready, _, _ = select.select([descriptor, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)  # the handler of the signal runs before the next instruction
        if descriptor in ready:
            chunk = os.read(descriptor, 65536)
            if not chunk:
                return received
            received += chunk


def _failure(report: bytes, exit_code: int) -> StartFailed:
    if report:
        return StartFailed(json.loads(report), exit_code or 1)
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        return StartFailed(f"the mount process was ended by {name} before it was ready", 1)
    return StartFailed("the mount process ended before it was ready", exit_code or 1)
