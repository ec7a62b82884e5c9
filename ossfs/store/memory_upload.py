"""One multipart upload of the in-memory store, with the rules of OSS for its parts."""

import hashlib
import itertools
from collections.abc import Sequence

import fastcrc

from ossfs.errors import RefusedByServer
from ossfs.store import rules
from ossfs.store.base import Part, PutOptions
from ossfs.store.refusal import refusal
from ossfs.types import Buffer, ETag, ObjectKey


class Upload:
    """Parts received so far for one key; raises RefusedByServer as OSS does."""

    def __init__(self, key: ObjectKey, options: PutOptions) -> None:
        self.key = key
        self.options = options
        self._sizes = rules.multipart_sizes(options.metadata)
        self._parts: dict[int, tuple[Part, bytes]] = {}

    def put(self, number: int, body: Buffer) -> Part:
        """Keep the part, in place of an earlier one of that number."""
        if not 1 <= number <= rules.MAX_PARTS:
            raise refusal(400, "InvalidArgument", "part numbers are 1..10000")
        if self._sizes is not None:
            self._check_length(self._sizes, number, len(body))
        data = bytes(body)
        etag = ETag(hashlib.md5(data, usedforsecurity=False).hexdigest().upper())
        part = Part(number=number, etag=etag, crc64=fastcrc.crc64.xz(data))
        self._parts[number] = (part, data)
        return part

    @staticmethod
    def _check_length(sizes: tuple[int, int], number: int, length: int) -> None:
        data_size, part_size = sizes
        count = -(-data_size // part_size)
        if number > count:
            raise rules.envelope_error("411", "more parts than data-size and part-size give")
        if number < count and length != part_size:
            raise rules.envelope_error("419", "a part before the last differs from part-size")
        if number == count and length != data_size - part_size * (count - 1):
            raise rules.envelope_error("420", "the last part is not the rest of data-size")

    def join(self, parts: Sequence[Part]) -> tuple[bytes, ETag]:
        """Body and ETag of the object that *parts* make."""
        if not parts:
            raise refusal(400, "MalformedXML", "a part list must not be empty")
        numbers = [part.number for part in parts]
        if any(after <= before for before, after in itertools.pairwise(numbers)):
            raise refusal(400, "InvalidPartOrder", "parts must be listed in ascending order")
        bodies = [self._listed(part) for part in parts]
        if any(len(body) < rules.MIN_PART for body in bodies[:-1]):
            raise refusal(400, "EntityTooSmall", "a part before the last is below 100 KiB")
        self._check_count(numbers)
        etags = "".join(part.etag for part in parts)
        digest = hashlib.md5(etags.encode(), usedforsecurity=False).hexdigest().upper()
        return b"".join(bodies), ETag(f"{digest}-{len(parts)}")

    def _check_count(self, numbers: Sequence[int]) -> None:
        if self._sizes is None:
            return
        data_size, part_size = self._sizes
        if list(numbers) != list(range(1, -(-data_size // part_size) + 1)):
            raise rules.envelope_error(
                "411", "The client encryption part list is unexpected with init_multipart setted."
            )

    def _listed(self, part: Part) -> bytes:
        known = self._parts.get(part.number)
        if known is None or known[0].etag != part.etag:
            raise RefusedByServer(
                "a listed part was not uploaded or has another ETag", code="InvalidPart", status=400
            )
        return known[1]
