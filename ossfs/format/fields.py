"""Strict text forms of numbers, bytes, times and maps; every parser raises ValueError only."""

import base64
import json
import re
from collections.abc import Mapping

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,19}", re.ASCII)
_TIME = re.compile(r"(0|-?[1-9][0-9]{0,10})(?:\.([0-9]{1,9}))?", re.ASCII)
_SECOND = 1_000_000_000
_ESCAPES = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&"})
_EARLIEST = -(10**11 - 1) * _SECOND
_LATEST = 10**11 * _SECOND - 1


def parse_decimal(text: str, maximum: int) -> int:
    """The value of plain ASCII digits without sign or leading zeros, at most *maximum*."""
    if not _DECIMAL.fullmatch(text):
        raise ValueError("not a decimal number")
    value = int(text)
    if value > maximum:
        raise ValueError("number out of range")
    return value


def print_base64(data: bytes) -> str:
    """Standard alphabet, with padding."""
    return base64.b64encode(data).decode("ascii")


def parse_base64(text: str) -> bytes:
    """The bytes of canonical base64: nothing but what `print_base64` writes."""
    data = base64.b64decode(text, validate=True)
    if print_base64(data) != text:
        raise ValueError("not canonical base64")
    return data


def print_time(nanoseconds: int) -> str:
    """`sec.nnnnnnnnn` as in a timespec: sec rounds down, the fraction is always added to it."""
    seconds, fraction = divmod(max(_EARLIEST, min(_LATEST, nanoseconds)), _SECOND)
    return f"{seconds}.{fraction:09d}"


def parse_time(text: str) -> int:
    """Nanoseconds of `sec` or `sec.frac` with up to nine digits of fraction."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("not a time")
    seconds, fraction = match.groups(default="")
    return int(seconds) * _SECOND + int(fraction.ljust(9, "0"))


def print_map(strings: Mapping[str, str]) -> str:
    """Compact JSON in ASCII, sorted by key: one text for one map.

    The SDK for Go compares this text with its own, which has <, > and & as escapes.
    """
    return json.dumps(dict(strings), sort_keys=True, separators=(",", ":")).translate(_ESCAPES)


def parse_map(text: str) -> dict[str, str]:
    """The JSON object of strings that *text* is."""
    try:
        parsed = json.loads(text)
    except RecursionError:
        # The parser recurses once per bracket, so a header full of them ends up here.
        raise ValueError("nested too deeply") from None
    if not isinstance(parsed, dict) or not all(isinstance(v, str) for v in parsed.values()):
        raise ValueError("not a JSON object whose values are strings")
    return parsed
