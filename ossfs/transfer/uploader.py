"""From a frozen file to a new stored version, encrypted under a data key of its own.

    uploader = Uploader(sender, keyring, prefix="team/a")
    info = await uploader.upload(frozen, key, attributes=attrs)
    info = await uploader.upload_link(target, key, attributes=attrs)
    info = await uploader.put_marker(key, attrs)      # directory, fifo, socket

OSS wants all headers before the first byte, and the tags of all bytes stand in them (or in the
sidecar, which goes first), so the content is encrypted twice; up to two parts are kept instead.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import final

from ossfs.crypto.body import BodyCipher
from ossfs.crypto.datakey import DataKey
from ossfs.crypto.tags import ChunkTagger, sidecar_body
from ossfs.format import attributes as attribute_headers
from ossfs.format import deprecated
from ossfs.format import envelope as envelopes
from ossfs.format import seal as seals
from ossfs.format.attributes import Attributes
from ossfs.format.envelope import Envelope
from ossfs.format.names import sidecar_key
from ossfs.format.seal import Seal
from ossfs.keys.pool import EnvelopeSource
from ossfs.staging import FrozenFile
from ossfs.store.base import ObjectInfo, PutOptions, ServerEncryption
from ossfs.transfer.ciphertext import SCAN_BYTES, Content, StoredForm, Text
from ossfs.transfer.limits import Check
from ossfs.transfer.protection import Protection
from ossfs.transfer.sending import Sender, nothing
from ossfs.types import ObjectKey

_DIRECTORY_TYPE = "application/x-directory"


@dataclass(frozen=True, slots=True)
class _Lock:
    """What encrypts one upload; never used for a second one."""

    key: DataKey
    iv: bytes
    envelope: Envelope


@final
class Uploader:
    """Stores files of one mount; one instance serves many uploads at once.

    keyring: None stores content as it is; one that writes the deprecated form makes objects without
    authenticity headers, since that form is for programs that know nothing of them. prefix: of the
    mount, under which sidecars lie. encryption, storage_class: asked of OSS for every object.
    keyring and encryption hold unless a call brings a `Protection` of its own.

    Every call takes a fresh data key; to try again is another call. What comes back is what HEAD
    would say of the new version, but for Last-Modified (the local clock). Raises StoreError
    (AlreadyExists with forbid_overwrite), KeyUnavailable, NoAttributeRoom, FileTooLarge,
    IntegrityError (damaged scratch file); nothing is visible under the key then, unless the answer
    of OSS was lost.
    """

    def __init__(
        self,
        sender: Sender,
        keyring: EnvelopeSource | None,
        *,
        prefix: str,
        encryption: ServerEncryption | None = None,
        storage_class: str | None = None,
    ) -> None:
        self._sender = sender
        self._default = Protection(source=keyring, server=encryption)
        self._prefix = prefix
        self._storage_class = storage_class

    async def upload(
        self,
        frozen: FrozenFile,
        key: ObjectKey,
        *,
        attributes: Attributes,
        tags: Mapping[str, str] | None = None,
        forbid_overwrite: bool = False,
        protection: Protection | None = None,
        storage_class: str | None = None,
        check: Check = nothing,
    ) -> ObjectInfo:
        """Store the content of *frozen*, which stays open, under *key*.

        check: awaited right before it becomes visible.
        """
        options = PutOptions(
            tags=tags or {},
            forbid_overwrite=forbid_overwrite,
            storage_class=storage_class or self._storage_class,
        )
        return await self._upload(
            frozen,
            key,
            attributes.file_type,
            replace(options, metadata=attribute_headers.to_metadata(attributes)),
            protection or self._default,
            check,
        )

    async def upload_as(
        self, frozen: FrozenFile, key: ObjectKey, *, file_type: int, options: PutOptions
    ) -> ObjectInfo:
        """Store *frozen* under *key* with headers, tags and all that another object has.

        file_type: st_mode >> 12, as `options.metadata` say; `options.encryption` does not count.
        """
        return await self._upload(frozen, key, file_type, options, self._default)

    async def upload_link(
        self,
        target: bytes,
        key: ObjectKey,
        *,
        attributes: Attributes,
        tags: Mapping[str, str] | None = None,
        forbid_overwrite: bool = False,
        protection: Protection | None = None,
    ) -> ObjectInfo:
        """Store a symbolic link, whose content is its *target*."""
        options = PutOptions(
            tags=tags or {},
            forbid_overwrite=forbid_overwrite,
            storage_class=self._storage_class,
        )
        return await self._upload(
            Text(bytes(target)),
            key,
            attributes.file_type,
            replace(options, metadata=attribute_headers.to_metadata(attributes)),
            protection or self._default,
        )

    async def put_marker(
        self,
        key: ObjectKey,
        attributes: Attributes,
        *,
        tags: Mapping[str, str] | None = None,
        forbid_overwrite: bool = False,
        protection: Protection | None = None,
    ) -> ObjectInfo:
        """Store an empty object without an envelope: a directory, fifo or socket."""
        options = PutOptions(
            metadata=attribute_headers.to_metadata(attributes),
            tags=tags or {},
            forbid_overwrite=forbid_overwrite,
            encryption=(protection or self._default).server,
        )
        if key.endswith("/"):
            options = replace(options, content_type=_DIRECTORY_TYPE)
        nothing = self._form(Text(b""), None)
        return await self._sender.store_source(key, nothing, options, part_size=None)

    async def _upload(
        self,
        content: Content,
        key: ObjectKey,
        file_type: int,
        options: PutOptions,
        protection: Protection,
        check: Check = nothing,
    ) -> ObjectInfo:
        part_size = self._sender.part_size_for(content.size)
        whole = part_size is None
        source = protection.source
        # Before any memory is held: who waits for a KMS must not keep others from uploading.
        lock = None if source is None else _Lock(*await source.new_envelope())
        async with self._sender.limits.memory.hold(content.size if whole else SCAN_BYTES):
            form = self._form(content, lock)
            await form.scan(keep=whole)
            metadata = dict(options.metadata)
            sidecar = None
            if lock is not None and lock.envelope.deprecated:
                metadata |= deprecated.to_metadata(lock.envelope, plain_size=content.size)
            elif lock is not None:
                seal = await self._seal(lock, form, file_type)
                sidecar = seal.sidecar
                metadata |= seals.to_metadata(seal)
                metadata |= envelopes.to_metadata(
                    lock.envelope, plain_size=content.size, part_size=part_size
                )
            options = replace(options, metadata=metadata, encryption=protection.server)
            if whole:
                await self._put_sidecar(sidecar, form.tags, options.encryption, held=True)
                return await self._sender.store_source(
                    key, form, options, part_size=None, check=check
                )
        await self._put_sidecar(sidecar, form.tags, options.encryption, held=False)
        return await self._sender.store_source(key, form, options, part_size=part_size, check=check)

    def _form(self, content: Content, lock: _Lock | None) -> StoredForm:
        limits = self._sender.limits
        if lock is None:
            return StoredForm(content, limits, cipher=None, tagger=None)
        cipher = BodyCipher(lock.key, lock.iv)
        tagger = None if lock.envelope.deprecated else ChunkTagger(lock.key, lock.iv)
        return StoredForm(content, limits, cipher=cipher, tagger=tagger)

    async def _seal(self, lock: _Lock, form: StoredForm, file_type: int) -> Seal:
        tags = form.tags
        make = partial(
            seals.make,
            lock.key,
            file_type=file_type,
            size=form.size,
            tags=tags,
            sidecar=sidecar_key(self._prefix, lock.key.sidecar_name(lock.key.iv())),
        )
        return await self._sender.limits.compute(len(tags), make)

    async def _put_sidecar(
        self,
        key: ObjectKey | None,
        tags: bytes,
        encryption: ServerEncryption | None,
        *,
        held: bool,
    ) -> None:
        """Store the sidecar, if there is one; it goes before the object that refers to it.

        held: the caller holds memory for the whole content, of which these bytes are a small
        fraction; otherwise it must hold none.
        """
        if key is None:
            return
        body = await self._sender.limits.compute(len(tags), partial(sidecar_body, tags))
        form = self._form(Text(body), None)
        part_size = self._sender.part_size_for(form.size)
        await form.scan(keep=False)
        options = PutOptions(encryption=encryption)
        room: AbstractAsyncContextManager[None] = nullcontext()
        if part_size is None and not held:
            room = self._sender.limits.memory.hold(form.size)
        async with room:
            await self._sender.store_source(key, form, options, part_size=part_size)
