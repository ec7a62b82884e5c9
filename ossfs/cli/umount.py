"""`ossfs umount`: everything stored first, then unmounted, and the process gone when it returns."""

import argparse
import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ossfs.cli import lock
from ossfs.cli.arguments import CommandParser, add_options, written
from ossfs.cli.control import NobodyListens, Refused, ask
from ossfs.cli.mount_state import states_of
from ossfs.cli.mount_table import Mounted, find_mount, is_dead
from ossfs.config.resolve import TABLE
from ossfs.config.state import MountState
from ossfs.errors import MountPointError, NotStored

_GONE_SECONDS = 30.0
_POLL_SECONDS = 0.02
_ANSWER_GRACE_SECONDS = 10.0


def configure(parser: CommandParser) -> None:
    """The arguments of the command."""
    parser.add_argument("mountpoint", metavar="MOUNTPOINT", help="where an ossfs mount is")
    parser.add_argument(
        "--timeout",
        dest="limit",
        type=_seconds,
        metavar="SECONDS",
        help="give up storing after this time [as long as something moves]",
    )
    add_options(parser, {"the mount": [TABLE["state-dir"]]})


def run(arguments: argparse.Namespace) -> int:
    """Drain and unmount. Raises NotStored (nothing is lost, the mount stays) or MountPointError."""
    mounted = find_mount(Path(arguments.mountpoint))
    if mounted is None:
        raise MountPointError(f"{arguments.mountpoint} is not a mount")
    if not mounted.is_ours:
        raise MountPointError(
            f"{mounted.mountpoint} is a mount of type {mounted.kind}, not of ossfs"
        )
    for state in states_of(mounted, written(arguments)):
        with contextlib.suppress(NobodyListens):
            return _finish(mounted, state, _ask_to_drain(mounted, state, arguments.limit))
    return _without_process(mounted)


def _ask_to_drain(mounted: Mounted, state: MountState, limit: float | None) -> Mapping[str, Any]:
    patience = None if limit is None else limit + _ANSWER_GRACE_SECONDS
    try:
        return ask(state.control, {"command": "umount", "timeout": limit}, seconds=patience)
    except Refused as error:
        raise MountPointError(f"{mounted.mountpoint}: {error}") from error


def _finish(mounted: Mounted, state: MountState, answer: Mapping[str, Any]) -> int:
    unstored: Sequence[Mapping[str, Any]] = answer.get("unstored", ())
    if not answer.get("unmounted") and not unstored:
        _unmount(mounted)
    if answer.get("unmounted") or not unstored:
        _wait_until_gone(mounted, state)
    if not unstored:
        return 0
    for item in unstored:
        print(f"{item['name']}: {item['reason']}", file=sys.stderr)
    what = "unmounted" if answer.get("unmounted") else "still mounted"
    raise NotStored(f"{mounted.mountpoint}: {len(unstored)} not stored, named above; {what}")


def _without_process(mounted: Mounted) -> int:
    dead = is_dead(mounted.mountpoint)
    _unmount(mounted)
    note = (
        "the process that served it had died; what it had not stored is lost"
        if dead
        else "its process could not be asked (another --state-dir?); it stores the rest by itself"
    )
    print(f"ossfs: {mounted.mountpoint} is unmounted; {note}", file=sys.stderr)
    return 0


def _unmount(mounted: Mounted) -> None:
    """Unmount, never lazily: a mount that is in use stays. Raises MountPointError."""
    helper = shutil.which("fusermount3")
    command = [helper, "-u"] if helper else ["umount"]
    done = subprocess.run(
        [*command, str(mounted.mountpoint)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise MountPointError(f"{mounted.mountpoint} stays mounted: {done.stderr.strip()}")


def _wait_until_gone(mounted: Mounted, state: MountState) -> None:
    deadline = time.monotonic() + _GONE_SECONDS
    while find_mount(mounted.mountpoint) == mounted or lock.is_held(state):
        if time.monotonic() > deadline:
            raise NotStored(
                f"{mounted.mountpoint}: its process has not ended yet; {state.log} may say why"
            )
        # Another process is waited for, which offers nothing to wait on.
        time.sleep(_POLL_SECONDS)


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number
