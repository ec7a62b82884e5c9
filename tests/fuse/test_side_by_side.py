"""A mount says and does what a local file system does, but for what docs/semantics.md names.

Everything is done in a directory of the mount and in one of the local disk, and compared.
"""

import contextlib
import os
import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.fuse.beside import NOREPLACE, Pair, rename, said, shown
from tests.fuse.conftest import MakeMount
from tests.fuse.mounting import Mount
from tests.fuse.oss import Bucket

pytestmark = pytest.mark.fuse

SEED = int(os.environ.get("OSSFS_TEST_SEED", "1"))
OPERATIONS = int(os.environ.get("OSSFS_TEST_OPERATIONS", "300"))

LONG = "n" * 256
PATHS: tuple[str, ...] = (
    *("f", "f/", "f/x", "f/.", "f/..", "d", "d/", "d/.", "d/..", "empty/", "l", "l/", "l/x"),
    *("ld", "ld/", "ld/.", "dangling", "dangling/", "loop", "loop/x", "none", "none/", "none/x"),
    *("", ".", "fifo", "ll", LONG, LONG[1:], f"{LONG[1:]}/", f"d/{LONG}", f"none/{LONG}"),
    *(f"f/{LONG}", "x" * 4095, "x/" * 2048, "d//x"),
)
ENDS: tuple[str, ...] = (
    *("f", "f/", "d", "d/", "empty", "l", "ld/", "dangling", "none", "none/", "f/x", "d/x"),
    *("d/y", "d/sub/y", "none/x", LONG, "", "d/.", "fifo", "d/../f"),
)

Call = Callable[[str], Any]

LOOKS: dict[str, Call] = {
    "stat": os.stat,
    "lstat": os.lstat,
    "readlink": os.readlink,
    "listdir": lambda path: sorted(os.listdir(path)),
    "access": lambda path: os.access(path, os.R_OK),
    "open to read": lambda path: os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK)),
    "open to write": lambda path: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK)),
    "open a directory": lambda path: os.close(os.open(path, os.O_DIRECTORY)),
    "open no link": lambda path: os.close(os.open(path, os.O_NOFOLLOW | os.O_NONBLOCK)),
    "getxattr": lambda path: os.getxattr(path, "user.none"),
}
CHANGES: dict[str, Call] = {
    "mkdir": os.mkdir,
    "rmdir": os.rmdir,
    "unlink": os.unlink,
    "create": lambda path: os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NONBLOCK)),
    "create alone": lambda path: os.close(os.open(path, os.O_CREAT | os.O_EXCL)),
    "create a directory": lambda path: os.close(os.open(path, os.O_CREAT | os.O_DIRECTORY)),
    "truncate": lambda path: os.truncate(path, 1),
    "open to truncate": lambda path: os.close(os.open(path, os.O_TRUNC | os.O_NONBLOCK)),
    "mkfifo": os.mkfifo,
    "symlink": lambda path: os.symlink("target", path),
    "chmod": lambda path: os.chmod(path, 0o700),
    "lchown": lambda path: os.lchown(path, os.getuid(), os.getgid()),
    "utime": lambda path: os.utime(path, (1, 2)),
    "utime of a link": lambda path: os.utime(path, (1, 2), follow_symlinks=False),
    "setxattr": lambda path: os.setxattr(path, "user.a", b"1"),
    "removexattr": lambda path: os.removexattr(path, "user.none"),
}


def furnish(top: Path) -> None:
    """One of each kind."""
    top.mkdir()
    (top / "f").write_bytes(b"hello")
    (top / "d").mkdir()
    (top / "d" / "x").write_bytes(b"x")
    (top / "d" / "sub").mkdir()
    (top / "empty").mkdir()
    for name, target in (("l", "f"), ("ld", "d"), ("dangling", "nowhere"), ("loop", "loop")):
        (top / name).symlink_to(target)
    (top / "ll").symlink_to("l")
    os.mkfifo(top / "fifo")


class Twins:
    """Two furnished directories, furnished anew once something was changed in them."""

    def __init__(self, one: Path, other: Path) -> None:
        self.tops = (one, other)
        self.count = 0
        self.places: list[Path] = []

    def both(self, call: Callable[..., Any], *arguments: object) -> None:
        """Call it with each of them as the current directory: paths reach the kernel as given."""
        if not self.places:
            self.count += 1
            self.places = [top / str(self.count) for top in self.tops]
            for place in self.places:
                furnish(place)
        one, other = (said(partial(within, place, call, *arguments)) for place in self.places)
        assert one == other, [str(argument)[:40] for argument in arguments]
        one, other = map(names, self.places)
        assert one == other, [str(argument)[:40] for argument in arguments]
        if self.before != one:
            self.places = []

    @property
    def before(self) -> dict[str, object]:
        """What a furnished directory holds."""
        fresh = self.tops[0] / "fresh"
        if not fresh.exists():
            furnish(fresh)
        return names(fresh)


def within(place: Path, call: Callable[..., Any], *arguments: object) -> Any:
    """The call with *place* as the current directory."""
    with contextlib.chdir(place):
        return call(*arguments)


def names(place: Path) -> dict[str, object]:
    return {str(path.relative_to(place)): shown(path.lstat()) for path in sorted(place.rglob("*"))}


@pytest.fixture
def twins(work: Path, tmp_path: Path) -> Twins:
    return Twins(tmp_path, work)


def test_looking_at_any_path_gives_what_a_local_file_system_gives(twins: Twins) -> None:
    for call in LOOKS.values():
        for path in PATHS:
            twins.both(call, path)


@pytest.mark.parametrize("name", CHANGES)
def test_changing_any_path_gives_what_a_local_file_system_gives(name: str, twins: Twins) -> None:
    for path in PATHS:
        twins.both(CHANGES[name], path)


@pytest.mark.parametrize("flags", [0, NOREPLACE])
def test_renaming_anything_to_anything_gives_what_a_local_file_system_gives(
    flags: int, twins: Twins
) -> None:
    for path in ENDS:
        for new in ENDS:
            twins.both(rename, path, new, flags)


DEEDS: dict[str, Call] = {
    "read": lambda top: Path(top, "f").read_bytes(),
    "write": lambda top: os.close(os.open(f"{top}/f", os.O_WRONLY)),
    "truncate": lambda top: os.truncate(f"{top}/f", 2),
    "open to truncate": lambda top: os.close(os.open(f"{top}/f", os.O_TRUNC)),
    "unlink": lambda top: os.unlink(f"{top}/f"),
    "rmdir": lambda top: os.rmdir(f"{top}/e"),
    "rename": lambda top: os.rename(f"{top}/f", f"{top}/g"),
    "rename a directory": lambda top: os.rename(f"{top}/e", f"{top}/g"),
    "create": lambda top: Path(top, "g").touch(),
    "mkdir": lambda top: os.mkdir(f"{top}/g"),
    "chmod": lambda top: os.chmod(f"{top}/f", 0o6777),
    "chown": lambda top: os.chown(f"{top}/f", 1002, -1),
    "chgrp": lambda top: os.chown(f"{top}/f", -1, 1002),
    "utime": lambda top: os.utime(f"{top}/f", (1, 2)),
    "utime now": lambda top: os.utime(f"{top}/f"),
    "setxattr": lambda top: os.setxattr(f"{top}/f", "user.a", b"1"),
    "listdir": lambda top: sorted(os.listdir(top)),
    "access": lambda top: [os.access(f"{top}/f", bit) for bit in (os.R_OK, os.W_OK, os.X_OK)],
    "unlink another's": lambda top: os.unlink(f"{top}/o"),
    "rename another's": lambda top: os.rename(f"{top}/o", f"{top}/g"),
    "rename over another's": lambda top: os.rename(f"{top}/f", f"{top}/o"),
    "chmod another's": lambda top: os.chmod(f"{top}/o", 0o666),
    "chgrp to a group of one's own": lambda top: os.chown(f"{top}/f", -1, 1003),
    "create with all bits": lambda top: created(f"{top}/g", 0o7777, umask=0),
    "create under a umask": lambda top: created(f"{top}/g", 0o6777, umask=0o027),
    "mkdir with all bits": lambda top: made(f"{top}/g", 0o7777, umask=0),
    "mkdir under a umask": lambda top: made(f"{top}/g", 0o777, umask=0o027),
    "mkfifo": lambda top: os.mkfifo(f"{top}/g", 0o660),
    "symlink": lambda top: os.symlink("f", f"{top}/g"),
}


def created(path: str, mode: int, *, umask: int) -> None:
    os.umask(umask)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))


def made(path: str, mode: int, *, umask: int) -> None:
    os.umask(umask)
    os.mkdir(path, mode)


PEOPLE: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    *((0o640, 1001, ()), (0o640, 1002, ()), (0o640, 1002, (1003,))),
    *((0o6755, 1001, (1003,)), (0o066, 1002, (1003,))),
)
"""The mode of a file, who comes to it, and his supplementary groups."""


def as_user(user: int, groups: tuple[int, ...], calls: Sequence[Callable[[], Any]]) -> list[str]:
    """What the calls say to a process of that user."""
    end, begin = os.pipe()
    child = os.fork()
    if not child:
        os.setgroups(groups)
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        with open(begin, "w") as answers:
            answers.write("\n".join(repr(said(call)) for call in calls))
            answers.flush()
            os._exit(0)
    os.close(begin)
    with open(end) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text.split("\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("mode", [0o755, 0o1770, 0o3777])
def test_other_users_may_do_what_they_may_do_on_a_local_file_system(
    mode: int, open_to_all: Path, bucket: Bucket, mount: MakeMount
) -> None:
    tops = open_to_all / "local", open_to_all / "mnt"
    for top in tops:
        top.mkdir()
    mount(bucket, "--allow-other", path=tops[1])
    for file_mode, who, groups in PEOPLE:
        results = []
        for top in tops:
            folders = [top / f"{file_mode}-{who}-{groups}-{name}" for name in DEEDS]
            for folder in folders:
                lend(folder, mode, file_mode)
            deeds = zip(DEEDS.values(), folders, strict=True)
            calls = [partial(deed, str(folder)) for deed, folder in deeds]
            answers = as_user(who, groups, calls)
            left = [names(folder) for folder in folders]
            results.append(list(zip(DEEDS, answers, left, strict=True)))
        assert results[0] == results[1], (oct(file_mode), who, groups)
        reached = {answer for name, answer, _ in results[0] if name == "listdir"}
        may_enter = mode & 0o001 or 1003 in groups
        assert reached == {"['e', 'f', 'o']" if may_enter else "'EACCES'"}


def lend(folder: Path, mode: int, file_mode: int) -> None:
    """A directory with a file and a directory of the first user's, and a file of root's."""
    folder.mkdir()
    (folder / "f").write_bytes(b"data")
    (folder / "e").mkdir()
    (folder / "o").write_bytes(b"another's")
    for path in (folder / "f", folder / "e"):
        os.chown(path, 1001, 1003)
    os.chmod(folder / "f", file_mode)
    os.chown(folder, 0, 1003)
    os.chmod(folder, mode)


@pytest.mark.parametrize("seed", range(SEED, SEED + 2))
def test_random_work_on_a_tree_gives_what_a_local_file_system_gives(
    seed: int, shared: Mount, work: Path, tmp_path: Path
) -> None:
    local = tmp_path / "local"  # which pytest has not hidden from others, as it has its parent
    local.mkdir()
    pair = Pair(local, work, random.Random(seed))
    try:
        for count in range(OPERATIONS):
            pair.step()
            if count % 100 == 99:
                pair.compare()
    finally:
        pair.close_all()
    pair.compare()
    shared.again()
    pair.compare()
