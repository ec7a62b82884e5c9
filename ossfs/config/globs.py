"""Patterns of paths, as policies name the files that they are for.

    glob = parse_glob("letters/**/*.txt")
    glob.matches("letters/2025/may/mother.txt")

A path is relative to the mount's root. `*` stands for any characters within one name, `?` for one,
`**` in place of a name for any number of directories, none among them. A pattern without a slash is
for that name at any depth, one that begins with a slash or holds one is relative to the root. What
matches a directory matches all below it. Case counts, and every other character stands for itself.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar, final

T = TypeVar("T")

_ANY_DEPTH = "**"
_WILD = "*?"
_RESERVED = ".ossfs"
_LONGEST = 1023

UNNAMED = "\0"
"""A name that patterns match only where they leave it open: neither a letter nor `?` stands for it.

So a directory can be asked what holds for a file in it whatever that is called.
"""


@dataclass(frozen=True, slots=True)
class Glob:
    """One pattern. specificity: number of its characters that stand for themselves."""

    text: str
    _regex: re.Pattern[str] = field(repr=False)

    @property
    def specificity(self) -> int:
        """The larger it is, the fewer files the pattern is likely to be for."""
        return sum(char not in _WILD for char in self.text)

    def matches(self, path: str) -> bool:
        """Whether it is for the file or directory *path*, or for a directory that it is in."""
        return self._regex.fullmatch(path) is not None


@final
class Patterns(Generic[T]):
    """Values for patterns, in the order in which they were written."""

    def __init__(self, values: Sequence[tuple[Glob, T]]) -> None:
        # Numbers make the last among equals come first.
        ranked = sorted(
            enumerate(values), key=lambda item: (item[1][0].specificity, item[0]), reverse=True
        )
        self._values = [value for _, value in ranked]

    def best(self, path: str) -> T | None:
        """The value of the most specific pattern that matches *path*, of equals the last one.

        A path that ends in a slash, or the empty one, stands for any file in that directory.
        """
        if not path or path.endswith("/"):
            path += UNNAMED
        return next((value for glob, value in self._values if glob.matches(path)), None)


def parse_glob(text: str) -> Glob:
    """Raises ValueError for a text that no path could ever match, or that means something else."""
    anchored = "/" in text
    parts = text.removeprefix("/").split("/")
    _check(text, parts)
    if not anchored and parts != [_ANY_DEPTH]:
        parts = [_ANY_DEPTH, *parts]
    while len(parts) > 1 and parts[-1] == _ANY_DEPTH:
        parts.pop()  # a directory matches for all below it anyway
    if parts == [_ANY_DEPTH]:
        return Glob(text, re.compile(".*", re.DOTALL))
    return Glob(text, re.compile(f"{_of_parts(parts)}(?:/.*)?", re.DOTALL))


def _check(text: str, parts: list[str]) -> None:
    if len(text.encode(errors="surrogateescape")) > _LONGEST:
        raise ValueError(f"is longer than a path may be ({_LONGEST} bytes)")
    if not text.isprintable():
        raise ValueError(f"{text!r} holds characters that cannot be seen")
    if text.endswith("/"):
        raise ValueError(f"{text!r} ends with a slash; a directory is matched without one")
    for part in parts:
        if part in {"", ".", ".."}:
            raise ValueError(f"{text!r} matches nothing: no name is {part!r}")
        if part == _RESERVED:
            raise ValueError(f"{text!r} matches nothing: {_RESERVED} is reserved")
        if _ANY_DEPTH in part and part != _ANY_DEPTH:
            raise ValueError(f"{text!r}: ** stands alone between slashes")


def _of_parts(parts: list[str]) -> str:
    """The expression for a whole pattern, whose last part is a name.

    What stands between two `**` is taken where it first fits, which is never worse than later; the
    atomic groups say so, else many of them would take exponential time. So it is within a name.
    """
    groups: list[list[str]] = [[]]
    for part in parts:
        if part == _ANY_DEPTH:
            groups.append([])
        else:
            groups[-1].append(_of_name(part))
    texts = ["/".join(group) for group in groups]
    if len(texts) == 1:
        return texts[0]
    first = f"{texts[0]}/" if texts[0] else ""
    between = "".join(f"(?>(?:[^/]+/)*?{text}/)" for text in texts[1:-1] if text)
    return f"{first}{between}(?:[^/]+/)*?{texts[-1]}"


def _of_name(part: str) -> str:
    """The expression for one name."""
    first, *rest = (_of_text(piece) for piece in part.split("*"))
    if not rest:
        return first
    between = "".join(f"(?>[^/]*?{piece})" for piece in rest[:-1] if piece)
    return f"{first}{between}[^/]*{rest[-1]}"


def _of_text(piece: str) -> str:
    return "".join(rf"[^/{UNNAMED}]" if char == "?" else re.escape(char) for char in piece)
