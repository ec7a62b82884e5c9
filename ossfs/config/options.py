"""What an option is, and how the sections' fields become the table of all options.

A field of a section made with `field(default=…, metadata=option(…))` is the only definition of its
option: the flag, the `-o` name, the key of the TOML file and the variable of the environment are
derived from it, and so are its help and its default.
"""

import dataclasses
import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ossfs.config import values
from ossfs.config.values import Reader

_KEY = "ossfs option"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of `mount`.

    name: as in the flag, without dashes in front; short: one-letter flag or ""; field: of the
    section; read: turns text into the value (ValueError says why not); metavar: "" for a switch;
    many: given several times it gathers; default: as help shows it.
    """

    name: str
    short: str
    field: str
    section: type
    read: Reader
    help: str
    metavar: str
    many: bool
    default: str

    @property
    def flag(self) -> str:
        """As it is written on the command line."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """As it is called in the environment."""
        return "OSSFS_" + self.name.upper().replace("-", "_")

    @property
    def is_switch(self) -> bool:
        """Whether it stands alone on the command line."""
        return self.read is values.switch

    @property
    def is_path(self) -> bool:
        """Whether its value names a file or directory of this machine."""
        return self.read is values.path

    @property
    def is_secret(self) -> bool:
        """Whether its value may be a secret, and what holds it must be its owner's alone."""
        return self.read is values.context


def option(
    read: Reader,
    help_text: str,
    *,
    metavar: str = "",
    name: str = "",
    short: str = "",
    many: bool = False,
    default: str = "",
) -> dict[str, dict[str, object]]:
    """Metadata that makes a field of a section an option.

    name: where it differs from the field's; default: where help shows it differently.
    """
    return {
        _KEY: {
            "read": read,
            "help": help_text,
            "metavar": metavar,
            "name": name,
            "short": short,
            "many": many,
            "default": default,
        }
    }


def options_of(section: type) -> tuple[Option, ...]:
    """The options that the fields of *section* define, in their order."""
    return tuple(
        _build(section, field) for field in dataclasses.fields(section) if _KEY in field.metadata
    )


def _build(section: type, field: "dataclasses.Field[object]") -> Option:
    facts = dict(field.metadata[_KEY])
    facts["name"] = facts["name"] or field.name.replace("_", "-")
    facts["default"] = facts["default"] or show_default(field.default)
    return Option(field=field.name, section=section, **facts)


def show_default(value: object) -> str:
    """A default as help shows it; "" where there is none."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int) and value >= 1024:
        return values.show_size(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str | int | Path):
        return str(value)
    return ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """ "; did you mean X?" for the known name that is nearest to *name*, "" if none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""
