"""Whether a KMS can be reached, so that not everyone finds out for himself that it cannot.

    with circuit.action() as probing:                 # raises what the last one met with
        …
        circuit.check(probing)                        # before each request
        …
        circuit.answered()                            # after each answer, whatever it says

An action that was not answered at all closes the way for some seconds. After that one action at a
time is let through, the probe; an answer opens the way for all.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

import trio

from ossfs.keys.kms_refusal import KmsRefusal

SECONDS = 5.0


@final
class Circuit:
    """The way to one KMS; by trio's clock."""

    def __init__(self, *, seconds: float = SECONDS) -> None:
        """seconds: for which nothing is tried after a failure."""
        self._seconds = seconds
        self._failure: KmsRefusal | None = None
        self._closed_until = -math.inf
        self._probing = False
        self._answered_at = -math.inf

    @contextmanager
    def action(self) -> Iterator[bool]:
        """Around an action: yields whether it is the probe, and learns how it ends.

        Raises KmsRefusal where the way is closed. One who is cancelled has found out nothing.
        """
        probing, began = self._enter(), trio.current_time()
        try:
            yield probing
        except KmsRefusal as refusal:
            # One broken connection says nothing as long as others are answered.
            lasting = refusal.is_unreachable and self._answered_at < began
            if lasting and (probing or self._failure is None):
                self._failure = refusal
                self._closed_until = trio.current_time() + self._seconds
            raise
        finally:
            if probing:
                self._probing = False

    def check(self, probing: bool) -> None:
        """Raises KmsRefusal if the way was closed meanwhile."""
        if self._failure is not None and not probing:
            raise self._failure.again()

    def answered(self) -> None:
        """The KMS can be reached."""
        self._answered_at = trio.current_time()
        self._failure = None

    def _enter(self) -> bool:
        if self._failure is None:
            return False
        if self._probing or trio.current_time() < self._closed_until:
            raise self._failure.again()
        self._probing = True
        return True
