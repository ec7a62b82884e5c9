"""Programs that save by writing a new file and renaming it over the old one."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuse.mounting import Mount
from tests.fuse.programs import sh

pytestmark = pytest.mark.fuse

NEW = b"the new text\n"


def rename_the_new_one_over_it(path: Path) -> None:
    """As GLib does it for gedit, and git, pip and most libraries: sync, then rename."""
    new = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(descriptor, NEW)
    before = path.stat()
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
    os.fchown(descriptor, before.st_uid, before.st_gid)
    os.fsync(descriptor)
    os.close(descriptor)
    os.rename(new, path)
    sync_directory(path.parent)


def move_the_old_one_aside(path: Path) -> None:
    """As vim does it with backupcopy=no: the old file becomes the backup, a new one is made."""
    before = path.stat()
    backup = path.with_name(f"{path.name}~")
    os.rename(path, backup)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(descriptor, NEW)
    os.fsync(descriptor)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
    os.close(descriptor)
    os.unlink(backup)


def write_over_it_after_a_copy(path: Path) -> None:
    """As vim does it with backupcopy=yes, and editors that keep links."""
    backup = path.with_name(f"{path.name}~")
    backup.write_bytes(path.read_bytes())
    with path.open("r+b") as file:
        file.truncate()
        file.write(NEW)
        os.fsync(file.fileno())
    backup.unlink()


def write_while_it_is_locked_and_open(path: Path) -> None:
    """As LibreOffice does it: a lock file, the old one open all the while, a new one beside it."""
    lock = path.with_name(f".~lock.{path.name}#")
    with path.open("rb") as old, lock.open("xb"):
        new = path.with_name("lu1234.tmp")
        with new.open("w+b") as file:
            file.seek(len(NEW))
            file.write(b"!")
            file.seek(0)
            file.write(NEW)
            file.truncate(len(NEW))
        os.chmod(new, stat.S_IMODE(path.stat().st_mode))
        os.replace(new, path)
        assert old.read() == b"old"
    lock.unlink()


def write_elsewhere_and_keep_a_generation(path: Path) -> None:
    """As office programs with backups and Emacs do it: the old one stays under another name."""
    new = path.with_name(f"#{path.name}#")
    new.write_bytes(NEW)
    os.chmod(new, stat.S_IMODE(path.stat().st_mode))
    backup = path.with_name(f"{path.name}.bak")
    os.rename(path, backup)
    os.rename(new, path)
    assert backup.read_bytes() == b"old"
    os.unlink(backup)


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)


SAVERS = (
    *(rename_the_new_one_over_it, move_the_old_one_aside, write_over_it_after_a_copy),
    *(write_while_it_is_locked_and_open, write_elsewhere_and_keep_a_generation),
)


def test_a_saver_leaves_the_new_text_and_nothing_else(shared: Mount, work: Path) -> None:
    savers: dict[str, Callable[[Path], None]] = {saver.__name__: saver for saver in SAVERS}
    for name, saver in savers.items():
        (work / name).mkdir()
        path = work / name / "document"
        path.write_bytes(b"old")
        path.chmod(0o640)
        with path.open("rb") as reader:
            saver(path)
            saved_by_name = path.read_bytes()
            if saver is not write_over_it_after_a_copy:
                assert reader.read() == b"old"
        assert saved_by_name == NEW
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert os.listdir(work / name) == ["document"]
    shared.again()
    for name in savers:
        assert os.listdir(work / name) == ["document"]
        assert (work / name / "document").read_bytes() == NEW
        assert stat.S_IMODE((work / name / "document").stat().st_mode) == 0o640


def test_sed_and_sort_save_in_place(work: Path) -> None:
    (work / "f").write_text("b\na\nold\n")
    sh('cd "$1"; sed -i s/old/new/ f; sort -o f f; ls -A', work)
    assert (work / "f").read_text() == "a\nb\nnew\n"
    assert os.listdir(work) == ["f"]
