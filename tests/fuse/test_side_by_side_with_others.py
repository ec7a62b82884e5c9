"""Random work that two mounts and an SDK share, with remounts and crashes, beside a local disk.

Only one of them works at a time, and closes what it has opened, so that a local file system is the
model of all: what one of them acknowledged is what the next one finds.
"""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import oss2
import pytest

from tests.fuse.beside import Pair, tree
from tests.fuse.conftest import MakeMount
from tests.fuse.mounting import Mount, Place
from tests.fuse.oss import Bucket
from tests.fuse.sdks import Sdk, oss2_sdk
from tests.fuse.test_side_by_side import OPERATIONS, SEED
from tests.waiting import wait_until

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(7200)]

NEVER_TRUSTED = ("--attr-ttl=0", "--negative-ttl=0", "--log-names")
AT_ONCE = 30
"""So many operations before somebody else goes on."""
TOP = "top"


class Company:
    """Two mounts and an SDK on one bucket, and a local directory that must be like it."""

    def __init__(self, local: Path, mounts: list[Mount], sdk: Sdk, seed: int) -> None:
        self.local = local
        self.mounts = mounts
        self.sdk = sdk
        self.chance = random.Random(seed)
        self.current = mounts[0]
        self.done: list[str] = []

    def work(self) -> None:
        """Some operations through the current mount; acknowledged and stored in the end."""
        pair = Pair(self.local, self.current.path / TOP, self.chance)
        pair.done = self.done
        try:
            for _ in range(AT_ONCE):
                pair.step()
        finally:
            pair.close_all()
        path = self.current.path
        wait_until(lambda: os.getxattr(path, "user.ossfs.pending") == b"0")

    def compare(self) -> None:
        expected = tree(self.local)
        for mount in self.mounts:
            assert tree(mount.path / TOP) == expected, (mount.path, self.done[-AT_ONCE:])

    # --- what comes in between ----------------------------------------------------------------

    def go_on_with_the_other_mount(self) -> None:
        self.current = next(one for one in self.mounts if one is not self.current)

    def mount_again(self) -> None:
        self.current.again()

    def kill_and_mount_again(self) -> None:
        one = self.current
        one.signal(signal.SIGKILL)
        assert one.wait() == -signal.SIGKILL
        assert one.umount().returncode == 0
        one.start()

    def ask_to_end_and_mount_again(self) -> None:
        self.current.signal(signal.SIGTERM)
        assert self.current.wait() == 0
        self.current.start()

    def let_the_sdk_replace_a_file(self) -> None:
        path = self.chance.choice([*self.files(), self.local / "sdk"])
        if path.is_dir():
            return
        content = self.chance.randbytes(self.chance.choice((0, 1, 5000, 100_000)))
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        path.chmod(0o644)
        self.sdk.put(self.key(path), content)

    def let_the_sdk_read_all(self) -> None:
        for path in self.files():
            assert self.sdk.get(self.key(path), None, None) == path.read_bytes()

    def let_the_sdk_remove_a_file(self) -> None:
        if files := self.files():
            path = self.chance.choice(files)
            path.unlink()
            self.current.bucket.delete(self.key(path))

    def key(self, path: Path) -> str:
        return f"{TOP}/{path.relative_to(self.local)}"

    def files(self) -> list[Path]:
        found = sorted(self.local.rglob("*"))
        return [path for path in found if path.is_file() and not path.is_symlink()]


@pytest.fixture
def company(place: Place, bucket: Bucket, mount: MakeMount, tmp_path: Path) -> Company:
    mounts = [mount(bucket, *NEVER_TRUSTED), mount(bucket, *NEVER_TRUSTED)]
    pair = {"private_key": place.key.read_text(), "public_key": place.public_key.read_text()}
    sdk = oss2_sdk("oss2", "pkcs1", bucket, oss2.RsaProvider(key_pair=pair))
    for folder in (tmp_path, mounts[0].path):
        (folder / TOP).mkdir()
    return Company(tmp_path / TOP, mounts, sdk, SEED)


def test_whoever_goes_on_finds_what_the_last_one_left(company: Company) -> None:
    events: list[Callable[[], None]] = [
        *(company.go_on_with_the_other_mount, company.go_on_with_the_other_mount),
        *(company.mount_again, company.kill_and_mount_again, company.ask_to_end_and_mount_again),
        *(company.let_the_sdk_replace_a_file, company.let_the_sdk_read_all),
        company.let_the_sdk_remove_a_file,
    ]
    for _ in range(max(1, OPERATIONS // (AT_ONCE * len(events)))):
        company.chance.shuffle(events)
        for event in events:
            company.work()
            company.done.append(event.__name__)
            event()
            company.compare()
