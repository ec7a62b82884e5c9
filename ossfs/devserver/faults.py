"""Faults that the server commits on purpose, one rule per fault.

A rule is a list of `name=value` separated by commas; `\\,` is a comma inside a value.

    which requests      op=GLOB       name of the operation, as PutObject (default: all)
                        key=GLOB      the object key, or the KMS key as the client names it; of
                                      ReEncrypt the new one, of Decrypt the id (default: all)
                        skip=N        lets the first N of them pass
                        times=N       then acts on N of them (default: all)
    what happens        status=N      answers with that status, without doing anything
                        code=CODE     the code of that answer (default: InternalError for 500,
                                      ServiceUnavailable otherwise; of the KMS InternalFailure for
                                      500, Rejected.Throttling for 429, ServiceUnavailableTemporary
                                      otherwise; alone: the status of the code)
                        delay=MS      waits first
                        drop=before   cuts the connection without doing anything
                        drop=after    does it and cuts the connection instead of answering
                        truncate=N    sends N bytes of the body of a GET and cuts the connection
                        corrupt=N     flips a bit of byte N of the object in the body of a GET
                                      (the KMS does both to any answer)

Globs are those of the shell, case matters. Of several rules that meet one request, each acts.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from ossfs.devserver.errors import KINDS, OssError
from ossfs.errors import UsageError

_FIELD = re.compile(r"(?:[^,\\]|\\.)+")
_NUMBERS = frozenset({"skip", "times", "status", "delay", "truncate", "corrupt"})
_NAMES = _NUMBERS | {"op", "key", "code", "drop"}
_ACTIONS = frozenset({"status", "code", "delay", "drop", "truncate", "corrupt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """One rule; None where it says nothing."""

    op: str = "*"
    key: str = "*"
    skip: int = 0
    times: int | None = None
    status: int | None = None
    code: str = ""
    delay_ms: int = 0
    drop: Literal["before", "after"] | None = None
    truncate: int | None = None
    corrupt: int | None = None

    def refusal(self) -> OssError | None:
        """The error this rule answers with."""
        if self.status is None and not self.code:
            return None
        code = self.code or ("InternalError" if self.status == 500 else "ServiceUnavailable")
        known = KINDS.get(code)
        return OssError(code, status=self.status or (known.status if known else 503))


def _numbered(text: str, fields: dict[str, str]) -> dict[str, int]:
    numbers = {name: value for name, value in fields.items() if name in _NUMBERS}
    for name, value in numbers.items():
        if not (value.isascii() and value.isdecimal()):
            raise UsageError(f"fault rule {text!r}: {name} must be a number")
    return {name: int(value) for name, value in numbers.items()}


def parse(text: str) -> FaultRule:
    """Reads one rule. Raises UsageError."""
    fields: dict[str, str] = {}
    for field in _FIELD.findall(text):
        name, equals, value = field.strip().partition("=")
        if not equals or name not in _NAMES or name in fields:
            raise UsageError(f"fault rule {text!r}: {field!r} is not understood")
        fields[name] = re.sub(r"\\(.)", r"\1", value)
    if _ACTIONS.isdisjoint(fields):
        raise UsageError(f"fault rule {text!r} does nothing")
    drop = fields.get("drop")
    if drop not in {None, "before", "after"}:
        raise UsageError(f"fault rule {text!r}: drop is before or after")
    numbers = _numbered(text, fields)
    if not 400 <= numbers.get("status", 400) <= 599:
        raise UsageError(f"fault rule {text!r}: status is 400 to 599")
    return FaultRule(
        op=fields.get("op", "*"),
        key=fields.get("key", "*"),
        skip=numbers.get("skip", 0),
        times=numbers.get("times"),
        status=numbers.get("status"),
        code=fields.get("code", ""),
        delay_ms=numbers.get("delay", 0),
        drop="before" if drop == "before" else "after" if drop else None,
        truncate=numbers.get("truncate"),
        corrupt=numbers.get("corrupt"),
    )


@dataclass(slots=True)
class _Armed:
    rule: FaultRule
    met: int = 0

    def strikes(self, operation: str, key: str) -> bool:
        rule = self.rule
        if not (fnmatchcase(operation, rule.op) and fnmatchcase(key, rule.key)):
            return False
        self.met += 1
        return self.met > rule.skip and (rule.times is None or self.met <= rule.skip + rule.times)


class Faults:
    """All rules of one server with their counters; used from one thread."""

    def __init__(self, rules: Iterable[str] = ()) -> None:
        self._armed = [_Armed(parse(rule)) for rule in rules]

    def add(self, rule: str) -> None:
        """Arms one more rule. Raises UsageError."""
        self._armed.append(_Armed(parse(rule)))

    def clear(self) -> None:
        """Disarms all."""
        self._armed.clear()

    def of(self, operation: str, key: str) -> list[FaultRule]:
        """The rules that act on this request; counts it."""
        return [armed.rule for armed in self._armed if armed.strikes(operation, key)]
