# ruff: noqa: ARG002  (argparse fixes the signature of its actions)
"""Command lines and the options of the configuration on them."""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from ossfs.cli.mount_options import read_mount_options
from ossfs.config.options import Option, did_you_mean, options_of
from ossfs.config.resolve import TABLE, Written
from ossfs.config.sections import Connection, Keys, Log, MountOptions, Transfer, Where
from ossfs.config.server_side import ServerSide
from ossfs.config.sources import secret_in
from ossfs.errors import UsageError
from ossfs.keys import private_file

GROUPS: Mapping[str, Sequence[Option]] = {
    "where the bucket is": options_of(Where),
    "encryption": (*options_of(Keys), *options_of(ServerSide)),
    "connection": options_of(Connection),
    "the mount": options_of(MountOptions),
    "transfer": options_of(Transfer),
    "log": options_of(Log),
}
"""All options under the headings of help."""


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose errors are UsageErrors: one line, no usage text, exit code 2."""

    def __init__(self, *, prog: str, description: str, usage: str | None = None, epilog: str = ""):
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.set_defaults(pairs=())

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse *words*, options and others in any order; an unknown --flag is named before
        anything else is said of them.
        """
        known = self._option_string_actions
        for word in words:
            if word == "--":
                break
            flag = word.partition("=")[0]
            if flag.startswith("--") and flag not in known:
                raise UsageError(f"unknown option {flag}{did_you_mean(flag, known)}")
        return self.parse_intermixed_args(words)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; `{self.prog} --help` says more")


class _Flag(argparse.Action):
    """Appends the option and its text to `pairs`, in the order of the command line."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        text = values if isinstance(values, str) else "on"
        namespace.pairs = (*namespace.pairs, (self.dest, text))


class _MountOptions(argparse.Action):
    """Appends what stands in one `-o` to `pairs`."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        namespace.pairs = (*namespace.pairs, *read_mount_options(str(values)))


def add_options(parser: CommandParser, groups: Mapping[str, Sequence[Option]]) -> None:
    """Give *parser* these options as flags and as `-o`, and --config."""
    parser.add_argument(
        "--config", metavar="FILE", help="TOML file to read instead of ossfs/config.toml"
    )
    parser.add_argument(
        "-o",
        action=_MountOptions,
        metavar="OPT[,OPT…]",
        help="options as name=value, or name alone for a switch (name=off turns it off); "
        "a comma in a value is \\, and @FILE reads the value from a file",
    )
    for title, options in groups.items():
        group = parser.add_argument_group(title)
        for known in options:
            group.add_argument(
                *filter(None, (known.short, known.flag)),
                action=_Flag,
                dest=known.name,
                nargs=0 if known.is_switch else None,
                metavar=known.metavar or None,
                default=argparse.SUPPRESS,
                help=_help(known),
            )


def _help(known: Option) -> str:
    default = f" [{known.default}]" if known.default and not known.is_switch else ""
    return f"{known.help}{default}".replace("%", "%%")


def written(arguments: argparse.Namespace) -> Written:
    """What people wrote for this command: its arguments, the environment and the TOML file.

    Raises UsageError if the TOML file cannot be read, KeyProblem if it holds a secret and is open
    to others.
    """
    return Written(
        pairs=arguments.pairs,
        environ=os.environ,
        cwd=Path.cwd(),
        uid=os.geteuid(),
        toml=read_config(arguments.config),
    )


def read_config(named: str | None) -> tuple[Path, str] | None:
    """Path and text of the TOML file *named*, else of the first that is there; None without one.

    Raises UsageError.
    """
    for path in [Path(named).absolute()] if named else _default_files():
        try:
            file = private_file.read(path)
            text = file.content.decode()
        except (FileNotFoundError, NotADirectoryError):
            if named:
                raise UsageError(f"--config: {path} does not exist") from None
            continue
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
            raise UsageError(f"{path}: cannot be read: {reason}") from error
        secret = secret_in(text, TABLE)
        if secret:
            file.require_private(secret)
        return path, text
    return None


def _default_files() -> list[Path]:
    xdg, home = os.environ.get("XDG_CONFIG_HOME", ""), os.environ.get("HOME", "")
    folder = Path(xdg) if xdg else Path(home, ".config")
    own = [folder / "ossfs" / "config.toml"] if folder.is_absolute() else []
    return [*own, Path("/etc/ossfs/config.toml")]
