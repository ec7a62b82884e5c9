"""Programs made to find faults of file systems, from Debian: stress-ng, dbench, fio.

Collected only where it is named: `scripts/soak` does, and installs them.
"""

import os
from pathlib import Path

import pytest

from tests.fuse.mounting import Mount
from tests.fuse.programs import sh

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(1000)]

SECONDS = int(os.environ.get("OSSFS_TEST_SECONDS", "10"))
"""How long each of them works."""

SEED = int(os.environ.get("OSSFS_TEST_SEED", "1"))

STRESSORS = (
    *("access", "chdir", "chmod", "chown", "copy-file", "dentry", "dir", "dirdeep", "dirmany"),
    *("dnotify", "dup", "fallocate", "fanotify", "fcntl", "file-ioctl", "filename", "flock"),
    *("fpunch", "fstat", "getdent", "handle", "hdd", "inode-flags", "inotify", "io", "iomix"),
    *("lease", "locka", "lockf", "lockofd", "mknod", "open", "rename", "symlink", "sync-file"),
    *("touch", "utime", "xattr"),
)
"""Those of stress-ng that work on files. Without link (D1), fiemap and verity, which local file
systems alone have, and fsize, which takes its own way around fallocate for the file system's (D5).
"""


@pytest.mark.parametrize("stressor", STRESSORS)
def test_a_stressor_finds_no_fault(stressor: str, work: Path) -> None:
    script = 'stress-ng --temp-path "$1" --"$2" 2 --timeout "$3" --seed "$4" --verify >&2'
    sh(script, work, stressor, str(SECONDS), str(SEED), seconds=900)


def test_dbench_ends_well(work: Path) -> None:
    script = 'dbench -D "$1" -t "$2" -s 4 2>&1'
    assert "Throughput" in sh(script, work, str(SECONDS), seconds=900)


@pytest.mark.parametrize("pattern", ["write", "randwrite", "randrw"])
@pytest.mark.parametrize("engine", ["psync", "mmap"])
def test_fio_reads_what_it_wrote(pattern: str, engine: str, shared: Mount, work: Path) -> None:
    options = """
    --name=job --directory="$1" --rw=$2 --ioengine=$3 --size=$4m --bsrange=4k-64k --numjobs=2
    --verify=crc32c --verify_fatal=1 --end_fsync=1 --randseed=$5 --group_reporting
    """
    words = " ".join(options.split())
    arguments = (pattern, engine, str(SECONDS * 2), str(SEED))
    sh(f"fio {words} >&2", work, *arguments, seconds=900)
    shared.again()
    sh(f"fio {words} --verify_only >&2", work, *arguments, seconds=900)
