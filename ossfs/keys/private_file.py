"""Files that hold secrets: keys, passphrases, encryption contexts.

    file = read(Path("archive.key"))
    file.require_private()                  # KeyProblem where others than its owner may use it
    key = parse(file.content)

What is checked is the file that was opened, so nobody can put another one there in between.
"""

import logging
import os
import shlex
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from ossfs.errors import KeyProblem

log = logging.getLogger(__name__)

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""What a group or anybody may do; an access list shows in the bits of the group."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateFile:
    """A file that was read. found: its facts from fstat(2) when it was open."""

    path: Path
    content: bytes = field(repr=False)
    found: os.stat_result = field(repr=False)

    def require_private(self, holds: str = "") -> None:
        """Raises KeyProblem if others may read or change it, or if it belongs to somebody else.

        holds: the secret in it, for the message, where the kind of file does not tell.
        Root and the user whose process this is may own it. Root may use those of anybody: who ran
        sudo expects it, of all others there is a warning. A pipe (/dev/fd/N, <(command)) or a
        device is nobody's file, so that its mode says nothing.
        """
        if not stat.S_ISREG(self.found.st_mode):
            return
        name = f"{self.path} holds {holds} and" if holds else f"{self.path}"
        me, owner = os.geteuid(), self.found.st_uid
        mode = stat.S_IMODE(self.found.st_mode)
        if me != 0 and owner not in {0, me}:
            remedy = f"`sudo chown {me} {self._quoted}` makes it yours"
            raise KeyProblem(f"{name} belongs to another user (uid {owner}); {remedy}")
        if mode & _OTHERS:
            remedy = f"`chmod 600 {self._quoted}` makes it its owner's alone"
            raise KeyProblem(f"{name} is open to others (mode {mode:04o}); {remedy}")
        # Root can read it anyway; what its owner can do is put another secret there.
        if owner not in {0, me} and os.environ.get("SUDO_UID") != str(owner):
            log.warning("%s belongs to another user (uid %d), who can change it", name, owner)

    @property
    def _quoted(self) -> str:
        return shlex.quote(str(self.path))


def read(path: Path, *, limit: int = -1) -> PrivateFile:
    """All of a file, or its first *limit* bytes. Raises OSError."""
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        return PrivateFile(path=path, content=file.read(limit), found=found)
