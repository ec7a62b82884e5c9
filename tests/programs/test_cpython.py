"""Python's own tests of files pass on a mount, but for the cases that the docs excuse."""

import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.fuse.mounting import Mount
from tests.programs.cpython import EXCUSED, MODULES, Outcome, run_module

PAGE = Path(__file__).parents[2] / "docs" / "semantics.md"

SHORT = (
    *("test_os", "test_pathlib", "test_shutil", "test_glob", "test_sqlite3", "test_dbm"),
    *("test_tempfile", "test_mmap", "test_posix", "test_fileio"),
)
"""The longest first. The others, and what is left out here, run in scripts/soak."""

LONG_CASES = ("*LargeMmapTests*", "*many_open_files*", "test.test_pathlib.PathTest.*")
"""They write files of six gigabytes, walk thousands of times, and do what PosixPathTest does."""


def run_in(work: Path, module: str) -> Outcome:
    top = work / module
    top.mkdir()
    return run_module(module, top, without=LONG_CASES)


@pytest.mark.fuse
@pytest.mark.timeout(400)
def test_python_finds_no_fault_with_the_mount(shared: Mount, work: Path) -> None:
    with ThreadPoolExecutor(max_workers=3) as threads:
        outcomes = threads.map(partial(run_in, work), SHORT)
    for module, outcome in zip(SHORT, outcomes, strict=True):
        assert outcome.status == 0, outcome.output[-20_000:]
        assert not outcome.failed
        assert outcome.count > 0, f"{module}: {outcome.output}"


def test_the_docs_excuse_those_cases_that_are_left_out_and_no_other() -> None:
    page = PAGE.read_text()
    lines = re.findall(r"^- \*\*(D\d+|Python)\*\* excuses ((?:`[\w.]+`,?\s*)+)", page, re.MULTILINE)
    listed = {name: number for number, names in lines for name in names.split("`")[1::2]}
    assert listed == EXCUSED
    assert len(listed) <= 30
    assert {name.split(".")[1] for name in listed} <= set(MODULES)
    assert set(SHORT) <= set(MODULES)
