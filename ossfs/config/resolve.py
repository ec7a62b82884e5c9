"""From what people wrote to a MountConfig: defaults, then file, then environment, then flags."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ossfs.config import address, encryption
from ossfs.config.address import BucketUrl
from ossfs.config.conversion import Wanted
from ossfs.config.options import Option, options_of
from ossfs.config.policies import check_rules
from ossfs.config.sections import (
    KIB,
    Connection,
    ConversionConfig,
    Keys,
    Log,
    MountConfig,
    MountOptions,
    Transfer,
    Where,
)
from ossfs.config.server_side import ServerSide
from ossfs.config.sources import (
    Given,
    Settings,
    TomlFile,
    from_arguments,
    from_environment,
    from_toml,
)
from ossfs.config.state import default_state_dir
from ossfs.errors import UsageError

SECTIONS: tuple[type, ...] = (Where, Keys, ServerSide, Connection, MountOptions, Transfer, Log)
TABLE: Mapping[str, Option] = {known.name: known for part in SECTIONS for known in options_of(part)}
"""Every option by its name, in the order in which help shows them."""

S = TypeVar("S")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What people wrote, still unread.

    pairs: of the command line; cwd: what relative file names of command line and environment are
    relative to; uid: whose state directory is the default; toml: its path and text.
    """

    pairs: Sequence[tuple[str, str]]
    environ: Mapping[str, str]
    cwd: Path
    uid: int
    toml: tuple[Path, str] | None = None


def resolve_mount(url: BucketUrl, mountpoint: Path, written: Written) -> MountConfig:
    """The whole configuration of a mount. Raises UsageError, with one line that names the thing."""
    file = _file(url, written)
    settings = _layered(file, written)
    where, connection = _service(url, settings, written)
    keys = _kms(encryption.settle(_section(Keys, settings, written)), where, connection)
    server_side = _section(ServerSide, settings, written)
    server_side.check()
    check_rules(file.rules, integrity=keys.integrity)
    transfer = _transfer(_section(Transfer, settings, written))
    return MountConfig(
        config_file=written.toml[0] if written.toml else None,
        mountpoint=mountpoint,
        where=where,
        connection=connection,
        keys=keys,
        server_side=server_side,
        policies=file.rules,
        transfer=transfer,
        mount=_mount(settings, written),
        log=_section(Log, settings, written),
    )


def resolve_conversion(url: BucketUrl, wanted: Wanted, written: Written) -> ConversionConfig:
    """All that a conversion of something in the bucket of *url* needs. Raises UsageError."""
    file = _file(url, written)
    settings = _layered(file, written)
    where, connection = _service(url, settings, written)
    keys = _section(Keys, settings, written)
    if wanted.by_policy:
        keys = encryption.settle(keys)
    else:
        keys = encryption.settle_conversion(keys, wanted)
    server_side = _section(ServerSide, settings, written)
    server_side.check()
    if wanted.by_policy:
        check_rules(file.rules, integrity=keys.integrity)
    return ConversionConfig(
        wanted=wanted,
        where=where,
        connection=connection,
        keys=_kms(keys, where, connection),
        server_side=server_side,
        policies=file.rules,
        transfer=_transfer(_section(Transfer, settings, written)),
        scratch=_mount(settings, written).state_dir / "convert",
    )


def resolve_service(url: BucketUrl, written: Written) -> tuple[Where, Connection]:
    """Only how to reach the bucket, for commands without a mount. Raises UsageError."""
    return _service(url, _layered(_file(url, written), written), written)


def resolve_state_dir(url: BucketUrl, written: Written) -> Path:
    """Only where a mount of *url* keeps its state. Raises UsageError."""
    return _mount(_layered(_file(url, written), written), written).state_dir


def _file(url: BucketUrl, written: Written) -> TomlFile:
    if written.toml is None:
        return TomlFile(settings={}, rules=())
    path, text = written.toml
    return from_toml(text, path, url.bucket, TABLE)


def _layered(file: TomlFile, written: Written) -> Settings:
    merged: dict[str, Given] = dict(file.settings)
    merged.update(from_environment(written.environ, TABLE, written.cwd))
    merged.update(from_arguments(written.pairs, TABLE, written.cwd))
    return merged


def _section(section: type[S], settings: Settings, written: Written, **fixed: object) -> S:
    found: dict[str, object] = dict(fixed)
    for known in options_of(section):
        given = settings.get(known.name)
        if given is not None:
            read = [_read(known, text, given, written) for text in given.texts]
            found[known.field] = tuple(read) if known.many else read[-1]
    return section(**found)


def _read(known: Option, text: str, given: Given, written: Written) -> object:
    try:
        value = known.read(text)
    except ValueError as error:
        raise UsageError(f"{given.label}: {error}") from None
    return _absolute(value, given.base, written) if isinstance(value, Path) else value


def _absolute(path: Path, base: Path, written: Written) -> Path:
    home = written.environ.get("HOME")
    if path.parts[:1] == ("~",) and home:
        return Path(home, *path.parts[1:])
    return base / path


def _service(url: BucketUrl, settings: Settings, written: Written) -> tuple[Where, Connection]:
    where = _section(Where, settings, written, bucket=url.bucket, prefix=url.prefix)
    connection = _section(Connection, settings, written)
    region = where.region or address.region_of(where.endpoint)
    if region is None:
        wanted = "--region" if where.endpoint else "--region or --endpoint"
        raise UsageError(f"the region of {url.bucket} is not known: give {wanted}")
    endpoint = where.endpoint or address.endpoint_of(region)
    _check_endpoint(endpoint, url, connection)
    return dataclasses.replace(where, endpoint=endpoint, region=region), connection


def _check_endpoint(endpoint: str, url: BucketUrl, connection: Connection) -> None:
    if endpoint.partition("://")[2].startswith(f"{url.bucket}."):
        raise UsageError(f"--endpoint: {endpoint} contains the bucket; leave {url.bucket}. out")
    check_encrypted("--endpoint", endpoint, connection)


def _kms(keys: Keys, where: Where, connection: Connection) -> Keys:
    endpoint = keys.kms_endpoint or address.kms_endpoint_of(where.region)
    check_encrypted("--kms-endpoint", endpoint, connection)
    return dataclasses.replace(keys, kms_endpoint=endpoint)


def check_encrypted(option: str, endpoint: str, connection: Connection) -> None:
    """That *endpoint* is reached by https or stays on this machine, or that http is meant.

    option: what gave it. Raises UsageError.
    """
    if address.is_exposed(endpoint) and not connection.allow_http:
        raise UsageError(
            f"{option}: {endpoint} is not encrypted; use https, or --allow-http if that is meant"
        )


def _transfer(transfer: Transfer) -> Transfer:
    if transfer.part_size % (256 * KIB):
        raise UsageError(f"--part-size: {transfer.part_size} bytes is not a multiple of 256KiB")
    if transfer.part_size * 2 > transfer.memory:
        raise UsageError("--part-size: two parts must fit into --memory")
    return transfer


def _mount(settings: Settings, written: Written) -> MountOptions:
    mount = _section(MountOptions, settings, written)
    if "state-dir" in settings:
        return mount
    return dataclasses.replace(mount, state_dir=default_state_dir(written.environ, written.uid))
