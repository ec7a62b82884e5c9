"""Where settings come from: each source turns what a person wrote into named texts with a label.

Nothing is read here: callers pass the arguments, the environment and the text of the TOML file.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ossfs.config.options import Option, did_you_mean
from ossfs.config.policies import Rule, read_rules
from ossfs.errors import UsageError

_BUCKETS = "bucket"
_POLICIES = "policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The texts that one source gave for one option.

    label: how an error names it ("--parallel", "/etc/ossfs/config.toml: parallel"); base: what
    relative file names are relative to.
    """

    label: str
    texts: tuple[str, ...]
    base: Path


Settings = Mapping[str, Given]
"""What one source says, by option name."""


def from_arguments(
    pairs: Sequence[tuple[str, str]], table: Mapping[str, Option], base: Path
) -> Settings:
    """Flags and `-o` options, as name and text in the order in which they were written.

    A repeatable option gathers, any other takes what was written last. Raises UsageError for a
    name that is no option.
    """
    found: dict[str, Given] = {}
    for name, text in pairs:
        known = table.get(name)
        if known is None:
            raise UsageError(f"unknown option {name}{did_you_mean(name, table)}")
        earlier = found[name].texts if known.many and name in found else ()
        found[name] = Given(label=known.flag, texts=(*earlier, text), base=base)
    return found


def from_environment(
    environ: Mapping[str, str], table: Mapping[str, Option], base: Path
) -> Settings:
    """The variables OSSFS_NAME; colons separate repeated values, an empty one is not set."""
    found: dict[str, Given] = {}
    for known in table.values():
        text = environ.get(known.variable, "")
        if text:
            texts = tuple(filter(None, text.split(":"))) if known.many else (text,)
            found[known.name] = Given(label=known.variable, texts=texts, base=base)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlFile:
    """What a TOML file says for one bucket; rules: those for every bucket come first."""

    settings: Settings
    rules: tuple[Rule, ...]


def from_toml(text: str, path: Path, bucket: str, table: Mapping[str, Option]) -> TomlFile:
    """Top-level keys for every bucket, then those of `[bucket.NAME]` where NAME is *bucket*.

    So it is with the rules, `[[policy]]` and `[[bucket.NAME.policy]]`, which do not displace one
    another. Relative file names are relative to the folder of *path*. All of the file is checked,
    other buckets' sections too. Raises UsageError.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: is not TOML: {error}") from None
    sections = document.pop(_BUCKETS, {})
    if not isinstance(sections, dict):
        raise UsageError(f"{path}: {_BUCKETS} must be sections of the form [{_BUCKETS}.NAME]")
    rules = read_rules(document.pop(_POLICIES, []), f"{path}: ")
    found = dict(_read_section(document, f"{path}: ", path.parent, table))
    for name, section in sections.items():
        if not isinstance(section, dict):
            raise UsageError(f"{path}: {_BUCKETS}.{name} must be a section of its own")
        where = f"{path}: [{_BUCKETS}.{name}] "
        inner_rules = read_rules(section.pop(_POLICIES, []), where)
        inner = _read_section(section, where, path.parent, table)
        if name == bucket:
            found.update(inner)
            rules += inner_rules
    return TomlFile(settings=found, rules=rules)


def secret_in(text: str, table: Mapping[str, Option]) -> str:
    """The first option with a secret value in a TOML file, for whichever bucket; "" if none is.

    What is no TOML holds nothing here: `from_toml` says what is wrong with it.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return ""
    buckets = document.get(_BUCKETS)
    sections = [document, *(buckets.values() if isinstance(buckets, dict) else ())]
    names = (name for section in sections if isinstance(section, dict) for name in section)
    return next((name for name in names if name in table and table[name].is_secret), "")


def _read_section(
    section: Mapping[str, object], where: str, base: Path, table: Mapping[str, Option]
) -> Settings:
    found: dict[str, Given] = {}
    for name, value in section.items():
        known = table.get(name)
        if known is None:
            raise UsageError(f"{where}unknown key {name}{did_you_mean(name, table)}")
        label = where + name
        texts = tuple(_as_text(item, label) for item in _items(value, known, label))
        found[name] = Given(label=label, texts=texts, base=base)
    return found


def _items(value: object, known: Option, label: str) -> Iterable[object]:
    if not isinstance(value, list):
        return (value,)
    if not known.many:
        raise UsageError(f"{label}: takes one value, not a list")
    return value


def _as_text(value: object, label: str) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str | int | float):
        return str(value)
    raise UsageError(f"{label}: must be a text, a number or true or false")
