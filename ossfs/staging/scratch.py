"""The scratch file: slots of encrypted blocks in a file that has no name."""

import errno
import os
import tempfile
from pathlib import Path

from ossfs.crypto.scratch import SEAL_OVERHEAD, ScratchCipher
from ossfs.errors import IntegrityError, OssfsError, StagingFull

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class ScratchFile:
    """Slots of equal size for encrypted blocks of one staged file; freed slots are used again.

    The file has no name from the start, so nothing is left of it after a crash, and its key is made
    here and kept in memory only. `read` may run in any thread, everything else in that of the event
    loop. Opened at the first write, since most files never leave the memory.
    """

    __slots__ = ("_cipher", "_directory", "_fd", "_free", "_slot_bytes", "_slots")

    def __init__(self, directory: Path, block_bytes: int) -> None:
        self._directory = directory
        self._slot_bytes = block_bytes + SEAL_OVERHEAD
        self._cipher = ScratchCipher(os.urandom(16))
        self._free: list[int] = []
        self._slots = 0
        self._fd = -1

    @property
    def slot_bytes(self) -> int:
        """Bytes that one slot takes on disk."""
        return self._slot_bytes

    def write(self, serial: int, content: bytearray) -> int:
        """Encrypt *content* into a slot and return the number of the slot.

        serial: names this write; the same number must be given to `read`. Raises StagingFull; the
        slots that were there stay as they are.
        """
        if self._fd < 0:
            self._fd = _open_nameless(self._directory)
        slot = self._free.pop() if self._free else self._slots
        try:
            self._write_at(slot * self._slot_bytes, self._cipher.seal(serial, content))
        except OssfsError:
            if slot < self._slots:
                self._free.append(slot)
            raise
        self._slots = max(self._slots, slot + 1)
        return slot

    def read(self, slot: int, serial: int, length: int) -> bytes:
        """The *length* bytes that `write` put there. Raises IntegrityError if they changed,
        OssfsError if they cannot be read.
        """
        wanted = length + SEAL_OVERHEAD
        try:
            sealed = os.pread(self._fd, wanted, slot * self._slot_bytes)
        except OSError as exc:
            raise _translated(exc, "read") from exc
        if len(sealed) != wanted:
            raise IntegrityError("the scratch file lost a block")
        return self._cipher.open(serial, sealed)

    def free(self, slot: int) -> None:
        """Let the next write use *slot*."""
        self._free.append(slot)

    def close(self) -> None:
        """Give the disk space back; the key goes with it."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _write_at(self, position: int, sealed: bytes) -> None:
        view = memoryview(sealed)
        while view:
            try:
                written = os.pwrite(self._fd, view, position)
            except OSError as exc:
                raise _translated(exc, "written") from exc
            view = view[written:]
            position += written


def _open_nameless(directory: Path) -> int:
    """Descriptor of a new file of mode 0600 without a name. Raises StagingFull."""
    try:
        try:
            return os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC | os.O_EXCL, 0o600)
        except OSError as exc:
            if exc.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT}:
                raise
        # The file system knows no O_TMPFILE: between the next two lines the file has a name, but
        # no content.
        fd, name = tempfile.mkstemp(prefix="scratch-", dir=directory)
        os.unlink(name)
    except OSError as exc:
        raise _translated(exc, "written") from exc
    return fd


def _translated(exc: OSError, done: str) -> OssfsError:
    if exc.errno in _FULL:
        return StagingFull("no space left for scratch files")
    return OssfsError(f"the scratch file cannot be {done}: {os.strerror(exc.errno or 0)}")
