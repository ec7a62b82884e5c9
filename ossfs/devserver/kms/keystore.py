"""Keys, their versions and their aliases on disk.

Rules of this file: what a deadline changes (a scheduled deletion, material that expires) is done at
the first look after it; the bytes of a key stand in the database sealed only. Used from one thread.
"""

import hashlib
import secrets
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ossfs.devserver.kms.vault import Vault

_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE, created INTEGER, description TEXT, state TEXT,
    origin TEXT, protection TEXT, delete_at INTEGER, expires_at INTEGER);
CREATE TABLE IF NOT EXISTS versions (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE, key TEXT, created INTEGER, material BLOB,
    fingerprint BLOB);
CREATE TABLE IF NOT EXISTS aliases (name TEXT PRIMARY KEY, key TEXT) WITHOUT ROWID;
"""
MATERIAL_BYTES = 32

KeyState = Literal["Enabled", "Disabled", "PendingDeletion", "PendingImport"]
Origin = Literal["Aliyun_KMS", "EXTERNAL"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key; times in seconds since the epoch.

    delete_at: when it goes, in state PendingDeletion; expires_at: when its imported material goes.
    """

    id: str
    created: int
    description: str
    state: KeyState
    origin: Origin
    protection: str
    delete_at: int | None = None
    expires_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyVersion:
    """One version; material is None where it has not been imported or is gone."""

    id: str
    key: str
    created: int
    material: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Alias:
    """A second name of a key; begins with `alias/`."""

    name: str
    key: str


_KEY_BY_ID = (
    "SELECT id, created, description, state, origin, protection, delete_at, expires_at"
    " FROM keys WHERE id = ?"
)


def _key(row: tuple[str, int, str, KeyState, Origin, str, int | None, int | None]) -> Key:
    identity, created, description, state, origin, protection, delete_at, expires_at = row
    return Key(
        id=identity,
        created=created,
        description=description,
        state=state,
        origin=origin,
        protection=protection,
        delete_at=delete_at,
        expires_at=expires_at,
    )


class KeyStore:
    """All keys below one directory, which the caller keeps from other servers. Raises OSError."""

    def __init__(self, directory: Path, clock: Callable[[], float]) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.vault = Vault(directory / "root.key")
        self._clock = clock
        self._db = sqlite3.connect(directory / "keys.sqlite", isolation_level=None)
        # As for the objects: commits must survive the end of this process, not of the machine.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Lets go of the database."""
        self._db.close()

    @contextmanager
    def _commit(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def expire(self) -> None:
        """Does what has become due."""
        now = int(self._clock())
        due = "SELECT id FROM keys WHERE delete_at <= ?"
        for (identity,) in self._db.execute(due, (now,)).fetchall():
            self.delete(identity)
        due = "SELECT id FROM keys WHERE expires_at <= ?"
        for (identity,) in self._db.execute(due, (now,)).fetchall():
            self.drop_material(identity)

    # Keys

    def create(self, *, origin: Origin, description: str, protection: str) -> Key:
        """Makes a key with its first version; an EXTERNAL one waits for its material."""
        external = origin == "EXTERNAL"
        key = Key(
            id=str(uuid.uuid4()),
            created=int(self._clock()),
            description=description,
            state="PendingImport" if external else "Enabled",
            origin=origin,
            protection=protection,
        )
        with self._commit():
            self._db.execute(
                "INSERT INTO keys (id, created, description, state, origin, protection)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (key.id, key.created, description, key.state, origin, protection),
            )
            self._add_version(key.id, None if external else secrets.token_bytes(MATERIAL_BYTES))
        return key

    def key(self, identity: str) -> Key | None:
        """The key of that id."""
        self.expire()
        row = self._db.execute(_KEY_BY_ID, (identity,)).fetchone()
        return None if row is None else _key(row)

    def all_keys(self) -> list[Key]:
        """All keys, the oldest first."""
        self.expire()
        rows = self._db.execute(
            "SELECT id, created, description, state, origin, protection, delete_at, expires_at"
            " FROM keys ORDER BY number"
        )
        return [_key(row) for row in rows]

    def set_state(self, identity: str, state: KeyState, delete_at: int | None = None) -> None:
        """Changes the state of a key."""
        self._db.execute(
            "UPDATE keys SET state = ?, delete_at = ? WHERE id = ?", (state, delete_at, identity)
        )

    def delete(self, identity: str) -> None:
        """Drops a key with its versions and aliases; what it encrypted is lost."""
        with self._commit():
            self._db.execute("DELETE FROM aliases WHERE key = ?", (identity,))
            self._db.execute("DELETE FROM versions WHERE key = ?", (identity,))
            self._db.execute("DELETE FROM keys WHERE id = ?", (identity,))

    # Versions and their material

    def _purpose(self, version: str) -> str:
        return f"material of {version}"

    def _add_version(self, key: str, material: bytes | None) -> str:
        identity = str(uuid.uuid4())
        sealed = material and self.vault.seal(material, self._purpose(identity))
        self._db.execute(
            "INSERT INTO versions (id, key, created, material) VALUES (?, ?, ?, ?)",
            (identity, key, int(self._clock()), sealed),
        )
        return identity

    def add_version(self, key: str) -> KeyVersion:
        """Makes a further version with material of its own, from now on the primary one."""
        self._add_version(key, secrets.token_bytes(MATERIAL_BYTES))
        return self.primary(key)

    def _version(self, row: tuple[str, str, int, bytes | None]) -> KeyVersion:
        identity, key, created, sealed = row
        material = None if sealed is None else self.vault.open(sealed, self._purpose(identity))
        if sealed is not None and material is None:
            raise OSError("the root key does not open the material of this version")
        return KeyVersion(id=identity, key=key, created=created, material=material)

    def version(self, identity: str) -> KeyVersion | None:
        """The version of that id."""
        self.expire()
        row = self._db.execute(
            "SELECT id, key, created, material FROM versions WHERE id = ?", (identity,)
        ).fetchone()
        return None if row is None else self._version(row)

    def versions(self, key: str) -> list[KeyVersion]:
        """All versions of a key, the primary one last."""
        rows = self._db.execute(
            "SELECT id, key, created, material FROM versions WHERE key = ? ORDER BY number", (key,)
        )
        return [self._version(row) for row in rows]

    def primary(self, key: str) -> KeyVersion:
        """The version that encrypts."""
        return self.versions(key)[-1]

    def import_material(self, key: Key, material: bytes, expires_at: int | None) -> bool:
        """Gives an EXTERNAL key its material; False if it has had another one before."""
        version = self.primary(key.id)
        # The material is 256 random bits, so that nothing is learnt from its digest.
        fingerprint = hashlib.sha256(version.id.encode() + material).digest()
        (earlier,) = self._db.execute(
            "SELECT fingerprint FROM versions WHERE id = ?", (version.id,)
        ).fetchone()
        if earlier not in {None, fingerprint}:
            return False
        sealed = self.vault.seal(material, self._purpose(version.id))
        with self._commit():
            self._db.execute(
                "UPDATE versions SET material = ?, fingerprint = ? WHERE id = ?",
                (sealed, fingerprint, version.id),
            )
            self._db.execute(
                "UPDATE keys SET state = ?, expires_at = ? WHERE id = ?",
                ("Enabled" if key.state == "PendingImport" else key.state, expires_at, key.id),
            )
        return True

    def drop_material(self, identity: str) -> None:
        """Takes imported material away; the key waits for it again, unless it is to be deleted."""
        with self._commit():
            self._db.execute("UPDATE versions SET material = NULL WHERE key = ?", (identity,))
            self._db.execute(
                "UPDATE keys SET expires_at = NULL, state = CASE state WHEN 'PendingDeletion'"
                " THEN state ELSE 'PendingImport' END WHERE id = ?",
                (identity,),
            )

    # Aliases

    def alias(self, name: str) -> Alias | None:
        """The alias of that name."""
        self.expire()
        row = self._db.execute("SELECT name, key FROM aliases WHERE name = ?", (name,)).fetchone()
        return None if row is None else Alias(*row)

    def aliases(self, key: str | None = None) -> list[Alias]:
        """All aliases, or those of one key, by name."""
        self.expire()
        rows = self._db.execute("SELECT name, key FROM aliases ORDER BY name")
        return [Alias(*row) for row in rows if key in {None, row[1]}]

    def set_alias(self, name: str, key: str) -> None:
        """Makes the alias, or lets it name another key."""
        self._db.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?)", (name, key))

    def delete_alias(self, name: str) -> None:
        """Drops the alias if there is one."""
        self._db.execute("DELETE FROM aliases WHERE name = ?", (name,))
