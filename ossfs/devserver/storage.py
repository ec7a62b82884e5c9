"""Buckets and objects on disk: rows in SQLite, bodies in files.

Rules of this file: one commit makes a new version visible and drops the old one; metadata and body
are named in the same row, so they cannot disagree after a kill. Used from one thread.
"""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ossfs.devserver.bodies import Bodies, Segment

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (
    name TEXT PRIMARY KEY, created INTEGER, storage_class TEXT, encryption TEXT DEFAULT '{}');
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT, key BLOB, size INTEGER, modified INTEGER, etag TEXT, kind TEXT, storage_class TEXT,
    crc64 TEXT, tags TEXT, segments TEXT, headers TEXT, data_key TEXT DEFAULT '',
    acl TEXT DEFAULT 'default', PRIMARY KEY (bucket, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, bucket TEXT, key BLOB, initiated INTEGER, storage_class TEXT, tags TEXT,
    headers TEXT, data_key TEXT DEFAULT '', acl TEXT DEFAULT 'default');
CREATE TABLE IF NOT EXISTS parts (
    upload TEXT, number INTEGER, size INTEGER, modified INTEGER, etag TEXT, crc64 TEXT,
    segments TEXT, PRIMARY KEY (upload, number)) WITHOUT ROWID;
"""
_ADDED = (
    ("buckets", "encryption", "'{}'"),
    ("objects", "data_key", "''"),
    ("objects", "acl", "'default'"),
    ("uploads", "data_key", "''"),
    ("uploads", "acl", "'default'"),
)
"""Columns that a database of an earlier version lacks: table, name, what earlier rows have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketRow:
    """One bucket; created in seconds since the epoch.

    encryption: the headers of server-side encryption that act where a request has none.
    """

    name: str
    created: int
    storage_class: str
    encryption: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedObject:
    """What a listing says of an object. etag has no quotes."""

    key: bytes
    size: int
    modified: int
    etag: str
    kind: str
    storage_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One version of an object; headers are those that come back with it, names in lower case.

    data_key: the wrapped data key of its body (module `datakeys`), empty for a body as it was sent.
    """

    size: int
    modified: int
    etag: str
    kind: str
    storage_class: str
    crc64: int | None
    tags: Mapping[str, str]
    segments: tuple[Segment, ...]
    headers: Mapping[str, str]
    data_key: str = ""
    acl: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketStat:
    """Totals of one bucket."""

    bytes_stored: int
    objects: int
    uploads: int


def pack_segments(segments: Sequence[Segment]) -> str:
    """Segments as one column holds them."""
    return json.dumps([[segment.name, segment.size] for segment in segments])


def unpack_segments(column: str) -> tuple[Segment, ...]:
    """The opposite of pack_segments."""
    return tuple(Segment(name, size) for name, size in json.loads(column))


class Store:
    """Everything below one root directory. Raises BlockingIOError if another server uses it."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise
        self.bodies = Bodies(root / "bodies")
        self.db = sqlite3.connect(root / "index.sqlite", isolation_level=None)
        # The flock above keeps others away, so that SQLite need not lock for every statement;
        # commits must survive the end of this process, not that of the machine.
        self.db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = OFF")
        self.db.executescript(_SCHEMA)
        self._add_columns()
        self._buckets = {
            name: BucketRow(
                name=name,
                created=created,
                storage_class=storage_class,
                encryption=json.loads(encryption),
            )
            for name, created, storage_class, encryption in self.db.execute("SELECT * FROM buckets")
        }
        self.bodies.sweep(self._names_in_use())

    def close(self) -> None:
        """Lets go of the database and of the root directory."""
        self.db.close()
        os.close(self._lock)

    def _add_columns(self) -> None:
        for table, column, default in _ADDED:
            present = {row[1] for row in self.db.execute(f"PRAGMA table_info({table})")}
            if column not in present:
                self.db.execute(f"ALTER TABLE {table} ADD COLUMN {column} TEXT DEFAULT {default}")

    def _names_in_use(self) -> set[str]:
        rows = self.db.execute("SELECT segments FROM objects UNION ALL SELECT segments FROM parts")
        return {segment.name for (column,) in rows for segment in unpack_segments(column)}

    @contextmanager
    def commit(self) -> Iterator[None]:
        """Makes all changes inside visible at once, or none."""
        self.db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    # Buckets

    def bucket(self, name: str) -> BucketRow | None:
        """The bucket, None if there is none of that name."""
        return self._buckets.get(name)

    def buckets(self, prefix: str, marker: str) -> list[BucketRow]:
        """Buckets behind *marker* whose names begin with *prefix*, in order."""
        return [
            self._buckets[name]
            for name in sorted(self._buckets)
            if name > marker and name.startswith(prefix)
        ]

    def create_bucket(self, name: str, created: int, storage_class: str = "Standard") -> None:
        """Makes the bucket; one that exists stays as it is."""
        if name not in self._buckets:
            row = (name, created, storage_class, "{}")
            self.db.execute("INSERT INTO buckets VALUES (?, ?, ?, ?)", row)
            self._buckets[name] = BucketRow(
                name=name, created=created, storage_class=storage_class, encryption={}
            )

    def set_bucket_encryption(self, name: str, encryption: Mapping[str, str]) -> None:
        """Replaces the default rule of the bucket; an empty one is none."""
        column = json.dumps(dict(encryption))
        self.db.execute("UPDATE buckets SET encryption = ? WHERE name = ?", (column, name))
        self._buckets[name] = replace(self._buckets[name], encryption=dict(encryption))

    def delete_bucket(self, name: str) -> None:
        """Drops an empty bucket."""
        self.db.execute("DELETE FROM buckets WHERE name = ?", (name,))
        self._buckets.pop(name, None)

    def stat(self, bucket: str) -> BucketStat:
        """Totals, computed now."""
        size, objects = self.db.execute(
            "SELECT COALESCE(SUM(size), 0), COUNT(*) FROM objects WHERE bucket = ?", (bucket,)
        ).fetchone()
        (uploads,) = self.db.execute(
            "SELECT COUNT(*) FROM uploads WHERE bucket = ?", (bucket,)
        ).fetchone()
        return BucketStat(bytes_stored=size, objects=objects, uploads=uploads)

    # Objects

    def object(self, bucket: str, key: bytes) -> StoredObject | None:
        """The current version, None if there is none."""
        row = self.db.execute(
            "SELECT size, modified, etag, kind, storage_class, crc64, tags, segments, headers,"
            " data_key, acl FROM objects WHERE bucket = ? AND key = ?",
            (bucket, key),
        ).fetchone()
        if row is None:
            return None
        size, modified, etag, kind, storage_class, crc64, tags, segments, headers, *rest = row
        data_key, acl = rest
        return StoredObject(
            size=size,
            modified=modified,
            etag=etag,
            kind=kind,
            storage_class=storage_class,
            crc64=int(crc64) if crc64 else None,
            tags=json.loads(tags),
            segments=unpack_segments(segments),
            headers=json.loads(headers),
            data_key=data_key,
            acl=acl,
        )

    def put(self, bucket: str, key: bytes, item: StoredObject) -> None:
        """Replaces whatever stands at *key*."""
        replaced = self._segments_at(bucket, key)
        self.insert(bucket, key, item)
        self.bodies.remove(replaced)

    def insert(self, bucket: str, key: bytes, item: StoredObject) -> None:
        """Writes the row; the caller removes the body of the one it replaces."""
        self.db.execute(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                bucket,
                key,
                item.size,
                item.modified,
                item.etag,
                item.kind,
                item.storage_class,
                "" if item.crc64 is None else str(item.crc64),
                json.dumps(dict(item.tags)),
                pack_segments(item.segments),
                json.dumps(dict(item.headers)),
                item.data_key,
                item.acl,
            ),
        )

    def _segments_at(self, bucket: str, key: bytes) -> tuple[Segment, ...]:
        row = self.db.execute(
            "SELECT segments FROM objects WHERE bucket = ? AND key = ?", (bucket, key)
        ).fetchone()
        return unpack_segments(row[0]) if row else ()

    def delete(self, bucket: str, key: bytes) -> None:
        """Drops the object if there is one."""
        removed = self._segments_at(bucket, key)
        self.db.execute("DELETE FROM objects WHERE bucket = ? AND key = ?", (bucket, key))
        self.bodies.remove(removed)

    def set_tags(self, bucket: str, key: bytes, tags: Mapping[str, str]) -> None:
        """Replaces the tag set; Last-Modified stays."""
        self.db.execute(
            "UPDATE objects SET tags = ? WHERE bucket = ? AND key = ?",
            (json.dumps(dict(tags)), bucket, key),
        )

    def set_acl(self, bucket: str, key: bytes, acl: str) -> None:
        """Replaces the ACL; Last-Modified stays."""
        self.db.execute(
            "UPDATE objects SET acl = ? WHERE bucket = ? AND key = ?", (acl, bucket, key)
        )

    def scan(self, bucket: str, start: bytes, end: bytes | None, limit: int) -> list[ListedObject]:
        """At most *limit* objects with start <= key < end in the order of their bytes."""
        columns = "SELECT key, size, modified, etag, kind, storage_class FROM objects"
        if end is None:
            rows = self.db.execute(
                f"{columns} WHERE bucket = ? AND key >= ? ORDER BY key LIMIT ?",
                (bucket, start, limit),
            )
        else:
            rows = self.db.execute(
                f"{columns} WHERE bucket = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?",
                (bucket, start, end, limit),
            )
        return [
            ListedObject(
                key=key,
                size=size,
                modified=modified,
                etag=etag,
                kind=kind,
                storage_class=storage_class,
            )
            for key, size, modified, etag, kind, storage_class in rows
        ]
