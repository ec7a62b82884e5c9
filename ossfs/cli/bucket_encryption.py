"""`ossfs bucket-encryption`: what OSS does with new objects that ask for nothing themselves."""

import argparse
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from ossfs.cli.arguments import GROUPS, CommandParser, add_options, written
from ossfs.cli.asking import ask_bucket
from ossfs.cli.encryption_facts import sse_text
from ossfs.cli.terminal import printable
from ossfs.config.address import BucketUrl, parse_bucket_url
from ossfs.config.resolve import Written
from ossfs.errors import UsageError
from ossfs.store.base import ServerEncryption

if TYPE_CHECKING:
    from ossfs.store.administration import Administration

T = TypeVar("T")

_ALGORITHMS = ("AES256", "KMS")


def configure(parser: CommandParser) -> None:
    """The arguments of the command."""
    parser.add_argument("what", choices=("get", "set", "delete"), help="show, set or remove it")
    parser.add_argument("bucket", metavar="BUCKET", help="name of the bucket, or oss://BUCKET")
    parser.add_argument("--json", action="store_true", help="print one JSON object (get)")
    parser.add_argument(
        "--sse", dest="algorithm", choices=_ALGORITHMS, help="who holds the keys: OSS or the KMS"
    )
    parser.add_argument(
        "--sse-kms-key-id",
        dest="key_id",
        metavar="ID",
        help="key in the KMS [the account's default key]",
    )
    wanted = ("where the bucket is", "connection")
    add_options(parser, {title: GROUPS[title] for title in wanted})


def run(arguments: argparse.Namespace) -> int:
    """Do it. Raises UsageError, BucketError."""
    url = _bucket(arguments.bucket)
    own = written(arguments)
    if arguments.what == "set":
        asked = _asked(arguments)
        _ask(url, own, lambda bucket: bucket.set_encryption(asked))
        return 0
    if arguments.algorithm or arguments.key_id:
        raise UsageError(f"--sse and --sse-kms-key-id go with set, not with {arguments.what}")
    if arguments.what == "delete":
        _ask(url, own, lambda bucket: bucket.delete_encryption())
        return 0
    found = _ask(url, own, lambda bucket: bucket.encryption())
    print(_as_json(found) if arguments.json else printable(sse_text(found)))
    return 0


def _bucket(text: str) -> BucketUrl:
    url = parse_bucket_url(text if text.startswith("oss://") else f"oss://{text}")
    if url.prefix:
        raise UsageError(f"{text}: the rule is that of a whole bucket, not of a prefix")
    return url


def _asked(arguments: argparse.Namespace) -> ServerEncryption:
    if not arguments.algorithm:
        raise UsageError(f"say which encryption: --sse {' or '.join(_ALGORITHMS)}")
    if arguments.key_id and arguments.algorithm != "KMS":
        raise UsageError("--sse-kms-key-id goes with --sse KMS")
    return ServerEncryption(algorithm=arguments.algorithm, key_id=arguments.key_id or None)


def _ask(url: BucketUrl, own: Written, call: Callable[["Administration"], Awaitable[T]]) -> T:
    return ask_bucket(str(url), url.bucket, own, lambda store: call(store.administration))


def _as_json(found: ServerEncryption | None) -> str:
    document = None if found is None else {"sse": found.algorithm, "sse-kms-key-id": found.key_id}
    return json.dumps(document)
