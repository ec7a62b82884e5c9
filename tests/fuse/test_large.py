"""Files that are larger than the memory for them."""

import os
from pathlib import Path

import pytest

from tests.fuse.conftest import MakeMount
from tests.fuse.oss import Bucket
from tests.fuse.programs import sh

pytestmark = pytest.mark.fuse

MIB = int(os.environ.get("OSSFS_TEST_LARGE_MIB", "300"))
"""1024 in long campaigns."""

MEMORY_MIB = 64
CONSTANT_MIB = 150
"""What Python, its libraries and the buffers of the connections take beside --memory."""


def peak_mib(process: int) -> float:
    """The most memory that a process ever had resident."""
    status = Path(f"/proc/{process}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


@pytest.mark.timeout(300)
def test_a_large_file_reads_back_the_same_within_the_memory_that_was_granted(
    bucket: Bucket, mount: MakeMount
) -> None:
    one = mount(bucket, f"--memory={MEMORY_MIB}MiB")
    script = """
    dd if=/dev/urandom bs=1M count=$2 iflag=fullblock status=none |
        tee >(sha256sum >"$3") | dd of="$1"/large bs=1M iflag=fullblock status=none
    """
    sums = one.home / "sum"
    sh(script, one.path, str(MIB), sums)
    assert (one.path / "large").stat().st_size == MIB << 20
    written = peak_mib(one.pid)
    one.again()
    assert sh('dd if="$1"/large bs=1M status=none | sha256sum', one.path) == sums.read_text()
    peaks = (written, peak_mib(one.pid))
    print(f"peaks of writing and reading: {peaks} MiB")
    assert max(peaks) < MEMORY_MIB + CONSTANT_MIB
