"""When a request is repeated, and how one call has gone so far."""

import random
from dataclasses import dataclass

_CHANCE = random.SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Exponential backoff with full jitter.

    retries: repetitions after the first attempt; first_seconds, longest_seconds: bounds of the wait
    before the first repetition and before any.
    """

    retries: int = 5
    first_seconds: float = 0.2
    longest_seconds: float = 20.0

    def wait(self, repetition: int, at_least: float = 0.0) -> float:
        """Seconds before the *repetition*-th repetition, counted from 1.

        at_least: what the server asked for, honoured up to `longest_seconds`.
        """
        bound = min(self.longest_seconds, self.first_seconds * 2.0 ** min(repetition - 1, 60))
        return max(_CHANCE.uniform(0, bound), min(at_least, self.longest_seconds))


@dataclass(slots=True, kw_only=True)
class Course:
    """How one call has gone so far.

    doubtful: an attempt may have taken effect although it failed; asked_to_wait: seconds that the
    latest answer asked for; clock_corrected: the one correction of the clock was made.
    """

    repetitions: int = 0
    doubtful: bool = False
    asked_to_wait: float = 0.0
    clock_corrected: bool = False
