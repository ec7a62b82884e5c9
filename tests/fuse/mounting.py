"""Mounts as people make them: the command in a process of its own, on a directory of its own."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import ossfs
from ossfs.cli.mount_table import find_mount
from tests.fuse.oss import Bucket
from tests.waiting import wait_until

MOUNTED = "INFO ossfs.fuse.session: mounted "


@dataclass(frozen=True, kw_only=True)
class Place:
    """Directories of one test run, and the master key that its mounts use unless told otherwise."""

    folder: Path
    key: Path
    public_key: Path
    _numbers: Iterator[int]

    def new_folder(self, kind: str) -> Path:
        made = self.folder / f"{kind}{next(self._numbers)}"
        made.mkdir()
        return made


def new_place(folder: Path, key: Path, public_key: Path) -> Place:
    return Place(folder=folder, key=key, public_key=public_key, _numbers=itertools.count(1))


class Mount:
    """One mount of *bucket*; options are words of the command line.

    The process stays in the foreground, a child of the test, so that its end can be waited for.
    """

    def __init__(
        self,
        place: Place,
        bucket: Bucket,
        *options: str,
        prefix: str = "",
        key: Path | None = None,
        path: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.bucket = bucket
        self.home = place.new_folder("home")
        self.path = path or place.new_folder("mnt")
        self.log_file = self.home / "log"
        self.state_dir = self.home / "state"
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = command_environment(self.home) | dict(bucket.oss.environment())
        self.environment |= dict(environment or {})
        self.environment["OSSFS_STATE_DIR"] = str(self.state_dir)
        source = f"oss://{bucket.name}" + (f"/{prefix}" if prefix else "")
        keys = [] if _has_key(options) else [f"--rsa-key={key or place.key}"]
        self.words = ["mount", source, str(self.path), *keys, *options]

    def start(self) -> "Mount":
        """Mount and wait until it answers."""
        known = len(self.log)
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                command(*self.words, "--foreground"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd="/",
            )
        wait_until(lambda: MOUNTED in self.log[known:] or self.has_ended)
        assert not self.has_ended, self.log
        return self

    def ossfs(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Another command of ossfs, in the surroundings of this mount."""
        return run_command(words, self.environment)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> str:
        return self.log_file.read_text() if self.log_file.exists() else ""

    @property
    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    @property
    def is_mounted(self) -> bool:
        return find_mount(self.path) is not None

    def umount(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`ossfs umount`."""
        return self.ossfs("umount", str(self.path), *words)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, seconds: float = 30) -> int:
        """The exit code of the process, once it has ended."""
        assert self.process is not None
        return self.process.wait(seconds)

    def again(self) -> None:
        """Unmount and mount the same once more: only what the bucket holds is left."""
        self.end()
        self.start()

    def end(self) -> None:
        """Store everything and unmount; that must succeed."""
        done = self.umount()
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert self.wait() == 0
        assert not self.is_mounted

    def clean_up(self) -> None:
        """Leave nothing behind, however the test went. Fails if the mount would not go."""
        forced = False
        if self.is_mounted and run("fusermount3", "-u", str(self.path)).returncode:
            run("umount", "-l", str(self.path))
            forced = True
        if self.process is not None and not self.has_ended:
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
                forced = True
        print(self.log)  # shown if the test has failed
        assert not forced, "the mount had to be removed by force"


def _has_key(options: tuple[str, ...]) -> bool:
    own = ("--rsa-key=", "--kms-key-id=", "--aes-key=", "--keyring=", "--encrypt=none")
    return any(option.startswith(own) for option in options)


def run(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(words, check=False)


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "ossfs", *words]


def run_command(
    words: tuple[str, ...], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """One command of ossfs from beginning to end."""
    return subprocess.run(
        command(*words),
        capture_output=True,
        text=True,
        env=dict(environment),
        cwd="/",
        timeout=60,
        check=False,
    )


def command_environment(home: Path) -> dict[str, str]:
    """PATH, directories of nobody else, and the code that the tests themselves import."""
    names = {"XDG_CONFIG_HOME": "config", "XDG_STATE_HOME": "xdg-state", "XDG_CACHE_HOME": "cache"}
    directories = {name: str(home / below) for name, below in names.items()}
    code = str(Path(ossfs.__file__).parents[1])
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": code,
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        **directories,
    }
