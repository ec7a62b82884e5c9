"""What new files get, by where they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ossfs.config.globs import Glob, Patterns
from ossfs.store.base import ObjectInfo
from ossfs.transfer.protection import Protection


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFiles:
    """What a new file gets; key_name, wrap_alg: of the key that encrypts it here, else empty."""

    protection: Protection
    key_name: str = ""
    wrap_alg: str = ""


class Policy:
    """The decision for every key of one mount.

    default: where no rule matches; prefix: of the mount, without slashes at its ends; rules: in the
    order in which they were written. Of those that match, the most specific one counts, and among
    equals the last.
    """

    def __init__(
        self, default: NewFiles, rules: Sequence[tuple[Glob, NewFiles]] = (), *, prefix: str
    ) -> None:
        self.default = default
        self._base = f"{prefix}/" if prefix else ""
        self._rules = Patterns(rules)

    def new_files(self, key: str) -> NewFiles:
        """What a new object under *key* gets; for a directory's, what files in it get."""
        return self._rules.best(key.removeprefix(self._base)) or self.default

    def protection(self, key: str, replaced: ObjectInfo | None = None) -> Protection:
        """What is to be asked for where *key* is stored.

        replaced: the version that stands there, whose server-side encryption stays where none is
        asked for: someone may have chosen it for this very file.
        """
        chosen = self.new_files(key).protection
        if chosen.server is None and replaced is not None:
            return replace(chosen, server=replaced.encryption)
        return chosen
