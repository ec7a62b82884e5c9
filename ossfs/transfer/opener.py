"""Opens stored versions for one mount.

info, reader = await opener.open(key, expect_size=4711)
"""

from typing import final

from ossfs.keys.keyring import Keyring
from ossfs.store.base import ObjectInfo
from ossfs.transfer.opening import Answer, accept, ask, open_answer
from ossfs.transfer.pool import ReadPool
from ossfs.transfer.reader import ObjectReader
from ossfs.transfer.version import Integrity, Version
from ossfs.types import ObjectKey


@final
class Opener:
    """One per mount: readers' pool, keys and integrity bound together.

    keyring: None where nothing that is encrypted can be opened. integrity: what must be
    authenticated.
    """

    def __init__(self, pool: ReadPool, keyring: Keyring | None, integrity: Integrity) -> None:
        self._pool = pool
        self._keyring = keyring
        self._integrity = integrity

    async def open(
        self, key: ObjectKey, *, expect_size: int, known: ObjectReader | None = None
    ) -> tuple[ObjectInfo, ObjectReader]:
        """What OSS says of *key* now, and a reader of that version, by one request.

        expect_size: as last known; above 0, the request brings the first bytes along. The reader is
        *known* if that reads the same version and was not closed meanwhile. Raises NotFound,
        StoreError, and as `opening.accept`.
        """
        answer = await ask(self._pool.store, key, expect_size=expect_size)
        if known is not None and not known.is_closed and _is_same(known.info, answer.info):
            known.prime(answer.first_bytes)
            return answer.info, known
        reader = await open_answer(self._pool, self._keyring, answer, self._integrity)
        return answer.info, reader

    async def open_known(self, info: ObjectInfo) -> ObjectReader:
        """A reader of the version *info*, without asking OSS. Raises as `opening.accept`."""
        return await open_answer(self._pool, self._keyring, Answer(info), self._integrity)

    async def accept(self, info: ObjectInfo) -> Version:
        """The version *info*, opened for checking its bytes. Raises as `opening.accept`."""
        return await accept(self._pool.store, self._keyring, info, self._integrity)


def _is_same(known: ObjectInfo, now: ObjectInfo) -> bool:
    """Same content and same headers: what was accepted once needs no second look."""
    return _accepted(known) == _accepted(now)


def _accepted(info: ObjectInfo) -> tuple[object, ...]:
    """All of *info* that says which bytes these are and what they mean.

    The size among it: the seal binds it, and the bucket could show another under the same ETag.
    """
    return info.key, info.etag, info.size, info.crc64, info.object_type, dict(info.metadata)
