"""Readers of option values: each turns the text of one value into its type.

Every reader raises ValueError whose text completes the sentence "NAME: …".
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

Reader = Callable[[str], object]

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b)?", re.IGNORECASE)
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_ON = frozenset({"on", "yes", "true", "1", ""})
_OFF = frozenset({"off", "no", "false", "0"})
MATDESC_BYTES = 512
CONTEXT_CHARACTERS = 8192


def text(value: str) -> str:
    """Any text but the empty one."""
    if not value:
        raise ValueError("needs a value")
    return value


def path(value: str) -> Path:
    """A file name, made absolute by whoever knows where it is relative to."""
    if not value or "\0" in value:
        raise ValueError("needs a file name")
    return Path(value)


def switch(value: str) -> bool:
    """on or off; an option that only stands there is on."""
    word = value.lower()
    if word in _ON:
        return True
    if word in _OFF:
        return False
    raise ValueError(f"{value!r} is neither on nor off")


def choice(*words: str) -> Callable[[str], str]:
    """One of *words*."""

    def read(value: str) -> str:
        if value not in words:
            raise ValueError(f"{value!r} is not one of {', '.join(words)}")
        return value

    return read


def integer(low: int, high: int) -> Callable[[str], int]:
    """A whole decimal number within [low, high]."""

    def read(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", value) or not low <= int(value) <= high:
            raise ValueError(f"{value!r} is not a whole number from {low} to {high}")
        return int(value)

    return read


def octal(value: str) -> int:
    """Permission bits as chmod and umask write them."""
    if not re.fullmatch(r"0*[0-7]{1,3}", value):
        raise ValueError(f"{value!r} is not an octal number from 0 to 777")
    return int(value, 8)


def seconds(low: float, high: float) -> Callable[[str], float]:
    """A duration in seconds within [low, high]; fractions allowed, a trailing `s` too."""

    def read(value: str) -> float:
        try:
            number = float(value.removesuffix("s"))
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise ValueError(f"{value!r} is not a number of seconds from {low:g} to {high:g}")
        return number

    return read


def byte_count(value: str) -> int:
    """A number of bytes: 65536, 64KiB, 64K, 8m (powers of 1,024) or 64KB (powers of 1,000)."""
    match = _SIZE.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is not a size such as 64KiB, 8m or 128MiB")
    number, unit, suffix = match.groups()
    base = 1000 if (suffix or "").lower() == "b" and unit else 1024
    return int(float(number) * base ** _UNITS[unit.lower()])


def size(low: int, high: int) -> Callable[[str], int]:
    """A byte count within [low, high]."""

    def read(value: str) -> int:
        count = byte_count(value)
        if not low <= count <= high:
            raise ValueError(f"{value!r} is not from {show_size(low)} to {show_size(high)}")
        return count

    return read


def show_size(count: int) -> str:
    """*count* bytes in the largest binary unit that divides it."""
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if count and count % 1024**power == 0:
            return f"{count // 1024**power}{unit}"
    return str(count)


def matdesc(value: str) -> Mapping[str, str]:
    """A JSON object of strings, at most 512 bytes of ASCII as it is stored (compact, sorted)."""
    parsed = _strings(value, shown=repr(value))
    text = json.dumps(parsed, sort_keys=True, separators=(",", ":"))
    size = len(text) + 5 * sum(map(text.count, "<>&"))  # stored as escapes
    if size > MATDESC_BYTES:
        raise ValueError(f"takes {size} bytes as ASCII JSON; {MATDESC_BYTES} are allowed")
    return parsed


def context(value: str) -> Mapping[str, str]:
    """A JSON object of strings, at most 8,192 characters; some put a passphrase there."""
    parsed = _strings(value, shown="the value")
    if len(json.dumps(parsed)) > CONTEXT_CHARACTERS:
        raise ValueError(f"takes more than {CONTEXT_CHARACTERS} characters as JSON")
    return parsed


def _strings(value: str, *, shown: str) -> Mapping[str, str]:
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError(f'{shown} is not JSON; write {{"name": "value"}}') from None
    if not isinstance(parsed, dict) or not all(isinstance(v, str) for v in parsed.values()):
        raise ValueError(f"{shown} is not a JSON object whose values are all strings")
    try:
        json.dumps(parsed, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError(f"{shown} holds what is no character of Unicode") from None
    return parsed
