"""Builds a mount from its configuration: the only place that knows all parts."""

import contextlib
import ctypes
import json
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import trio

from ossfs.config.sections import Connection, Keys, MountConfig, MountOptions, Where
from ossfs.config.state import MountState, mount_state
from ossfs.errors import (
    AccessDenied,
    BadCredentials,
    BucketError,
    CommandError,
    MountPointError,
    NoSuchBucket,
    StoreError,
    UsageError,
)
from ossfs.format.budget import METADATA_LIMIT, worst_case
from ossfs.format.envelope import Envelope
from ossfs.fuse.operations import KernelNotifier
from ossfs.fuse.session import Session, SessionOptions
from ossfs.keys.keyring import Keyring
from ossfs.keys.keyring_file import Entry
from ossfs.keys.kms import KmsMasterKey
from ossfs.keys.kms_factory import KmsFactory, KmsSettings
from ossfs.keys.masters import load_masters
from ossfs.keys.pool import EnvelopePool, EnvelopeSource
from ossfs.keys.trial import Trial, try_key
from ossfs.staging.area import StagingArea
from ossfs.store.base import ObjectStore
from ossfs.store.credentials import CredentialsProvider, EnvironmentCredentials, FileCredentials
from ossfs.store.oss import OssStore
from ossfs.store.retry import Retry
from ossfs.store.tls import client_context
from ossfs.store.transport import Transport
from ossfs.transfer.copier import Copier
from ossfs.transfer.limits import TransferLimits
from ossfs.transfer.opener import Opener
from ossfs.transfer.pool import ReadPool
from ossfs.transfer.sending import Sender
from ossfs.transfer.uploader import Uploader
from ossfs.transfer.version import Integrity
from ossfs.vfs.assembly import Parts, Place, assemble
from ossfs.vfs.filesystem import FileSystem
from ossfs.vfs.kernel import Behaviour, KernelCache, Spawn
from ossfs.vfs.remote import Defaults
from ossfs.vfs.status import NewFiles

log = logging.getLogger(__name__)

CLOSE_SECONDS = 5
REUPLOAD_MAX = 1 << 30
ANY_SIZE = 1 << 62
LAST_TIMEOUTS = 5
"""Once the mount is gone, content that is not stored yet is tried for so many times --timeout."""
PR_SET_DUMPABLE = 4
"""From linux/prctl.h."""

NOT_STORED = 6
"""Exit code of a mount that ended with something not stored."""


def run_mount(config: MountConfig, *, ready: Callable[[], None]) -> int:
    """Mount, serve until the mount ends, and return the exit code.

    Calls *ready* once the mount answers. Raises CommandError where it cannot be mounted.
    """
    forbid_dumps()
    return trio.run(_mount, config, ready)


def forbid_dumps() -> None:
    """Let a crash write no core of this process: keys and contents stand in its memory.

    By prctl(2), since a limit of size 0 does not bind the kernel where a program takes the core.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0):
        log.warning("core dumps cannot be forbidden: %s", os.strerror(ctypes.get_errno()))


async def _mount(config: MountConfig, ready: Callable[[], None]) -> int:
    async with contextlib.AsyncExitStack() as stack:
        kms = open_kms(config.keys, config.connection)
        stack.push_async_callback(_close, kms)
        keyring = load_keys(config.keys, kms)
        check_metadata_room(keyring, config.where.prefix)
        store = open_store(config.where, config.connection)
        stack.push_async_callback(_close, store)
        await check_bucket(store, config.where)
        await check_writer(keyring, config)
        return await _serve(config, keyring, store, ready)


async def _close(client: OssStore | KmsFactory) -> None:
    with trio.move_on_after(CLOSE_SECONDS, shield=True):
        await client.aclose()


async def _serve(
    config: MountConfig, keyring: Keyring, store: OssStore, ready: Callable[[], None]
) -> int:
    code, failure = 0, None
    async with trio.open_nursery() as nursery:
        try:
            session = _build_session(config, keyring, store, _guarded(nursery), ready)
            code = NOT_STORED if await session.run() else 0
        except CommandError as error:
            failure = error  # a nursery would wrap it in a group
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return code


def _build_session(
    config: MountConfig,
    keyring: Keyring,
    store: OssStore,
    spawn: Spawn,
    ready: Callable[[], None],
) -> Session:
    filesystem = build_filesystem(config, keyring, store, spawn, kernel=KernelNotifier())
    options = SessionOptions(
        mountpoint=config.mountpoint,
        source=config.where.url,
        control=_state(config).control,
        drain_seconds=LAST_TIMEOUTS * config.connection.timeout,
        allow_other=config.mount.allow_other,
        read_only=config.mount.read_only,
        no_exec=config.mount.no_exec,
    )
    return Session(filesystem, options, facts=_facts(config), ready=ready)


def _state(config: MountConfig) -> MountState:
    state = mount_state(
        config.mount.state_dir,
        bucket=config.where.bucket,
        prefix=config.where.prefix,
        mountpoint=config.mountpoint,
    )
    try:
        state.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise MountPointError(
            f"{state.scratch} cannot be made: {error.strerror}; choose another --state-dir"
        ) from error
    return state


def _facts(config: MountConfig) -> dict[str, object]:
    """What other commands may ask a mount for; no secret among it."""
    where, connection = config.where, config.connection
    return {
        "bucket": where.bucket,
        "prefix": where.prefix,
        "endpoint": where.endpoint,
        "region": where.region,
        "path_style": where.path_style,
        "signature": where.signature,
        "allow_http": connection.allow_http,
        "tls_min": connection.tls_min,
        "ca_bundle": str(connection.ca_bundle or ""),
        "credentials_file": str(connection.credentials_file or ""),
        "pid": os.getpid(),
    }


def _guarded(nursery: trio.Nursery) -> Spawn:
    """Starts tasks whose failure is logged and ends nothing but themselves."""

    async def run(function: Callable[..., Awaitable[object]], *args: Any) -> None:
        try:
            await function(*args)
        except Exception:  # one background task must not take the mount with it
            log.exception("background task %s failed", getattr(function, "__qualname__", function))

    def spawn(function: Callable[..., Awaitable[object]], *args: Any) -> None:
        nursery.start_soon(run, function, *args)

    return spawn


def load_keys(keys: Keys, kms: KmsFactory) -> Keyring:
    """The master keys that were configured; nothing is asked yet. Raises KeyProblem."""
    return Keyring(load_masters(keys, kms=kms))


def try_keys(
    entries: Sequence[Entry], *, kms_endpoint: str, credentials_file: Path | None
) -> list[Trial]:
    """What each of the keys can do; *kms_endpoint*: of those that name none."""

    async def try_all() -> list[Trial]:
        connection = Connection(credentials_file=credentials_file)
        kms = open_kms(Keys(kms_endpoint=kms_endpoint), connection)
        try:
            return [await try_key(entry, kms=kms) for entry in entries]
        finally:
            await _close(kms)

    return trio.run(try_all)


def open_kms(keys: Keys, connection: Connection) -> KmsFactory:
    """What makes the keys that live in a KMS."""

    def connect(endpoint: str, ca_bundle: Path | None) -> httpx.AsyncBaseTransport:
        tls = None
        if endpoint.startswith("https:"):
            trusted = ca_bundle or connection.ca_bundle
            tls = client_context(minimum=connection.tls_min, ca_bundle=trusted)
        return Transport(tls=tls)

    return KmsFactory(
        KmsSettings(
            endpoint=keys.kms_endpoint,
            signature=keys.kms_signature,
            pause=Retry(retries=connection.retries).wait,
            retries=connection.retries,
            timeout=connection.timeout,
            allow_http=connection.allow_http,
        ),
        credentials=lambda: open_credentials(connection),
        connect=connect,
    )


async def check_writer(keyring: Keyring, config: MountConfig) -> None:
    """Raises KeyProblem if new files would be encrypted with a key of a KMS that does not work."""
    writer = keyring.writer
    if isinstance(writer, KmsMasterKey) and config.keys.encrypt != "none":
        await writer.check(writes=not config.mount.read_only)


def check_metadata_room(keyring: Keyring, prefix: str) -> None:
    """Raises UsageError where headers could exceed what OSS allows: now rather than at close."""
    writer = keyring.writer
    if writer is None:
        return
    needed = worst_case(
        wrap_alg=writer.wrap_alg,
        wrapped_size=writer.wrapped_limit,
        matdesc=writer.matdesc,
        prefix=prefix,
    )
    if needed > METADATA_LIMIT:
        raise UsageError(
            f"headers of a file could take {needed} bytes, OSS allows {METADATA_LIMIT}:"
            " use a shorter prefix, matdesc or RSA key"
        )


def open_store(where: Where, connection: Connection) -> OssStore:
    """A client of the bucket; nothing is asked yet. Raises BucketError, UsageError."""
    credentials = open_credentials(connection)
    tls = None
    if where.endpoint.startswith("https:"):
        tls = client_context(minimum=connection.tls_min, ca_bundle=connection.ca_bundle)
    return OssStore(
        where.bucket,
        region=where.region,
        endpoint=where.endpoint,
        path_style=where.uses_path_style,
        credentials=credentials,
        tls=tls,
        timeout=connection.timeout,
        retries=connection.retries,
        signature=where.signature,
    )


def open_credentials(connection: Connection) -> CredentialsProvider:
    """Where access keys come from. Raises BucketError."""
    if connection.credentials_file is not None:
        return FileCredentials(connection.credentials_file)
    return EnvironmentCredentials(os.environ)


async def check_bucket(store: ObjectStore, where: Where) -> None:
    """Raises BucketError, with what to do, unless the bucket can be listed."""
    try:
        try:
            await store.bucket_info()
        except BadCredentials:
            raise
        except AccessDenied:
            # A narrow policy may allow the objects but not GetBucketInfo.
            await store.list_page(f"{where.prefix}/" if where.prefix else "", max_keys=1)
    except NoSuchBucket as error:
        raise BucketError(
            f"bucket {where.bucket} does not exist at {where.endpoint}: {error}"
        ) from error
    except BadCredentials as error:
        raise BucketError(f"the credentials are not accepted: {error}") from error
    except AccessDenied as error:
        raise BucketError(
            f"no access to bucket {where.bucket}: {error}; the policy must allow oss:ListObjects"
        ) from error
    except StoreError as error:
        raise BucketError(f"{where.endpoint} does not answer as OSS does: {error}") from error


def build_filesystem(
    config: MountConfig, keyring: Keyring, store: ObjectStore, spawn: Spawn, *, kernel: KernelCache
) -> FileSystem:
    """A file system on *store*, which shares the memory that the configuration grants."""
    share = config.transfer.memory // 4
    integrity = Integrity(config.keys.integrity)
    prefix = config.where.prefix
    encrypts = config.keys.encrypt != "none"
    writing = TransferLimits(requests=config.transfer.parallel, memory_bytes=share)
    reading = TransferLimits(requests=config.transfer.parallel, memory_bytes=share)
    sender = Sender(store, writing, part_size=config.transfer.part_size)
    pool = ReadPool(
        store,
        spawn=spawn,
        limits=reading,
        cache_bytes=share,
        read_ahead=config.transfer.read_ahead,
    )
    opener = Opener(pool, keyring, integrity)
    writer = keyring.writer if encrypts else None
    source: EnvelopeSource | None = keyring if encrypts else None
    if isinstance(writer, KmsMasterKey) and not config.mount.read_only:
        made_ahead = EnvelopePool(keyring.new_envelope)
        spawn(made_ahead.run)
        source = made_ahead
    return assemble(
        Parts(
            store=store,
            uploader=Uploader(sender, source, prefix=prefix),
            opener=opener,
            copier=Copier(sender, opener),
            staging=StagingArea(_state(config).scratch, share),
            key_name=lambda envelope: _key_name(keyring, envelope),
            spawn=spawn,
        ),
        Place(bucket=config.where.bucket, prefix=prefix, defaults=_defaults(config.mount)),
        _behaviour(config.mount),
        new_files=NewFiles(client=writer is not None),
        checks=integrity is not Integrity.OFF,
        kernel=kernel,
    )


def _key_name(keyring: Keyring, envelope: Envelope) -> str:
    """How the key of an object is shown: by its name here, else by what the object says of it."""
    name = keyring.name_for(envelope)
    if name is not None:
        return name
    return json.dumps(dict(envelope.matdesc), sort_keys=True) if envelope.matdesc else "unknown"


def _defaults(mount: MountOptions) -> Defaults:
    return Defaults(
        uid=os.getuid() if mount.uid is None else mount.uid,
        gid=os.getgid() if mount.gid is None else mount.gid,
    )


def _behaviour(mount: MountOptions) -> Behaviour:
    return Behaviour(
        attr_ttl=mount.attr_ttl,
        negative_ttl=mount.negative_ttl,
        check_at_open=mount.open_check == "always",
        read_only=mount.read_only,
        show_uid=mount.uid,
        show_gid=mount.gid,
        show_umask=mount.umask,
        list_status=mount.status_xattrs == "listed",
        reupload_max=ANY_SIZE if mount.allow_reupload else REUPLOAD_MAX,
    )
