"""Opening a stored version: ask for it, decide what it is, get its data key, accept its head.

answer = await ask(store, key, expect_size=4711)            # one request
reader = await open_answer(pool, keyring, answer, Integrity.PREFER)
"""

import hashlib
from dataclasses import dataclass

from ossfs.crypto.body import BodyCipher
from ossfs.crypto.datakey import DataKey
from ossfs.crypto.tags import ChunkTagger, chunk_size
from ossfs.errors import IntegrityError, KeyUnavailable, RangeNotSatisfiable
from ossfs.format import attributes as attribute_headers
from ossfs.format.attributes import Attributes
from ossfs.format.contents import Foreign, Own, Plain, classify, envelope_of
from ossfs.format.envelope import Envelope
from ossfs.format.seal import Seal
from ossfs.keys.keyring import Keyring
from ossfs.store.base import ObjectInfo, ObjectStore
from ossfs.transfer.pool import ReadPool
from ossfs.transfer.reader import ObjectReader
from ossfs.transfer.tagsource import HeaderTags, SidecarTags, TagSource
from ossfs.transfer.version import Authenticity, Integrity, Version
from ossfs.types import Buffer, ObjectKey

_FIRST_BYTES = 128 * 1024
_WHOLE_BYTES = 256 * 1024

# Only the type matters here; it is a regular file's where the header says nothing that counts.
_REGULAR = Attributes(mode=0o100644, uid=0, gid=0, atime_ns=0, mtime_ns=0, ctime_ns=0)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request said of a stored version; first_bytes: of its stored bytes, if asked for."""

    info: ObjectInfo
    first_bytes: Buffer = b""


async def ask(store: ObjectStore, key: ObjectKey, *, expect_size: int | None = None) -> Answer:
    """The headers of *key*, and with them its first bytes if a size above 0 is expected.

    Raises NotFound, StoreError.
    """
    if expect_size:
        chunk = chunk_size(expect_size)
        length = max(_FIRST_BYTES, chunk) if expect_size > _WHOLE_BYTES else _WHOLE_BYTES
        try:
            return Answer(*await store.get(key, start=0, length=length))
        except RangeNotSatisfiable:
            # It has become empty, and an empty object has no range.
            pass
    return Answer(await store.head(key))


async def open_answer(
    pool: ReadPool, keyring: Keyring | None, answer: Answer, integrity: Integrity
) -> ObjectReader:
    """A reader of a version whose headers are known; no request but a remote master key's.

    Raises as `accept`.
    """
    version = await accept(pool.store, keyring, answer.info, integrity)
    return ObjectReader(pool, version, answer.first_bytes)


async def accept(
    store: ObjectStore, keyring: Keyring | None, info: ObjectInfo, integrity: Integrity
) -> Version:
    """The version *info*, once its headers are accepted.

    Raises KeyUnavailable (as the headers show, no key here fits), IntegrityError (the key does not
    open it; headers forged, damaged or stripped; not authenticated under REQUIRE), Unsupported (a
    form that this version does not know), and what a remote master key raises.
    """
    if integrity is Integrity.OFF:
        return await _unchecked(keyring, info)
    contents = classify(info.metadata, info.size)
    if integrity is Integrity.REQUIRE and not isinstance(contents, Own):
        raise IntegrityError("the object is not authenticated, as --integrity require demands")
    match contents:
        case Plain():
            return _plain(info)
        case Foreign(envelope=envelope):
            key, iv = await _present(keyring).open_foreign(envelope)
            return _encrypted(info, envelope, BodyCipher(key, iv), None)
        case Own(envelope=envelope, seal=seal):
            file_type = file_type_of(info)

            def is_genuine(key: DataKey) -> bool:
                return seal.accepts(key, file_type=file_type, size=info.size)

            key = await _present(keyring).open(envelope, accept=is_genuine)
            return _sealed(store, info, envelope, key, seal)


async def _unchecked(keyring: Keyring | None, info: ObjectInfo) -> Version:
    """Whatever the envelope says, without a look at our own headers."""
    envelope = envelope_of(info.metadata)
    if envelope is None:
        return _plain(info)
    key, iv = await _present(keyring).open_foreign(envelope, refuse_own=False)
    return _encrypted(info, envelope, BodyCipher(key, iv), None)


def _sealed(
    store: ObjectStore, info: ObjectInfo, envelope: Envelope, key: DataKey, seal: Seal
) -> Version:
    iv = key.iv()
    source: TagSource
    if seal.tags is not None:
        source = HeaderTags(seal.tags)
    else:
        source = SidecarTags(store, seal.sidecar, size=info.size, tagsum=seal.tagsum)
    authenticity = Authenticity(seal.head, ChunkTagger(key, iv), source)
    return _encrypted(info, envelope, BodyCipher(key, iv), authenticity)


def _plain(info: ObjectInfo) -> Version:
    return Version(
        info=info, file_type=file_type_of(info), cipher=None, lock=b"", authenticity=None
    )


def _encrypted(
    info: ObjectInfo, envelope: Envelope, cipher: BodyCipher, authenticity: Authenticity | None
) -> Version:
    lock = hashlib.sha256(b"%d:" % len(envelope.wrapped_key))
    lock.update(envelope.wrapped_key)
    lock.update(envelope.wrapped_start)
    return Version(
        info=info,
        file_type=file_type_of(info),
        cipher=cipher,
        lock=lock.digest(),
        authenticity=authenticity,
    )


def file_type_of(info: ObjectInfo) -> int:
    """st_mode >> 12 as the header tells; object tags and listings have no say in it."""
    return attribute_headers.from_metadata(info.metadata, _REGULAR, size=info.size).file_type


def _present(keyring: Keyring | None) -> Keyring:
    if keyring is None:
        raise KeyUnavailable("the object is encrypted, and no master key is configured")
    return keyring
