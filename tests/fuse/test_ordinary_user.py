"""A mount made by an ordinary user, with and without others in it.

Its process has a mount namespace of its own. There /etc/fuse.conf permits allow_other, /dev/fuse is
open to all as it usually is, and the interpreter can be reached, which often stands below the home
directory of who runs the tests.
"""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import ossfs
from tests.fuse.mounting import MOUNTED, Place, command_environment
from tests.fuse.oss import Bucket
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.fuse,
    pytest.mark.skipif(os.geteuid() != 0, reason="the tests run as an ordinary user themselves"),
]

USER, OTHER, GROUP = 65534, 1002, 1003
"""The first is nobody: fusermount3 serves only those who have a name."""
PREPARE = """
mount --bind "$1" /etc/fuse.conf
mount -t tmpfs none /mnt
mknod -m 666 /mnt/fuse c 10 229
mount --bind /mnt/fuse /dev/fuse
mkdir -p /mnt/python /mnt/libraries /mnt/code/ossfs
mount --bind "$2" /mnt/python
mount --bind "$3" /mnt/libraries
mount --bind "$4" /mnt/code/ossfs
shift 4
exec "$@"
"""


def as_user(user: int, *groups: int) -> list[str]:
    extra = f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups"
    return ["setpriv", f"--reuid={user}", f"--regid={user}", extra, "--"]


class Ordinary:
    """One mount of *bucket* by USER."""

    def __init__(self, folder: Path, place: Place, bucket: Bucket, *options: str) -> None:
        folder.chmod(0o755)
        home, self.path, self._log = folder / "home", folder / "mnt", folder / "log"
        for made in (home, self.path):
            made.mkdir()
            os.chown(made, USER, USER)
        key = home / "key.pem"
        key.write_bytes(place.key.read_bytes())
        key.chmod(0o600)
        os.chown(key, USER, USER)
        conf = folder / "fuse.conf"
        conf.write_text("user_allow_other\n")
        prefix = Path(sys.base_prefix).resolve()
        self.environment = command_environment(home) | dict(bucket.oss.environment())
        self.environment["PYTHONPATH"] = "/mnt/code:/mnt/libraries"
        self.environment["LD_LIBRARY_PATH"] = "/mnt/python/lib"
        python = f"/mnt/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
        words = [python, "-m", "ossfs", "mount", f"oss://{bucket.name}", str(self.path)]
        words += [f"--rsa-key={key}", "--foreground", *options]
        shown = (conf, prefix, sysconfig.get_path("purelib"), Path(ossfs.__file__).parent)
        prepare = ["sh", "-euc", PREPARE, "sh", *map(str, shown)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", *prepare, *as_user(USER), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd="/",
            )
        wait_until(lambda: MOUNTED in self.log or self.process.poll() is not None)
        assert self.process.poll() is None, self.log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def sh(self, script: str, user: int, *groups: int) -> str:
        """What a script prints that runs in the mount as *user*, errors too."""
        words = ["bash", "-c", script]
        space = ["nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt", f"--wd={self.path.parent}"]
        done = subprocess.run(
            [*space, *as_user(user, *groups), "env", "-C", str(self.path), *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout + done.stderr

    def end(self) -> int:
        """Ends as a signal ends it; returns the exit code."""
        self.process.terminate()
        return self.process.wait(30)


@pytest.fixture
def made(open_to_all: Path) -> Iterator[list[Ordinary]]:
    mounts: list[Ordinary] = []
    yield mounts
    for one in mounts:
        assert one.end() == 0
        print(one.log)


def test_others_may_do_in_the_mount_of_an_ordinary_user_what_the_bits_say(
    open_to_all: Path, place: Place, bucket: Bucket, made: list[Ordinary]
) -> None:
    one = Ordinary(open_to_all, place, bucket, "--allow-other")
    made.append(one)
    assert one.sh("umask 027; echo mine >f; mkdir d; chmod 1777 .; cat f", USER) == "mine\n"
    assert "Permission denied" in one.sh("cat f", OTHER)
    assert "Permission denied" in one.sh("ls d", OTHER)
    assert one.sh("cat f", OTHER, USER) == "mine\n"  # by a supplementary group
    assert "Permission denied" in one.sh("echo x >>f", OTHER, USER)
    # Of a sticky directory nobody removes what is another's.
    assert one.sh("umask 077; echo theirs >g; stat -c '%u %g %a' g", OTHER) == "1002 1002 600\n"
    assert "not permitted" in one.sh("rm -f f", OTHER)
    assert "Permission denied" in one.sh("cat g", USER)
    # Its own process answers for root as for anybody, who may do everything.
    assert one.sh("cat g; echo root >h; chown 65534:1003 h; stat -c '%u %g' h", 0) == (
        "theirs\n65534 1003\n"
    )
    assert "not permitted" in one.sh("chown 1002 f", USER)
    script = "chgrp 1003 f; chmod 2770 d; chgrp 1003 d; touch d/x; stat -c %g f d/x"
    assert one.sh(script, USER, GROUP) == "1003\n1003\n"
    assert set(bucket.keys_below()) == {"d/", "d/x", "f", "g", "h"}


def test_nobody_else_enters_the_mount_of_an_ordinary_user_unless_allowed(
    open_to_all: Path, place: Place, bucket: Bucket, made: list[Ordinary]
) -> None:
    one = Ordinary(open_to_all, place, bucket, "--kernel-writeback", "--list-attrs=fast")
    made.append(one)
    assert one.sh("echo mine >f; echo more >>f; mkdir d; chmod 777 . f; ls; cat f", USER) == (
        "d\nf\nmine\nmore\n"
    )
    for other in (OTHER, 0):
        assert "Permission denied" in one.sh("cat f", other)
    assert len(bucket.stored("f")) == 10
