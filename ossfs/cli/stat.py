"""`ossfs stat`: what OSS knows of one file, and how it is encrypted.

A path in a mount: the mount says which object it is and how it is encrypted, OSS is asked for the
rest where this user has credentials. An oss:// address: OSS alone is asked; no key is needed.
"""

import argparse
import datetime as dt
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from ossfs.cli.arguments import GROUPS, CommandParser, add_options, written
from ossfs.cli.control import NobodyListens, Refused, ask
from ossfs.cli.mount_state import states_of
from ossfs.cli.mount_table import find_mount
from ossfs.config.address import BucketUrl, parse_object_url
from ossfs.config.resolve import TABLE, Written, resolve_service
from ossfs.errors import BucketError, CommandError, NoSuchBucket, NotFound, OssfsError, StoreError
from ossfs.format.contents import Own, Plain, classify
from ossfs.format.fields import print_map
from ossfs.store.base import ObjectInfo
from ossfs.types import ObjectKey

_ATTRIBUTES = ["encryption", "cek-alg", "wrap-alg", "master-key", "sse", "integrity", "upload"]
_PREFIX = "user.ossfs."
_LABEL_WIDTH = 28  # as ossutil prints


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is printed: headers as OSS sends them, empty where OSS was not asked."""

    url: str
    headers: Mapping[str, str]
    encryption: Mapping[str, str]


def configure(parser: CommandParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "what", metavar="PATH|oss://BUCKET/KEY", help="a file in a mount, or an object"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    wanted = ("where the bucket is", "connection")
    add_options(parser, {title: GROUPS[title] for title in wanted})


def run(arguments: argparse.Namespace) -> int:
    """Print the report. Raises CommandError: no such file, or BucketError."""
    if arguments.what.startswith("oss://"):
        report = _of_object(arguments.what, written(arguments))
    else:
        report = _of_path(Path(arguments.what), written(arguments))
    print(_as_json(report) if arguments.json else "\n".join(_as_lines(report)))
    return 0


def _of_object(url: str, own: Written) -> Report:
    info = _head(url, own)
    return Report(url=url, headers=_headers(info), encryption=_encryption(info))


def _of_path(path: Path, own: Written) -> Report:
    found = _attribute(path, "object")
    if found is None:
        raise CommandError(f"{path} is not in an ossfs mount")
    read = ((name, _attribute(path, name)) for name in _ATTRIBUTES)
    report = Report(
        url=found, headers={}, encryption={name: value for name, value in read if value is not None}
    )
    if path.is_dir() or report.encryption.get("upload") != "clean":
        return report
    try:
        return replace(report, headers=_headers(_head(found, _with_facts(path, own))))
    except BucketError:
        # Who may read the mount need not have credentials for the bucket.
        return report


def _attribute(path: Path, name: str) -> str | None:
    try:
        return os.getxattr(path, _PREFIX + name).decode(errors="replace")
    except FileNotFoundError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    except OSError:
        return None


def _with_facts(path: Path, own: Written) -> Written:
    """Our own settings, and behind them what the mount of *path* says of its bucket."""
    facts: Mapping[str, object] = {}
    mounted = next(filter(None, map(find_mount, [path, *path.absolute().parents])), None)
    for state in states_of(mounted, own) if mounted else ():
        try:
            facts = ask(state.control, {"command": "where"}, seconds=10)
            break
        except (NobodyListens, Refused):
            continue
    pairs = [
        (name, ("on" if value else "off") if isinstance(value, bool) else str(value))
        for name, value in ((key.replace("_", "-"), value) for key, value in facts.items())
        if name in TABLE and value != ""
    ]
    return replace(own, pairs=[*pairs, *own.pairs])


def _head(url: str, own: Written) -> ObjectInfo:
    bucket, key = parse_object_url(url)
    where, connection = resolve_service(BucketUrl(bucket, ""), own)
    # Only a command that asks OSS needs the client, which takes a while to load.
    from ossfs.compose.clients import open_store  # noqa: PLC0415

    async def ask_store() -> ObjectInfo:
        store = open_store(where, connection)
        try:
            return await store.head(ObjectKey(key))
        finally:
            await store.aclose()

    try:
        return trio.run(ask_store)
    except NoSuchBucket as error:
        raise BucketError(f"{url}: {error}") from error
    except NotFound:
        raise CommandError(f"{url} does not exist") from None
    except StoreError as error:
        raise BucketError(f"{url}: {error}") from error


def _headers(info: ObjectInfo) -> dict[str, str]:
    modified = dt.datetime.fromtimestamp(info.modified_ns // 10**9).astimezone()
    found = {
        "Content-Length": str(info.size),
        "Content-Type": info.content_type,
        "Etag": info.etag,
        "Last-Modified": modified.strftime("%Y-%m-%d %H:%M:%S %z %Z"),
        "X-Oss-Hash-Crc64ecma": "" if info.crc64 is None else str(info.crc64),
        "X-Oss-Object-Type": info.object_type,
        "X-Oss-Server-Side-Encryption": info.encryption.algorithm if info.encryption else "",
        "X-Oss-Server-Side-Encryption-Key-Id": (info.encryption and info.encryption.key_id) or "",
        "X-Oss-Storage-Class": info.storage_class,
        "X-Oss-Tagging-Count": str(info.tagging_count) if info.tagging_count else "",
        "X-Oss-Version-Id": info.version_id or "",
    }
    found |= {f"X-Oss-Meta-{name.title()}": value for name, value in info.metadata.items()}
    return {name: found[name] for name in sorted(found) if found[name]}


def _encryption(info: ObjectInfo) -> dict[str, str]:
    """What the headers say; whether they are true only a reader with the key can tell."""
    server = info.encryption
    found = {"sse": "none" if server is None else server.algorithm}
    if server is not None and server.key_id:
        found["sse"] += f":{server.key_id}"
    try:
        contents = classify(info.metadata, info.size)
    except OssfsError as error:
        return {"encryption": "damaged", "reason": str(error), **found}
    if isinstance(contents, Plain):
        return {"encryption": "none" if server is None else "server", **found}
    envelope = contents.envelope
    return {
        "encryption": "client" if server is None else "client+server",
        "cek-alg": envelope.cek_alg,
        "wrap-alg": envelope.wrap_alg,
        "master-key": print_map(envelope.matdesc),
        "integrity": "tagged" if isinstance(contents, Own) else "none",
        **found,
    }


def _as_json(report: Report) -> str:
    document = {"url": report.url, "headers": report.headers, "encryption": report.encryption}
    return json.dumps(document, indent=2, ensure_ascii=False)


def _as_lines(report: Report) -> Iterator[str]:
    for name, value in report.headers.items():
        yield f"{name:<{_LABEL_WIDTH}}: {value}"
    if report.headers:
        yield ""
    yield f"{'Object':<{_LABEL_WIDTH}}: {report.url}"
    for name, value in report.encryption.items():
        yield f"{name.title():<{_LABEL_WIDTH}}: {value}"
