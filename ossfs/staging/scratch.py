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
    here and kept in memory only. What reads and writes may run in any thread, everything else in
    that of the event loop. Opened at the first write, since most files never leave the memory.
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

    def reserve(self, count: int) -> list[int]:
        """Numbers of *count* slots for `write`, in ascending order. Raises StagingFull."""
        if self._fd < 0:
            self._fd = _open_nameless(self._directory)
        slots = sorted(self._free.pop() for _ in range(min(count, len(self._free))))
        new = count - len(slots)
        slots += range(self._slots, self._slots + new)
        self._slots += new
        return slots

    def write(self, slots: list[int], serials: list[int], contents: list[bytearray]) -> None:
        """Encrypt each of *contents* into its slot; neighbouring slots are written as one.

        serials: names these writes; the same number must be given to read a slot. Raises
        StagingFull; none of the slots counts as written then.
        """
        sealed = memoryview(bytearray(sum(map(len, contents)) + len(slots) * SEAL_OVERHEAD))
        begin = end = 0
        position = follows = slots[0] * self._slot_bytes
        for slot, serial, content in zip(slots, serials, contents, strict=True):
            if slot * self._slot_bytes != follows:
                self._write_at(position, sealed[begin:end])
                begin, position = end, slot * self._slot_bytes
            length = len(content) + SEAL_OVERHEAD
            self._cipher.seal_into(serial, content, sealed[end : end + length])
            end += length
            follows = slot * self._slot_bytes + length
        self._write_at(position, sealed[begin:])

    def read(self, slot: int, serial: int, length: int) -> bytearray:
        """The *length* bytes that `write` put there. Raises IntegrityError if they changed,
        OssfsError if they cannot be read.
        """
        return self._cipher.open(serial, self._pread(slot, length + SEAL_OVERHEAD))

    def read_into(self, slot: int, serials: list[int], out: memoryview) -> None:
        """As `read`, the content of full slots from *slot* on, all of which *out* takes."""
        sealed = memoryview(self._pread(slot, len(serials) * self._slot_bytes))
        length = self._slot_bytes - SEAL_OVERHEAD
        for number, serial in enumerate(serials):
            begin = number * self._slot_bytes
            self._cipher.open_into(
                serial,
                sealed[begin : begin + self._slot_bytes],
                out[number * length : (number + 1) * length],
            )

    def _pread(self, slot: int, wanted: int) -> bytes:
        try:
            sealed = os.pread(self._fd, wanted, slot * self._slot_bytes)
        except OSError as exc:
            raise _translated(exc, "read") from exc
        if len(sealed) != wanted:
            raise IntegrityError("the scratch file lost a block")
        return sealed

    def free(self, slot: int) -> None:
        """Let the next write use *slot*."""
        self._free.append(slot)

    def close(self) -> None:
        """Give the disk space back; the key goes with it."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _write_at(self, position: int, sealed: memoryview) -> None:
        while sealed:
            try:
                written = os.pwrite(self._fd, sealed, position)
            except OSError as exc:
                raise _translated(exc, "written") from exc
            sealed = sealed[written:]
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
