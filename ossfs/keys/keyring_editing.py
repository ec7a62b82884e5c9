"""Adding keys to a keyring file, switching the active one and taking them out, without touching
the rest of its text.

    add(path, entry, active=True)
    use(path, "team-2025")
    remove(path, "archive")

Every edit is read back before it is stored: what else stands in the file must mean the same as
before. The new text replaces the old one at once, or not at all; edits at the same time come one
after the other.
"""

import contextlib
import fcntl
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path

from ossfs.errors import KeyProblem
from ossfs.keys import private_file
from ossfs.keys.keyring_file import Entry, KeyringFile, is_name, parse, read_with_text

_ACTIVE = re.compile(r"^([ \t]*active[ \t]*=[ \t]*)(?:\"[^\"\n]*\"|'[^'\n]*')", re.MULTILINE)
_HEADER = re.compile(
    r"^[ \t]*\[[ \t]*key[ \t]*\.[ \t]*[\"']?([A-Za-z0-9_-]+)[\"']?[ \t]*\]", re.MULTILINE
)
_ANY_HEADER = re.compile(r"^(?:[ \t]*#.*\n)*[ \t]*\[", re.MULTILINE)
"""With the lines of comment right above it."""


def add(path: Path, entry: Entry, *, active: bool) -> None:
    """Append *entry*, and make it the one that encrypts if *active* or if it is the first.

    A file that does not exist is made, with mode 0600. Raises KeyProblem.
    """
    if not is_name(entry.name):
        raise KeyProblem(f"{entry.name}: a name has 1 to 64 letters, digits, - and _")
    by_itself = f'active = "{entry.name}"\n\n{_section(entry)}'
    parse(by_itself, path)
    with _alone(path):
        if path.exists():
            _append(path, entry, active=active)
        else:
            _store(path, by_itself)


def _append(path: Path, entry: Entry, *, active: bool) -> None:
    text, before = read_with_text(path)
    if any(known.name == entry.name for known in before.entries):
        raise KeyProblem(f"{path}: there is a key {entry.name} already")
    changed = f"{text.rstrip()}\n\n{_section(entry)}"
    if active:
        changed = _with_active(changed, entry.name)
    after = _expected(path, changed)
    wanted = (entry.name if active else before.active, before.entries)
    if (after.active, after.entries[:-1]) != wanted or after.entries[-1] != entry:
        raise _by_hand(path)
    if after.holds_context:
        private_file.read(path).require_private("a context then")
    _store(path, changed)


def use(path: Path, name: str) -> None:
    """Make *name* the key that encrypts. Raises KeyProblem."""
    with _alone(path):
        text, before = read_with_text(path)
        before.named(name)
        changed = _with_active(text, name)
        after = _expected(path, changed)
        if (after.active, after.entries) != (name, before.entries):
            raise _by_hand(path)
        _store(path, changed)


def remove(path: Path, name: str) -> None:
    """Take the key *name* out; the file with the key itself stays. Raises KeyProblem."""
    with _alone(path):
        text, before = read_with_text(path)
        before.named(name)
        if name == before.active:
            raise KeyProblem(f"{path}: {name} is the active key; `ossfs key use` another one first")
        changed = _without(text, name)
        after = _expected(path, changed)
        left = tuple(entry for entry in before.entries if entry.name != name)
        if (after.active, after.entries) != (before.active, left):
            raise _by_hand(path)
        _store(path, changed)


def _expected(path: Path, text: str) -> KeyringFile:
    try:
        return parse(text, path)
    except KeyProblem:
        raise _by_hand(path) from None


def _by_hand(path: Path) -> KeyProblem:
    return KeyProblem(f"{path}: is written in a way that cannot be changed safely; edit it by hand")


def _with_active(text: str, name: str) -> str:
    return _ACTIVE.sub(rf'\g<1>"{name}"', text, count=1)


def _without(text: str, name: str) -> str:
    for header in _HEADER.finditer(text):
        if header.group(1) == name:
            following = _ANY_HEADER.search(text, header.end())
            rest = text[following.start() :] if following else ""
            return text[: header.start()] + rest
    return text


def _section(entry: Entry) -> str:
    """The entry as TOML, without what is as it is anyway."""
    lines = [f"[key.{entry.name}]", f'kind = "{entry.kind}"']
    for field in fields(entry):
        value = getattr(entry, field.name)
        if field.name != "name" and value and value != field.default:
            lines.append(f"{field.name.replace('_', '-')} = {_value(value)}")
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_quoted(str(k))} = {_quoted(str(v))}" for k, v in value.items())
        return f"{{ {pairs} }}"
    return _quoted(str(value))


def _quoted(text: str) -> str:
    """A basic string of TOML."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda m: f"\\u{ord(m[0]):04x}", escaped) + '"'


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Whoever else edits the file waits, and then reads what was stored here. Raises KeyProblem."""
    lock = _place(path).with_name(f".{_place(path).name}.lock")
    try:
        descriptor = _acquire(lock)
    except OSError as error:
        raise KeyProblem(f"{path} cannot be written: {lock}: {error.strerror}") from error
    try:
        yield
    finally:
        os.unlink(lock)
        os.close(descriptor)


def _acquire(lock: Path) -> int:
    """A lock on a file of its own: one on the keyring would end where the keyring is replaced.

    Its holder removes the file, so that whoever waited for it may hold one that is no more, and
    begins again.
    """
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(lock, follow_symlinks=False)):
                return descriptor
        os.close(descriptor)


def _place(path: Path) -> Path:
    """The file itself, where *path* is a link to it: the link stays one."""
    return Path(os.path.realpath(path))


def _store(path: Path, text: str) -> None:
    """Replace the file by *text*, synced, with the mode that it had (0600 if it is new), and the
    owner as far as that is permitted, so that root takes it away from nobody.
    """
    path = _place(path)
    try:
        before = path.stat() if path.exists() else None
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                if before is not None:
                    with contextlib.suppress(PermissionError):
                        os.fchown(file.fileno(), before.st_uid, before.st_gid)
                os.fchmod(file.fileno(), 0o600 if before is None else before.st_mode & 0o777)
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise KeyProblem(f"{path} cannot be written: {error.strerror}") from error
