"""Python's own tests of everything that touches files, run by the interpreter that runs ours.

They come with Python, in its package `test`. Where that is missing (some distributions pack it
by itself), running them fails.
"""

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

MODULES = (
    *("test_os", "test_posix", "test_shutil", "test_tempfile", "test_pathlib", "test_glob"),
    *("test_zipfile", "test_tarfile", "test_mmap", "test_sqlite3", "test_dbm", "test_fileio"),
    *("test_io", "test_mailbox"),
)

EXCUSED = {
    "test.test_os.ExtendedAttributeTests.test_fds": "D10",
    "test.test_os.ExtendedAttributeTests.test_lpath": "D10",
    "test.test_os.ExtendedAttributeTests.test_simple": "D10",
    "test.test_os.Pep383Tests.test_listdir": "D11",
    "test.test_os.Pep383Tests.test_open": "D11",
    "test.test_os.Pep383Tests.test_stat": "D11",
    "test.test_os.Pep383Tests.test_statvfs": "D11",
    "test.test_os.TestInvalidFD.test_dup2_negative_fd": "Python",
    "test.test_pathlib.PathTest.test_hardlink_to": "D1",
    "test.test_pathlib.PosixPathTest.test_hardlink_to": "D1",
    "test.test_sqlite3.test_dbapi.OpenTests.test_open_undecodable_uri": "D11",
    "test.test_sqlite3.test_dbapi.OpenTests.test_open_with_undecodable_path": "D11",
}
"""Cases that cannot pass, and the deviation of docs/semantics.md that each of them meets; or
Python, where it is no matter of the mount.
"""

SUMMARY = re.compile(r"^Ran (\d+) tests? in ", re.MULTILINE)
FAILED = re.compile(r"^(?:ERROR|FAIL|UNEXPECTED SUCCESS): (.*)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one module ended. failed: what unittest names; output: all that was printed."""

    count: int
    failed: tuple[str, ...]
    status: int
    output: str


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody who is not root."""

    number: int

    def command(self, python: Path, prefix: Path) -> tuple[list[str], Path]:
        """What comes before the program, and where the interpreter is then.

        An interpreter below a home directory is not for others. It is shown to this process
        alone at /mnt, in a mount namespace of its own.
        """
        script = 'mount --bind "$1" /mnt; shift; exec "$@"'
        # A slave, so that what is unmounted elsewhere meanwhile is not held by the namespace.
        apart = ["unshare", "--mount", "--propagation=slave"]
        words = [*apart, "sh", "-euc", script, "sh", str(prefix), "setpriv"]
        ids = [f"--reuid={self.number}", f"--regid={self.number}", "--clear-groups", "--"]
        return [*words, *ids], Path("/mnt") / python.relative_to(prefix)


def interpreter() -> tuple[Path, Path]:
    """The interpreter that any virtual environment is made of, and where its library is."""
    prefix = Path(sys.base_prefix).resolve()
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return prefix / "bin" / name, prefix


def run_module(
    module: str,
    top: Path,
    *,
    without: tuple[str, ...] = (),
    user: User | None = None,
    seconds: float = 300,
) -> Outcome:
    """Run one module with *top* as current directory, home and place of temporary files.

    without: patterns of cases to leave out, besides those that are excused.
    """
    python, prefix = interpreter()
    before, python = user.command(python, prefix) if user else ([], python)
    left_out = [word for pattern in (*EXCUSED, *without) for word in ("--ignore", pattern)]
    words = ["-m", "test", "-v", "--tempdir", str(top), *left_out, module]
    with subprocess.Popen(
        [*before, str(python), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(top),
            "TMPDIR": str(top),
            "LC_ALL": "C.UTF-8",
        },
        cwd=top,
        start_new_session=True,
    ) as process:
        try:
            output = process.communicate(timeout=seconds)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output = process.communicate()[0].decode(errors="replace") + "\ntook too long"
        except BaseException:  # Ctrl-C does not reach a session of its own
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return Outcome(
        count=sum(int(number) for number in SUMMARY.findall(output)),
        failed=tuple(FAILED.findall(output)),
        status=process.returncode,
        output=output,
    )
