"""From a path in a mount to its object, and to the settings that the mount was made with."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ossfs.cli.arguments import read_config
from ossfs.cli.control import NobodyListens, Refused, ask
from ossfs.cli.mount_state import states_of
from ossfs.cli.mount_table import find_mount
from ossfs.config.resolve import TABLE, Written
from ossfs.errors import CommandError

_PREFIX = "user.ossfs."
_ANSWER_SECONDS = 10
_STORE_SECONDS = 60


def attribute(path: Path, name: str) -> str | None:
    """The extended attribute `user.ossfs.<name>`, None if there is none.

    Raises CommandError where there is no such file.
    """
    try:
        return os.getxattr(path, _PREFIX + name).decode(errors="replace")
    except FileNotFoundError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    except OSError:
        return None


def object_url(path: Path) -> str:
    """The oss:// address of the object at *path*. Raises CommandError: not in a mount."""
    found = attribute(path, "object")
    if found is None:
        raise CommandError(f"{path} is not in an ossfs mount")
    return found


def with_mount_facts(path: Path, own: Written) -> Written:
    """Our own settings, and behind them what the mount of *path* says of its own."""
    return _behind(own, _facts(path, own))


def with_mount_place(path: Path, own: Written, *, config_is_named: bool) -> tuple[Written, str]:
    """As `with_mount_facts`, and the mount's prefix; its TOML file, too, if we named none.

    Raises CommandError: it does not answer. UsageError: the file cannot be read.
    """
    facts = _facts(path, own)
    if "prefix" not in facts:
        raise CommandError(f"the mount of {path} does not answer: name the objects by oss://…")
    if facts.get("config") and not config_is_named:
        own = replace(own, toml=read_config(str(facts["config"])))
    return _behind(own, facts), str(facts["prefix"])


def _behind(own: Written, facts: Mapping[str, object]) -> Written:
    """A repeatable option gathers: what was written for this command comes first."""
    pairs = list(_pairs(facts))
    first = [(name, text) for name, text in pairs if not TABLE[name].many]
    last = [(name, text) for name, text in pairs if TABLE[name].many]
    return replace(own, pairs=[*first, *own.pairs, *last])


def store_first(path: Path, own: Written) -> Sequence[str]:
    """Have the mount of *path* store what it holds back; returns the names that it could not."""
    request = {"command": "store", "timeout": _STORE_SECONDS}
    answer = _ask(path, own, request, seconds=_STORE_SECONDS + _ANSWER_SECONDS)
    unstored: Any = answer.get("unstored", ())
    return [str(item["name"]) for item in unstored]


def _facts(path: Path, own: Written) -> Mapping[str, object]:
    return _ask(path, own, {"command": "where"}, seconds=_ANSWER_SECONDS)


def _ask(
    path: Path, own: Written, request: Mapping[str, object], *, seconds: float
) -> Mapping[str, object]:
    """What the process that serves the mount of *path* answers; nothing where none does."""
    mounted = next(filter(None, map(find_mount, [path, *path.absolute().parents])), None)
    for state in states_of(mounted, own) if mounted else ():
        try:
            return ask(state.control, request, seconds=seconds)
        except (NobodyListens, Refused):
            continue
    return {}


def _pairs(facts: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key, value in facts.items():
        name = key.replace("_", "-")
        if name not in TABLE:
            continue
        for one in value if isinstance(value, list) else [value]:
            text = ("on" if one else "off") if isinstance(one, bool) else str(one)
            if text:
                yield name, text
