"""One object, from the first look at it to the new version in its place."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import final

import trio

from ossfs.crypto.datakey import FAILED
from ossfs.errors import (
    EntityTooLarge,
    IntegrityError,
    KeyUnavailable,
    NotFound,
    OssfsError,
    RefusedByServer,
    Stale,
    TimedOut,
    Unavailable,
)
from ossfs.format.contents import Own, Plain, classify, same_content
from ossfs.keys.keyring import Keyring
from ossfs.staging import StagingArea
from ossfs.store.base import ObjectInfo, ObjectStore, PutOptions, ServerEncryption
from ossfs.transfer.acl import own_acl
from ossfs.transfer.convert.carried import Carried, with_other_content, with_times
from ossfs.transfer.convert.goal import Goal, Goals, Target, Work, is_special
from ossfs.transfer.convert.plaintext import Plaintext
from ossfs.transfer.convert.workspace import Workspace
from ossfs.transfer.opening import accept
from ossfs.transfer.restoring import StoredVersion, store_again
from ossfs.transfer.sending import Sender
from ossfs.transfer.sidecar import restate_sidecar
from ossfs.transfer.uploader import Uploader
from ossfs.transfer.version import Integrity, Version
from ossfs.types import ObjectKey

ATTEMPTS = 2
_COMMIT_SECONDS = 600.0
_PAUSES = (0.5, 2.0, 8.0, 20.0)
_SHORT = 16 << 20
_STANDARD = "Standard"


class Outcome(Enum):
    """What became of one object."""

    AS_ASKED = "as-asked"
    CONVERTED = "converted"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One object; work: what was done, or is to be done in a dry run; reason: of not doing it."""

    key: ObjectKey
    size: int
    outcome: Outcome
    work: Work = Work.NOTHING
    reason: str = ""
    error: OssfsError | None = None


class Changed(Stale):
    """Another client changed the object while it was converted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One attempt: the version to replace, all its tags, and the ACL that is its own, if any."""

    info: ObjectInfo
    tags: Mapping[str, str]
    acl: str | None
    server: ServerEncryption | None

    @property
    def key(self) -> ObjectKey:
        return self.info.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What all conversions of one run share.

    keyring: of everything that opens what is there; rule: the bucket's own server-side encryption;
    prefix: under which sidecars go.
    """

    sender: Sender
    keyring: Keyring
    integrity: Integrity
    area: StagingArea
    workspace: Workspace
    rule: ServerEncryption | None
    prefix: str


@final
class Conversion:
    """Converts one object after the other, or many at once."""

    def __init__(self, tools: Tools, goals: Goals) -> None:
        self._tools = tools
        self._goals = goals
        self._store: ObjectStore = tools.sender.store
        self._plaintext = Plaintext(tools.sender.store, tools.sender.limits)

    async def convert(self, key: ObjectKey, *, dry_run: bool = False) -> Result:
        """Make the object what its goal says. Raises nothing but Cancelled.

        What changed meanwhile is looked at again, once.
        """
        failure: OssfsError | None = None
        size = 0
        for _ in range(ATTEMPTS):
            try:
                info = await self._store.head(key)
                size = info.size
                return await self._convert(info, dry_run)
            except NotFound as error:
                if not await self._is_gone(key):
                    failure = error
                    break
                reason = "it was deleted meanwhile"
                return Result(key=key, size=size, outcome=Outcome.SKIPPED, reason=reason)
            except Stale as error:
                failure = error
            except OssfsError as error:
                failure = error
                break
        return Result(
            key=key, size=size, outcome=Outcome.FAILED, reason=str(failure), error=failure
        )

    async def _is_gone(self, key: ObjectKey) -> bool:
        try:
            await self._store.head(key)
        except NotFound:
            return True
        except OssfsError:
            return False
        return False

    async def _convert(self, info: ObjectInfo, dry_run: bool) -> Result:
        result = partial(Result, key=info.key, size=info.size)
        if info.object_type == "Symlink":
            return result(outcome=Outcome.SKIPPED, reason="it is a link of OSS to another object")
        if is_special(info):
            return result(outcome=Outcome.SKIPPED, reason="it has no content")
        goal = self._goals(info.key)
        work = await goal.work_for(info, self._tools.rule)
        if work is Work.NOTHING:
            return result(outcome=Outcome.AS_ASKED)
        if not dry_run:
            await self._do(info, goal, work)
        return result(outcome=Outcome.CONVERTED, work=work)

    async def _do(self, info: ObjectInfo, goal: Goal, work: Work) -> None:
        job = _Job(
            info=info,
            tags=await self._tags_of(info),
            acl=await own_acl(self._store, info),
            server=goal.server_for(info),
        )
        if work is Work.CONTENT:
            assert isinstance(goal.client, Target | None)
            await self._change_content(job, goal.client)
        elif isinstance(classify(info.metadata, info.size), Plain):
            await self._restate(job)
        else:
            await self._change_server_side(job)

    # --- other content ---------------------------------------------------------------------------

    async def _change_content(self, job: _Job, target: Target | None) -> None:
        tools = self._tools
        old = await accept(self._store, tools.keyring, job.info, tools.integrity)
        carried = with_other_content(job.info, job.tags)
        async with self._temporary() as key:
            await self._upload(job, old, carried, target, key)
            made = await self._store.head(key)
            new = await self._accepted(made, target)
            if not await self._plaintext.is_same(old, new):
                raise IntegrityError(FAILED)
            await self._put_in_place(job, made)

    async def _upload(
        self, job: _Job, old: Version, carried: Carried, target: Target | None, key: ObjectKey
    ) -> None:
        tools, info = self._tools, job.info
        writer = None if target is None else target.writer
        uploader = Uploader(tools.sender, writer, prefix=tools.prefix, encryption=job.server)
        frozen = await self._plaintext.staged(old, tools.area)
        try:
            with _unbroken(info):
                await uploader.upload_as(
                    frozen,
                    key,
                    file_type=old.file_type,
                    # It stands here too briefly for a class that charges for some time at least.
                    options=replace(_options(job, carried), storage_class=_STANDARD),
                )
        finally:
            frozen.close()

    async def _accepted(self, made: ObjectInfo, target: Target | None) -> Version:
        """The new version as its own key alone opens it. Raises IntegrityError, KeyUnavailable."""
        if target is None:
            new = await accept(self._store, None, made, Integrity.PREFER)
            if new.cipher is not None:
                raise IntegrityError(FAILED)
            return new
        contents = classify(made.metadata, made.size)
        new = await accept(self._store, target.reader, made, Integrity.PREFER)
        if isinstance(contents, Plain) or isinstance(contents, Own) == target.is_deprecated:
            raise IntegrityError(FAILED)
        if isinstance(contents, Own):
            # Our readers derive the IV; the SDKs unwrap it, so it is checked for them.
            data_key, iv = await target.reader.open_foreign(contents.envelope, refuse_own=False)
            if iv != data_key.iv():
                raise IntegrityError(FAILED)
        return new

    # --- other server-side encryption alone ------------------------------------------------------

    async def _restate(self, job: _Job) -> None:
        """Of a plain object: OSS copies it onto itself, and only if it is still that version."""
        info = job.info
        carried = Carried(metadata=with_times(info, info.metadata), tags={})
        try:
            await self._store.restate(
                info.key,
                replace(_options(job, carried), encryption=job.server),
                if_match=info.etag,
            )
        except EntityTooLarge:
            await self._change_server_side(job)

    async def _change_server_side(self, job: _Job) -> None:
        """Of an object whose headers OSS does not replace: there and back by copies, which keep
        bytes and envelope, so that no key is needed; where that is refused, through this machine.
        """
        await restate_sidecar(self._store, job.info, job.server)
        async with self._temporary() as key:
            with _unbroken(job.info):
                if not await self._copied(job, key):
                    await self._send_again(job, key)
            made = await self._store.head(key)
            if not _same_bytes(job.info, made):
                raise IntegrityError(FAILED)
            await self._put_in_place(job, made)

    async def _copied(self, job: _Job, key: ObjectKey) -> bool:
        info = job.info
        if "mtime" not in info.metadata:
            return False  # A copy would not tell of when the object was written.
        try:
            await self._store.copy(
                info.key,
                key,
                if_match=info.etag,
                encryption=job.server,
                storage_class=_STANDARD,
                acl=job.acl,
            )
        except (EntityTooLarge, RefusedByServer):
            return False
        return True

    async def _send_again(self, job: _Job, key: ObjectKey) -> None:
        """The same bytes under the same envelope, each chunk checked on the way where a key is here
        that opens them; in any case the CRC64 of all is compared before they are put in place.
        """
        info = job.info
        try:
            version = await accept(self._store, self._tools.keyring, info, self._tools.integrity)
        except KeyUnavailable:
            version = None
        carried = Carried(metadata=with_times(info, info.metadata), tags=job.tags)
        options = replace(_options(job, carried), encryption=job.server, storage_class=_STANDARD)
        source = StoredVersion(self._store, self._tools.sender.limits, info, version)
        await store_again(self._tools.sender, key, source, options)

    # --- the last steps --------------------------------------------------------------------------

    @asynccontextmanager
    async def _temporary(self) -> AsyncIterator[ObjectKey]:
        key = self._tools.workspace.new_key()
        try:
            yield key
        finally:
            await self._tools.workspace.drop(key)

    async def _put_in_place(self, job: _Job, made: ObjectInfo) -> None:
        """Copy *made* over the old version, if that is still there to the last header and tag.

        Looked at before each attempt: what others write while OSS is busy must not be lost.
        """
        for pause in (*_PAUSES, None):
            await self._check_unchanged(job)
            try:
                copied = await self._copied_in_place(job, made)
                break
            except (Unavailable, TimedOut):
                if pause is None:
                    raise
            await trio.sleep(pause)  # back-off while OSS is busy
        if not copied:
            await self._stream_in_place(job, made)

    async def _copied_in_place(self, job: _Job, made: ObjectInfo) -> bool:
        """Once it has begun it is not cut short, so that its outcome is known."""
        with trio.move_on_after(_COMMIT_SECONDS, shield=True):
            try:
                await self._store.copy(
                    made.key,
                    job.key,
                    if_match=made.etag,
                    encryption=job.server,
                    storage_class=job.info.storage_class,
                    acl=job.acl,
                    once=True,
                )
            except (EntityTooLarge, RefusedByServer):
                return False
            except (Unavailable, TimedOut) as error:
                now = await self._store.head(job.key)
                if not _is_copy(now, made):
                    raise error from None
            return True
        raise TimedOut("OSS did not say in time whether the new version is in its place")

    async def _stream_in_place(self, job: _Job, made: ObjectInfo) -> None:
        """The bytes of *made* through this machine, for what is too large for CopyObject."""
        if job.acl is not None:
            raise EntityTooLarge("it is too large for the copy that would keep an ACL of its own")
        tools = self._tools
        options = replace(
            _options(job, Carried(metadata=made.metadata, tags=await self._tags_of(made))),
            encryption=job.server,
            storage_class=job.info.storage_class,
        )
        source = StoredVersion(self._store, tools.sender.limits, made)

        async def check() -> None:
            await self._check_unchanged(job)

        await store_again(tools.sender, job.key, source, options, check=check)

    async def _check_unchanged(self, job: _Job) -> None:
        """Raises Changed if another client replaced the old version or any header or tag of it."""
        tags = await self._tags_of(job.info)
        now = await self._store.head(job.key)
        if now != job.info or tags != job.tags:
            raise Changed("another client changed the object meanwhile")

    async def _tags_of(self, info: ObjectInfo) -> dict[str, str]:
        return await self._store.get_tags(info.key) if info.tagging_count else {}


def _unbroken(info: ObjectInfo) -> trio.CancelScope:
    """For what takes one short request: given up in the middle, it might take effect later, when
    nobody waits to remove what it made.
    """
    return trio.CancelScope(shield=info.size <= _SHORT)


def _options(job: _Job, carried: Carried) -> PutOptions:
    """Headers, tags and ACL of a new version in the place of the old one."""
    info = job.info
    return PutOptions(
        metadata=carried.metadata,
        tags=carried.tags,
        storage_class=info.storage_class,
        content_type=info.content_type or "application/octet-stream",
        web_headers=info.web_headers,
        acl=job.acl,
    )


def _same_bytes(one: ObjectInfo, other: ObjectInfo) -> bool:
    """Whether the same stored bytes mean the same; the ETag of a copy in parts may be another."""
    if one.crc64 is None or other.crc64 is None:
        same = one.etag == other.etag
    else:
        same = one.crc64 == other.crc64
    return same and one.size == other.size and same_content(one.metadata, other.metadata)


def _is_copy(now: ObjectInfo, made: ObjectInfo) -> bool:
    """Whether *now* is what a copy of *made* is, and what stood there before is not."""
    return (
        _same_bytes(now, made)
        and now.metadata == made.metadata
        and now.encryption == made.encryption
    )
