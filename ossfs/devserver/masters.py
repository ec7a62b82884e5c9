"""The master keys that wrap the data keys of SSE-OSS: one file, all versions, rotated with time.

The newest version wraps; older ones stay for what they have wrapped. The file has mode 0600.
"""

import base64
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ossfs.devserver import keyfiles

_KEY_BYTES = 32
_NONCE_BYTES = 12
_ROTATED_AFTER_SECONDS = 90 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class _Master:
    """One version; created in seconds since the epoch."""

    id: str
    created: int
    key: bytes = field(repr=False)


class Masters:
    """The master keys of one server, made at the first use; used from one thread. Raises OSError.

    path: their file, in a directory made if missing. clock: seconds since the epoch.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._versions = _read(path) if path.exists() else []

    def wrap(self, data_key: bytes) -> tuple[str, bytes]:
        """The id of the newest version, and *data_key* wrapped by it."""
        now = self._clock()
        if not self._versions or now - self._versions[-1].created > _ROTATED_AFTER_SECONDS:
            self.rotate()
        master, nonce = self._versions[-1], secrets.token_bytes(_NONCE_BYTES)
        wrapped = AESGCM(master.key).encrypt(nonce, data_key, master.id.encode())
        return master.id, nonce + wrapped

    def unwrap(self, version: str, wrapped: bytes) -> bytes:
        """The opposite of wrap. Raises OSError if the version is lost or the bytes are damaged."""
        for master in self._versions:
            if master.id == version:
                nonce, rest = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
                try:
                    return AESGCM(master.key).decrypt(nonce, rest, version.encode())
                except (InvalidTag, ValueError):
                    raise OSError("a wrapped data key is damaged") from None
        raise OSError(f"the master key {version} is not in {self._path}")

    def rotate(self) -> None:
        """Makes a further version, which wraps from now on."""
        master = _Master(
            id=secrets.token_hex(8),
            created=int(self._clock()),
            key=secrets.token_bytes(_KEY_BYTES),
        )
        versions = [*self._versions, master]
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        keyfiles.write(self._path, _packed(versions))
        self._versions = versions


def _packed(versions: list[_Master]) -> bytes:
    fields = [
        {"id": item.id, "created": item.created, "key": base64.b64encode(item.key).decode()}
        for item in versions
    ]
    return json.dumps(fields, indent=1).encode()


def _read(path: Path) -> list[_Master]:
    try:
        return [
            _Master(id=item["id"], created=int(item["created"]), key=base64.b64decode(item["key"]))
            for item in json.loads(path.read_bytes())
        ]
    except (ValueError, TypeError, KeyError):
        # The cause might quote what the file holds.
        raise OSError(f"{path} holds no master keys") from None
