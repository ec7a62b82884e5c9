"""One mount: its keys, its bucket, its file system, its session."""

import contextlib
import json
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from ossfs.compose.allocator import keep_freed_memory
from ossfs.compose.checks import (
    check_bucket,
    check_metadata_room,
    check_server_keys,
    check_writers,
)
from ossfs.compose.clients import close, load_keys, open_kms, open_store
from ossfs.compose.parts import build_filesystem, state_of
from ossfs.compose.process import forbid_dumps
from ossfs.compose.protections import build_policy, choose_writers
from ossfs.config.sections import MountConfig
from ossfs.errors import CommandError
from ossfs.fuse.operations import KernelNotifier
from ossfs.fuse.session import Session, SessionOptions
from ossfs.vfs.filesystem import FileSystem
from ossfs.vfs.kernel import Spawn

log = logging.getLogger(__name__)

LAST_TIMEOUTS = 5
"""Once the mount is gone, content that is not stored yet is tried for so many times --timeout."""
NOT_STORED = 6
"""Exit code of a mount that ended with something not stored."""


def run_mount(config: MountConfig, *, ready: Callable[[], None]) -> int:
    """Mount, serve until the mount ends, and return the exit code.

    Calls *ready* once the mount answers. Raises CommandError where it cannot be mounted.
    """
    forbid_dumps()
    keep_freed_memory()
    return trio.run(_mount, config, ready)


async def _mount(config: MountConfig, ready: Callable[[], None]) -> int:
    async with contextlib.AsyncExitStack() as stack:
        kms = open_kms(config.keys, config.connection)
        stack.push_async_callback(close, kms)
        keyring = load_keys(config.keys, kms)
        writers = choose_writers(config, keyring)
        check_metadata_room(writers.keys, config.where.prefix)
        store = open_store(config.where, config.connection)
        stack.push_async_callback(close, store)
        rule = await check_bucket(store, config.where)
        await check_writers(writers.keys, config)
        await check_server_keys(store, config)

        def build(spawn: Spawn) -> FileSystem:
            return build_filesystem(
                config,
                keyring,
                store,
                spawn,
                policy=build_policy(config, keyring, writers, spawn),
                kernel=KernelNotifier(),
                rule=rule,
            )

        return await _serve(config, build, ready)


async def _serve(
    config: MountConfig, build: Callable[[Spawn], FileSystem], ready: Callable[[], None]
) -> int:
    code, failure = 0, None
    async with trio.open_nursery() as nursery:
        try:
            filesystem = build(_guarded(nursery))
            await filesystem.recover()
            session = _build_session(config, filesystem, ready)
            code = NOT_STORED if await session.run() else 0
        except CommandError as error:
            failure = error  # a nursery would wrap it in a group
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return code


def _build_session(
    config: MountConfig, filesystem: FileSystem, ready: Callable[[], None]
) -> Session:
    options = SessionOptions(
        mountpoint=config.mountpoint,
        source=config.where.url,
        control=state_of(config).control,
        drain_seconds=LAST_TIMEOUTS * config.connection.timeout,
        allow_other=config.mount.allow_other,
        read_only=config.mount.read_only,
        no_exec=config.mount.no_exec,
        kernel_writeback=config.mount.kernel_writeback,
    )
    return Session(filesystem, options, facts=_facts(config), ready=ready)


def _facts(config: MountConfig) -> dict[str, object]:
    """What other commands may ask a mount for; no secret among it."""
    where, connection, keys = config.where, config.connection, config.keys
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
        "config": str(config.config_file or ""),
        "encrypt": keys.encrypt,
        "rsa_key": [str(path) for path in keys.rsa_keys],
        "rsa_padding": keys.rsa_padding,
        "key_passphrase_file": str(keys.key_passphrase_file or ""),
        "aes_key": str(keys.aes_key or ""),
        "keyring": str(keys.keyring or ""),
        "kms_key_id": keys.kms_key_id,
        "kms_endpoint": keys.kms_endpoint,
        "kms_coding": keys.kms_coding,
        "kms_signature": keys.kms_signature,
        # The context of a KMS key is left out: some put a passphrase there.
        "matdesc": json.dumps(dict(keys.matdesc)) if keys.matdesc else "",
        "dialect": keys.dialect,
        "integrity": keys.integrity,
        "sse": config.server_side.sse,
        "sse_kms_key_id": config.server_side.sse_kms_key_id,
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
