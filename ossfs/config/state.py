"""Where a mount keeps its local state: names only, nothing is created here.

STATE_DIR/mounts/<24 hex of SHA-256 over bucket, prefix and mount point>/
    lock       held (flock) by the process that serves the mount, with its number in it
    control    Unix socket, mode 0600
    log        where no --log-file is given and the mount is in the background
    scratch/   encrypted files that are open or not yet stored
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class MountState:
    """The files of one mount."""

    directory: Path

    @property
    def lock(self) -> Path:
        """Held by the process that serves the mount."""
        return self.directory / "lock"

    @property
    def control(self) -> Path:
        """The Unix socket on which that process answers."""
        return self.directory / "control"

    @property
    def log(self) -> Path:
        """The log of a mount in the background that names no file for it."""
        return self.directory / "log"

    @property
    def scratch(self) -> Path:
        """Directory of encrypted scratch files."""
        return self.directory / "scratch"


def mount_state(state_dir: Path, *, bucket: str, prefix: str, mountpoint: Path) -> MountState:
    """The files of one mount; *mountpoint* is absolute, its links resolved."""
    identity = "\0".join((bucket, prefix, str(mountpoint)))
    name = hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()[:24]
    return MountState(directory=state_dir / "mounts" / name)


def default_state_dir(environ: Mapping[str, str], uid: int) -> Path:
    """$XDG_STATE_HOME/ossfs; else /var/lib/ossfs for root, ~/.local/state/ossfs for anyone else.

    Root has a fixed place because a mount at boot has no HOME, and umount must find it again.
    """
    xdg = environ.get("XDG_STATE_HOME", "")
    if xdg.startswith("/"):
        return Path(xdg) / "ossfs"
    home = environ.get("HOME", "")
    if uid == 0 or not home.startswith("/"):
        return Path("/var/lib/ossfs")
    return Path(home) / ".local" / "state" / "ossfs"
