"""`ossfs stat`: what OSS knows of one file, and how it is encrypted.

A path in a mount: the mount says which object it is and how it is encrypted, OSS is asked for the
rest where this user has credentials. An oss:// address: OSS alone is asked; no key is needed.
"""

import argparse
import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ossfs.cli.arguments import GROUPS, CommandParser, add_options, written
from ossfs.cli.asking import ask_bucket
from ossfs.cli.encryption_facts import encryption_facts
from ossfs.cli.mount_facts import attribute, object_url, with_mount_facts
from ossfs.cli.terminal import printable
from ossfs.config.address import parse_object_url
from ossfs.config.resolve import Written
from ossfs.errors import BucketError, StoreError
from ossfs.store.base import ObjectInfo
from ossfs.types import ObjectKey

if TYPE_CHECKING:
    from ossfs.store.administration import Acl
    from ossfs.store.oss import OssStore

_ATTRIBUTES = ["encryption", "cek-alg", "wrap-alg", "master-key", "sse", "integrity", "upload"]
_LABEL_WIDTH = 28  # as ossutil prints
_OF_THE_ANSWER = frozenset(
    {"connection", "date", "keep-alive", "server", "vary", "x-oss-request-id", "x-oss-server-time"}
)
"""Headers that speak of the request rather than of the object, which ossutil leaves out too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is printed: headers as OSS sends them, empty where OSS was not asked."""

    url: str
    headers: Mapping[str, str]
    encryption: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What OSS said; acl: None where it would not say."""

    info: ObjectInfo
    headers: Mapping[str, str]
    acl: "Acl | None"


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
    asked = _ask(url, own)
    return Report(url=url, headers=_headers(asked), encryption=encryption_facts(asked.info))


def _of_path(path: Path, own: Written) -> Report:
    found = object_url(path)
    read = ((name, attribute(path, name)) for name in _ATTRIBUTES)
    report = Report(
        url=found, headers={}, encryption={name: value for name, value in read if value is not None}
    )
    if path.is_dir() or report.encryption.get("upload") != "clean":
        return report
    try:
        return replace(report, headers=_headers(_ask(found, with_mount_facts(path, own))))
    except BucketError:
        # Who may read the mount need not have credentials for the bucket.
        return report


def _ask(url: str, own: Written) -> _Asked:
    bucket, name = parse_object_url(url)
    key = ObjectKey(name)

    async def ask(store: "OssStore") -> _Asked:
        info, headers = await store.administration.describe(key)
        try:
            acl = await store.administration.acl(key)
        except StoreError:
            # Not permitted, or unknown to this server: the report goes without it.
            acl = None
        return _Asked(info=info, headers=headers, acl=acl)

    return ask_bucket(url, bucket, own, ask)


def _headers(asked: _Asked) -> dict[str, str]:
    modified = dt.datetime.fromtimestamp(asked.info.modified_ns // 10**9).astimezone()
    found = {
        "-".join(part.capitalize() for part in name.split("-")): value
        for name, value in asked.headers.items()
        if name not in _OF_THE_ANSWER
    }
    found["Etag"] = asked.info.etag
    found["Last-Modified"] = modified.strftime("%Y-%m-%d %H:%M:%S %z %Z")
    if asked.acl is not None:
        found |= {"ACL": asked.acl.grant, "Owner": asked.acl.owner}
    return {name: found[name] for name in sorted(found) if found[name]}


def _as_json(report: Report) -> str:
    document = {"url": report.url, "headers": report.headers, "encryption": report.encryption}
    return json.dumps(document, indent=2, ensure_ascii=False)


def _as_lines(report: Report) -> Iterator[str]:
    for name, value in report.headers.items():
        yield f"{printable(name):<{_LABEL_WIDTH}}: {printable(value)}"
    if report.headers:
        yield ""
    yield f"{'Object':<{_LABEL_WIDTH}}: {printable(report.url)}"
    for name, value in report.encryption.items():
        yield f"{name.title():<{_LABEL_WIDTH}}: {printable(value)}"
