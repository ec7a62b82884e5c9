"""From a mount in the kernel's table to the files of the process that serves it."""

import contextlib
import pwd
from collections.abc import Iterator

from ossfs.cli.mount_table import Mounted
from ossfs.config.address import parse_bucket_url
from ossfs.config.resolve import Written, resolve_state_dir
from ossfs.config.state import MountState, default_state_dir, mount_state
from ossfs.errors import UsageError


def states_of(mounted: Mounted, own: Written) -> Iterator[MountState]:
    """Where its process may be listening: as our settings say, then as its owner's defaults say."""
    try:
        url = parse_bucket_url(mounted.source)
    except UsageError:
        return
    folders = [resolve_state_dir(url, own)]
    if mounted.uid is not None and mounted.uid != own.uid:
        with contextlib.suppress(KeyError):
            home = pwd.getpwuid(mounted.uid).pw_dir
            folders.append(default_state_dir({"HOME": home}, mounted.uid))
    for folder in folders:
        yield mount_state(
            folder, bucket=url.bucket, prefix=url.prefix, mountpoint=mounted.mountpoint
        )
