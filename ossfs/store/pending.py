"""What this process knows of the multipart uploads it began: enough to recognise the result."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ossfs.store.base import ObjectInfo, Part, ServerEncryption
from ossfs.store.crc64 import combine
from ossfs.types import ETag

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a version that we wrote looks like; None where it is not known beforehand."""

    size: int
    crc64: int | None
    metadata: Mapping[str, str]
    etag: ETag | None = None

    def is_met_by(self, info: ObjectInfo) -> bool:
        """Whether *info* describes that version. Wrapped keys in the metadata make it unique."""
        if info.crc64 is not None and self.crc64 is not None:
            same_bytes = info.crc64 == self.crc64
        else:
            same_bytes = info.etag == self.etag
        metadata = {name.lower(): value for name, value in self.metadata.items()}
        return same_bytes and info.size == self.size and dict(info.metadata) == metadata


@dataclass(frozen=True, slots=True)
class _Upload:
    metadata: Mapping[str, str]
    encryption: ServerEncryption | None
    parts: dict[int, tuple[int, int]] = field(default_factory=dict)


class PendingUploads:
    """Metadata, and sizes and CRCs of the parts sent; the latest 10,000 uploads."""

    def __init__(self) -> None:
        self._uploads: OrderedDict[str, _Upload] = OrderedDict()

    def begin(
        self,
        upload_id: str,
        metadata: Mapping[str, str],
        encryption: ServerEncryption | None = None,
    ) -> None:
        """Remembers an upload; encryption: as the answer to its beginning says."""
        self._uploads[upload_id] = _Upload(dict(metadata), encryption)
        if len(self._uploads) > _REMEMBERED:
            self._uploads.popitem(last=False)

    def sent(self, upload_id: str, number: int, size: int, crc64: int) -> None:
        """Remembers a part."""
        upload = self._uploads.get(upload_id)
        if upload is not None:
            upload.parts[number] = (size, crc64)

    def expected(self, upload_id: str, parts: Sequence[Part]) -> Expected | None:
        """What *parts* will make; None if this process did not send them all."""
        upload = self._uploads.get(upload_id)
        if upload is None or any(part.number not in upload.parts for part in parts):
            return None
        total, crc64 = 0, 0
        for part in parts:
            size, part_crc64 = upload.parts[part.number]
            total += size
            crc64 = combine(crc64, part_crc64, size)
        return Expected(size=total, crc64=crc64, metadata=upload.metadata)

    def encryption(self, upload_id: str) -> ServerEncryption | None:
        """What was said of it when it began."""
        upload = self._uploads.get(upload_id)
        return None if upload is None else upload.encryption

    def end(self, upload_id: str) -> None:
        """Forgets the upload."""
        self._uploads.pop(upload_id, None)
