"""`ossfs ls`: the objects below a prefix or a directory, and how each of them is encrypted."""

import argparse
import datetime as dt
import json
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from ossfs.cli.arguments import GROUPS, CommandParser, add_options, written
from ossfs.cli.asking import ask_bucket
from ossfs.cli.encryption_facts import encryption_facts
from ossfs.cli.mount_facts import object_url, with_mount_facts
from ossfs.cli.terminal import printable
from ossfs.config.address import split_url
from ossfs.errors import CommandError, NotFound
from ossfs.format.names import RESERVED
from ossfs.types import ObjectKey

if TYPE_CHECKING:
    from ossfs.store.oss import OssStore
    from ossfs.transfer.describing import Found

_LINE = "{:<19}  {:>14}  {:<13}  {:<6}  {}"
_TITLES = ("LastModified", "Size", "Encryption", "SSE", "Object")


def configure(parser: CommandParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "what",
        metavar="PATH|oss://BUCKET[/PREFIX]",
        help="a file or directory in a mount, an object, or a prefix",
    )
    parser.add_argument("-r", "--recursive", action="store_true", help="everything below it")
    parser.add_argument(
        "-a", "--all", action="store_true", help="what ossfs keeps for itself (.ossfs) as well"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    wanted = ("where the bucket is", "connection")
    add_options(parser, {title: GROUPS[title] for title in wanted})


def run(arguments: argparse.Namespace) -> int:
    """Print the list. Raises CommandError: nothing there, or not everything told; BucketError."""
    own, url = written(arguments), arguments.what
    if not url.startswith("oss://"):
        path = Path(url)
        own, url = with_mount_facts(path, own), object_url(path)
    bucket, key = split_url(url)
    listing = _Listing(bucket, as_json=arguments.json, with_all=arguments.all)
    ask_bucket(
        url, bucket, own, lambda store: listing.show(store, key, recursive=arguments.recursive)
    )
    if not listing.count and key:
        raise CommandError(f"{url} does not exist")
    if listing.failures:
        raise CommandError(f"{url}: OSS does not tell how {listing.failures} of it are encrypted")
    return 0


class _Listing:
    """Prints what is found as it comes."""

    def __init__(self, bucket: str, *, as_json: bool, with_all: bool) -> None:
        self._bucket = bucket
        self._as_json = as_json
        self._with_all = with_all
        self.count = 0
        self.failures = 0

    async def show(self, store: "OssStore", key: str, *, recursive: bool) -> None:
        """The object *key* itself, if there is one, then what is below it."""
        # Only a command that asks OSS needs this, which takes a while to load.
        from ossfs.transfer.describing import Found, described  # noqa: PLC0415

        if key and not key.endswith("/"):
            try:
                info = await store.head(ObjectKey(key))
                self._print(Found(key=key, info=info))
            except NotFound:
                pass
        prefix = key if not key or key.endswith("/") else f"{key}/"
        async with aclosing(described(store, prefix, recursive=recursive)) as everything:
            async for found in everything:
                if self._with_all or RESERVED not in found.key.split("/"):
                    self._print(found)

    def _print(self, found: "Found") -> None:
        if not self.count and not self._as_json:
            print(_LINE.format(*_TITLES))
        self.count += 1
        self.failures += found.error is not None
        print(self._json(found) if self._as_json else self._line(found))

    def _line(self, found: "Found") -> str:
        url = printable(f"oss://{self._bucket}/{found.key}")
        about = found.info or found.entry
        if about is None:
            return _LINE.format("", "", "", "", url)
        modified = dt.datetime.fromtimestamp(about.modified_ns // 10**9).astimezone()
        facts = _facts(found)
        return _LINE.format(
            modified.strftime("%Y-%m-%d %H:%M:%S"),
            about.size,
            facts["encryption"],
            printable(facts.get("sse", "?").partition(":")[0]),
            url,
        )

    def _json(self, found: "Found") -> str:
        document: dict[str, object] = {"url": f"oss://{self._bucket}/{found.key}"}
        about = found.info or found.entry
        if about is not None:
            document |= {
                "size": about.size,
                "etag": about.etag,
                "last-modified": dt.datetime.fromtimestamp(
                    about.modified_ns // 10**9, dt.UTC
                ).isoformat(),
                "storage-class": about.storage_class,
                **_facts(found),
            }
        return json.dumps(document, ensure_ascii=False)


def _facts(found: "Found") -> dict[str, str]:
    if found.info is None:
        return {"encryption": "unknown", "reason": str(found.error)}
    return encryption_facts(found.info)
