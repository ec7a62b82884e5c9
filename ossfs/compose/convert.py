"""One conversion: its keys, its bucket, what is to be done, and how it is told to stop."""

import contextlib
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from ossfs.compose.allocator import keep_freed_memory
from ossfs.compose.checks import check_bucket
from ossfs.compose.clients import close, open_kms, open_store
from ossfs.compose.goals import build_goals
from ossfs.compose.process import forbid_dumps, run_loop
from ossfs.config.sections import ConversionConfig
from ossfs.errors import BucketError, CommandError, NotFound, StoreError
from ossfs.keys.base import MasterKey
from ossfs.keys.keyring import Keyring
from ossfs.keys.masters import load_masters
from ossfs.staging.area import StagingArea
from ossfs.store.base import ObjectStore, ServerEncryption
from ossfs.transfer.convert.conversion import Conversion, Tools
from ossfs.transfer.convert.converter import Converter, Told, Totals
from ossfs.transfer.convert.workspace import Workspace
from ossfs.transfer.limits import TransferLimits
from ossfs.transfer.protection import asked_of_server
from ossfs.transfer.sending import Sender
from ossfs.transfer.version import Integrity
from ossfs.types import ObjectKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one conversion does.

    key: the object, and everything below it; prefix: below which it may keep something for itself,
    None to let the key decide; told: of each result; counted: called with the number of objects and
    their bytes once these are known, None to count nothing.
    """

    key: str
    prefix: str | None
    jobs: int
    dry_run: bool
    told: Told
    counted: Callable[[int, int], None] | None


def run_conversion(config: ConversionConfig, run: Run) -> Totals:
    """Convert until it is done, or until SIGINT or SIGTERM. Raises CommandError."""
    forbid_dumps()
    keep_freed_memory()
    return run_loop(_convert, config, run)


async def _convert(config: ConversionConfig, run: Run) -> Totals:
    async with contextlib.AsyncExitStack() as stack:
        kms = open_kms(config.keys, config.connection)
        stack.push_async_callback(close, kms)
        masters = _load(config, kms)
        store = open_store(config.where, config.connection)
        stack.push_async_callback(close, store)
        prefix = await _prefix(store, run)
        where = replace(config.where, prefix=prefix)
        rule = await check_bucket(store, where)
        goals = await build_goals(config, masters, prefix, dry_run=run.dry_run)
        tools = _tools(config, store, masters, rule, prefix)
        conversion = Conversion(tools, goals)
        converter = Converter(store, conversion, tools.workspace, jobs=run.jobs)
        await _run(converter, run, f"oss://{where.bucket}/{run.key}")
        return converter.totals


async def _run(converter: Converter, run: Run, url: str) -> None:
    failure: StoreError | None = None
    async with trio.open_nursery() as nursery:
        await nursery.start(_stop_when_told, converter)
        if run.counted is not None:
            nursery.start_soon(_count, converter, run.key, run.counted)
        try:
            await converter.run(run.key, dry_run=run.dry_run, told=run.told)
        except StoreError as error:
            failure = error  # a nursery would wrap it in a group
        nursery.cancel_scope.cancel()
    if isinstance(failure, NotFound):
        raise CommandError(f"{url} does not exist") from failure
    if failure is not None:
        raise BucketError(f"{url}: {failure}") from failure


async def _stop_when_told(
    converter: Converter, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """The first signal stops the run; whoever cannot wait for that sends another one."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            converter.stop()
            return


async def _count(converter: Converter, key: str, counted: Callable[[int, int], None]) -> None:
    with contextlib.suppress(StoreError):
        await converter.count(key, counted)


def _load(config: ConversionConfig, kms: "Callable[..., MasterKey]") -> list[MasterKey]:
    keys = config.keys
    if keys.keyring is None and keys.encrypt == "none" and not _names_keys(config):
        return []
    return load_masters(keys, kms=kms)


def _names_keys(config: ConversionConfig) -> bool:
    keys = config.keys
    return bool(keys.rsa_keys or keys.kms_key_id or keys.aes_key)


async def _prefix(store: ObjectStore, run: Run) -> str:
    """Beside an object, within a directory."""
    if run.prefix is not None:
        return run.prefix
    if run.key and not run.key.endswith("/"):
        try:
            await store.head(ObjectKey(run.key))
        except NotFound:
            return run.key
        except StoreError as error:
            raise BucketError(f"{run.key}: {error}") from error
        return run.key.rpartition("/")[0]
    return run.key.strip("/")


def _tools(
    config: ConversionConfig,
    store: ObjectStore,
    masters: list[MasterKey],
    rule: ServerEncryption | None,
    prefix: str,
) -> Tools:
    share = config.transfer.memory // 2
    limits = TransferLimits(requests=config.transfer.parallel, memory_bytes=share)
    return Tools(
        sender=Sender(store, limits, part_size=config.transfer.part_size),
        keyring=Keyring(masters),
        integrity=Integrity(config.keys.integrity),
        area=StagingArea(_scratch(config.scratch), share),
        workspace=Workspace(
            store, prefix=prefix, encryption=asked_of_server(config.server_side.asked)
        ),
        rule=rule,
        prefix=prefix,
    )


def _scratch(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(
            f"{folder} cannot be made: {error.strerror}; choose another --state-dir"
        ) from error
    return folder
