"""Multipart uploads on disk: the upload, its parts, and their joining into an object."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ossfs.devserver.bodies import Segment
from ossfs.devserver.storage import Store, StoredObject, pack_segments, unpack_segments


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An upload that was initiated and neither completed nor aborted.

    data_key: the wrapped data key that all its parts share, empty for parts as they are sent.
    """

    id: str
    bucket: str
    key: bytes
    initiated: int
    storage_class: str
    tags: Mapping[str, str]
    headers: Mapping[str, str]
    data_key: str
    acl: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedPart:
    """One part; a second upload of the same number replaces it."""

    number: int
    size: int
    modified: int
    etag: str
    crc64: int
    segments: tuple[Segment, ...]


_UPLOAD = (
    "SELECT id, bucket, key, initiated, storage_class, tags, headers, data_key, acl FROM uploads"
)


def _upload_of(row: tuple[str, str, bytes, int, str, str, str, str, str]) -> Upload:
    upload_id, bucket, key, initiated, storage_class, tags, headers, data_key, acl = row
    return Upload(
        id=upload_id,
        bucket=bucket,
        key=key,
        initiated=initiated,
        storage_class=storage_class,
        tags=json.loads(tags),
        headers=json.loads(headers),
        data_key=data_key,
        acl=acl,
    )


class Uploads:
    """The uploads of one Store; used from its thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._db = store.db

    def create(
        self,
        *,
        bucket: str,
        key: bytes,
        initiated: int,
        storage_class: str,
        tags: Mapping[str, str],
        headers: Mapping[str, str],
        data_key: str,
        acl: str,
    ) -> str:
        """Begins an upload and returns its id."""
        upload_id = secrets.token_hex(16).upper()
        self._db.execute(
            "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                upload_id,
                bucket,
                key,
                initiated,
                storage_class,
                json.dumps(dict(tags)),
                json.dumps(dict(headers)),
                data_key,
                acl,
            ),
        )
        return upload_id

    def find(self, bucket: str, key: bytes, upload_id: str) -> Upload | None:
        """The upload of that id if it is for that key."""
        row = self._db.execute(
            f"{_UPLOAD} WHERE id = ? AND bucket = ? AND key = ?", (upload_id, bucket, key)
        ).fetchone()
        return _upload_of(row) if row else None

    def of_bucket(self, bucket: str) -> list[Upload]:
        """All uploads of the bucket, in order of key and id."""
        rows = self._db.execute(f"{_UPLOAD} WHERE bucket = ? ORDER BY key, id", (bucket,))
        return [_upload_of(row) for row in rows]

    def put_part(self, upload: Upload, part: UploadedPart) -> None:
        """Stores the part in place of an earlier one of its number."""
        row = self._db.execute(
            "SELECT segments FROM parts WHERE upload = ? AND number = ?", (upload.id, part.number)
        ).fetchone()
        self._db.execute(
            "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                upload.id,
                part.number,
                part.size,
                part.modified,
                part.etag,
                str(part.crc64),
                pack_segments(part.segments),
            ),
        )
        if row:
            self._store.bodies.remove(unpack_segments(row[0]))

    def parts(self, upload: Upload) -> list[UploadedPart]:
        """The parts that are there, in order of number."""
        rows = self._db.execute(
            "SELECT number, size, modified, etag, crc64, segments FROM parts"
            " WHERE upload = ? ORDER BY number",
            (upload.id,),
        )
        return [
            UploadedPart(
                number=number,
                size=size,
                modified=modified,
                etag=etag,
                crc64=int(crc64),
                segments=unpack_segments(segments),
            )
            for number, size, modified, etag, crc64, segments in rows
        ]

    def complete(self, upload: Upload, used: Sequence[UploadedPart], item: StoredObject) -> None:
        """Makes *item*, which consists of the parts in *used*, the object; drops other parts."""
        kept = {part.number for part in used}
        spare = [part for part in self.parts(upload) if part.number not in kept]
        replaced = self._store.object(upload.bucket, upload.key)
        with self._store.commit():
            self._store.insert(upload.bucket, upload.key, item)
            self._forget(upload)
        for part in spare:
            self._store.bodies.remove(part.segments)
        if replaced:
            self._store.bodies.remove(replaced.segments)

    def abort(self, upload: Upload) -> None:
        """Drops the upload and its parts."""
        parts = self.parts(upload)
        with self._store.commit():
            self._forget(upload)
        for part in parts:
            self._store.bodies.remove(part.segments)

    def _forget(self, upload: Upload) -> None:
        self._db.execute("DELETE FROM uploads WHERE id = ?", (upload.id,))
        self._db.execute("DELETE FROM parts WHERE upload = ?", (upload.id,))
