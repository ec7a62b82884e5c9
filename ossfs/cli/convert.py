"""`ossfs convert`: stored objects under another client-side or server-side encryption."""

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ossfs.cli.arguments import GROUPS, CommandParser, add_options, written
from ossfs.cli.mount_facts import object_url, store_first, with_mount_place
from ossfs.cli.progress import Progress, shown
from ossfs.cli.terminal import printable
from ossfs.config.address import BucketUrl, split_url
from ossfs.config.conversion import parse_wanted
from ossfs.config.resolve import TABLE, resolve_conversion
from ossfs.errors import (
    CommandError,
    IntegrityError,
    IntegrityProblem,
    KeyProblem,
    KeyUnavailable,
    ServerKeyRefused,
    UsageError,
)

if TYPE_CHECKING:
    from ossfs.transfer.convert.conversion import Result
    from ossfs.transfer.convert.converter import Totals

_INTERRUPTED = 130
_SHOWN_FAILURES = 1000
"""So many stand in the summary; a report has all of them."""


def configure(parser: CommandParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "what",
        metavar="PATH|oss://BUCKET[/KEY]",
        help="a file or directory in a mount, or an object and everything below it",
    )
    parser.add_argument(
        "--to",
        metavar="POLICY",
        help="`policy` for what the configuration says, or any of encrypt=rsa|kms|aes|none,"
        "key=NAME,sse=none|AES256|KMS|KMS:ID; what is not named stays as it is",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and stop")
    parser.add_argument("--jobs", type=_jobs, default=8, metavar="N", help="objects at a time [8]")
    parser.add_argument(
        "--report", metavar="FILE", help="write one JSON object a line: each object, then the sums"
    )
    parser.add_argument("--json", action="store_true", help="print the sums as one JSON object")
    wanted = ("where the bucket is", "encryption", "connection", "transfer")
    groups = {title: GROUPS[title] for title in wanted}
    add_options(parser, groups | {"the mount": [TABLE["state-dir"]]})


def run(arguments: argparse.Namespace) -> int:
    """Convert. Raises CommandError where something failed, with the exit code of the reason."""
    if not arguments.to:
        raise UsageError("say what to convert to: --to policy, or --to encrypt=…,key=…,sse=…")
    wanted = parse_wanted(arguments.to)
    own, url, prefix = written(arguments), arguments.what, None
    if not url.startswith("oss://"):
        path = Path(url)
        url = object_url(path)
        if not arguments.dry_run:
            # Attributes that the mount gathers belong to a version that is about to go.
            for name in store_first(path, written(arguments)):
                print(f"{printable(name)}: the mount could not store it yet", file=sys.stderr)
        own, prefix = with_mount_place(path, own, config_is_named=bool(arguments.config))
    bucket, key = split_url(url)
    config = resolve_conversion(BucketUrl(bucket, ""), wanted, own)
    # Only a command that asks OSS needs this, which takes a while to load.
    from ossfs.compose.convert import Run, run_conversion  # noqa: PLC0415

    with _report(arguments.report) as report, shown("convert") as progress:
        account = _Account(bucket, report, progress, lists=arguments.dry_run and not arguments.json)
        totals = run_conversion(
            config,
            Run(
                key=key,
                prefix=prefix,
                jobs=arguments.jobs,
                dry_run=arguments.dry_run,
                told=account.add,
                counted=progress.total if progress.wants_total else None,
            ),
        )
        summary = account.summary(url, arguments.to, totals, dry_run=arguments.dry_run)
        account.close(summary)
    print(json.dumps(summary) if arguments.json else _in_words(totals, account, arguments.dry_run))
    return _outcome(url, totals, account)


def _jobs(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 64):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 64")
    return int(text)


@contextlib.contextmanager
def _report(name: str | None) -> Iterator[TextIO | None]:
    if name is None:
        yield None
        return
    try:
        file = Path(name).open("w", encoding="utf-8")  # noqa: SIM115 - closed below
    except OSError as error:
        raise UsageError(f"--report: {name} cannot be written: {error.strerror}") from error
    with file:
        yield file


class _Account:
    """What came out so far, told as it comes. lists: each change on a line of its own."""

    def __init__(
        self, bucket: str, report: TextIO | None, progress: Progress, *, lists: bool
    ) -> None:
        self._bucket = bucket
        self._report = report
        self._progress = progress
        self._lists = lists
        self.failures: list[dict[str, str]] = []
        self.problems: set[type[CommandError]] = set()
        self.content = 0

    def add(self, result: "Result") -> None:
        """Take note of one object."""
        kind, url = result.outcome.value, f"oss://{self._bucket}/{result.key}"
        self._progress.advance(result.size)
        if kind == "as-asked":
            return
        if kind == "converted":
            self.content += result.work.value == "content"
            if self._lists:
                print(f"{result.work.value:<7} {result.size:>14} {printable(url)}")
        if kind == "failed":
            self.problems.add(_problem(result))
            if len(self.failures) < _SHOWN_FAILURES:
                self.failures.append({"url": url, "reason": result.reason})
            self._progress.say(f"{url}: {result.reason}")
        self._write(
            {"url": url, "size": result.size, "result": kind}
            | ({"change": result.work.value} if kind == "converted" else {"reason": result.reason})
        )

    def summary(self, url: str, to: str, totals: "Totals", *, dry_run: bool) -> dict[str, object]:
        """All sums; of the failures the first thousand."""
        return {
            "url": url,
            "to": to,
            "dry-run": dry_run,
            "complete": not totals.stopped,
            **{
                outcome.value: {"objects": each.objects, "bytes": each.bytes}
                for outcome, each in totals.by_outcome.items()
            },
            "content-changed": self.content,
            "leftovers-removed": totals.leftovers,
            "failures": self.failures,
        }

    def close(self, summary: dict[str, object]) -> None:
        """End the report."""
        self._write({"summary": summary})

    def _write(self, document: dict[str, object]) -> None:
        if self._report is not None:
            print(json.dumps(document, ensure_ascii=False), file=self._report)


def _problem(result: "Result") -> type[CommandError]:
    if isinstance(result.error, KeyUnavailable | ServerKeyRefused):
        return KeyProblem
    return IntegrityProblem if isinstance(result.error, IntegrityError) else CommandError


def _in_words(totals: "Totals", account: _Account, dry_run: bool) -> str:
    sums = {outcome.value: each for outcome, each in totals.by_outcome.items()}
    converted = sums["converted"]
    content = account.content
    done = "would be converted" if dry_run else "converted"
    return (
        f"{converted.objects} {done} ({converted.bytes} bytes; content of {content}, "
        f"server-side encryption alone of {converted.objects - content}), "
        f"{sums['as-asked'].objects} as asked already, {sums['skipped'].objects} skipped, "
        f"{sums['failed'].objects} failed"
        + ("; told to stop before everything was looked at" if totals.stopped else "")
    )


def _outcome(url: str, totals: "Totals", account: _Account) -> int:
    """The exit code. Raises CommandError: of the kind that all failures share."""
    failed = sum(
        each.objects for outcome, each in totals.by_outcome.items() if outcome.value == "failed"
    )
    if failed:
        kind = account.problems.pop() if len(account.problems) == 1 else CommandError
        raise kind(f"{url}: {failed} could not be converted, named above")
    return _INTERRUPTED if totals.stopped else 0
