"""`ossfs mount`: a bucket, or a prefix of it, as a directory."""

import argparse
import os
from pathlib import Path

from ossfs import log
from ossfs.cli import lock
from ossfs.cli.arguments import GROUPS, CommandParser, add_options, written
from ossfs.cli.background import Ready, Serve, run_in_background
from ossfs.cli.mountpoint import check_mountpoint, resolve_mountpoint
from ossfs.config.address import parse_bucket_url
from ossfs.config.resolve import resolve_mount
from ossfs.config.sections import Log, MountConfig
from ossfs.config.state import MountState, mount_state
from ossfs.errors import UsageError


def configure(parser: CommandParser) -> None:
    """The arguments of the command."""
    parser.usage = "ossfs mount oss://BUCKET[/PREFIX] MOUNTPOINT [OPTIONS] [-o OPT[,OPT…]]"
    parser.add_argument("bucket", metavar="oss://BUCKET[/PREFIX]", help="what to mount")
    parser.add_argument("mountpoint", metavar="MOUNTPOINT", help="an empty directory")
    add_options(parser, GROUPS)


def run(arguments: argparse.Namespace) -> int:
    """Mount; returns once it answers, or after the unmount with --foreground."""
    url = parse_bucket_url(arguments.bucket)
    mountpoint = resolve_mountpoint(arguments.mountpoint)
    config = resolve_mount(url, mountpoint, written(arguments))
    check_mountpoint(mountpoint, config.mount)
    state = mount_state(
        config.mount.state_dir, bucket=url.bucket, prefix=url.prefix, mountpoint=mountpoint
    )
    held = lock.acquire(state)

    def serve(ready: Ready) -> int:
        # Only the process that serves needs libfuse and the event loop, and only from here on.
        from ossfs.compose.mount import run_mount  # noqa: PLC0415

        lock.write_owner(held)
        return run_mount(config, ready=ready)

    try:
        return _serve_where_asked(config, state, serve)
    finally:
        os.close(held)


def _serve_where_asked(config: MountConfig, state: MountState, serve: Serve) -> int:
    if config.mount.foreground:
        _start_log(config.log, config.log.log_file)
        return serve(lambda: None)
    target = config.log.log_file or _fresh_log(state)
    _start_log(config.log, target)
    return run_in_background(serve, target)


def _start_log(settings: Log, target: Path | None) -> None:
    try:
        log.configure(
            level=settings.log_level,
            to_file=target,
            as_json=settings.log_format == "json",
            show_names=settings.log_names,
        )
    except OSError as error:
        raise UsageError(f"--log-file: {target} cannot be written: {error.strerror}") from error


def _fresh_log(state: MountState) -> Path:
    """The log of this mount in its state directory; that of the mount before is kept as log.old."""
    if state.log.exists():
        state.log.replace(state.log.with_suffix(".old"))
    return state.log
