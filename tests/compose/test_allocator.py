"""Freed memory is kept: measured in a process of its own, since the setting is for good."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
from ossfs.compose.allocator import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def used(count):
    before = faults()
    for _ in range(count):
        bytearray(8 << 20), bytearray(20 << 20)
    return faults() - before

keep_freed_memory()
used(1)
print(used(10))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_a_buffer_takes_the_place_of_one_before_it_without_asking_the_kernel() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 100
