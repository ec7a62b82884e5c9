"""Staged files that threads move to the disk while they are written."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ossfs.errors import StagingFull
from ossfs.staging import StagingArea
from ossfs.staging.blocks import BLOCK, FULL_SPILL
from ossfs.staging.scratch import ScratchFile
from tests.staging.test_staged import MIB, Model, scratch_descriptors, written

PER_FILE = 16 * MIB


async def test_memory_stays_bounded_and_the_writer_never_spills_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_loop: set[bool] = set()
    original = ScratchFile.write

    def watched(self: ScratchFile, *arguments: Any) -> None:
        in_loop.add(trio.lowlevel.in_trio_run())
        original(self, *arguments)

    monkeypatch.setattr(ScratchFile, "write", watched)
    async with trio.open_nursery() as nursery:
        area = StagingArea(tmp_path, 64 * MIB, spawn=nursery.start_soon)
        staged = area.create()
        for index in range(32):
            await staged.settle(MIB)
            staged.pwrite(index * MIB, written(MIB, index))
            assert area.memory_bytes <= PER_FILE
            await trio.lowlevel.checkpoint()
        for index in range(32):
            assert staged.pread(index * MIB, MIB) == written(MIB, index)
        staged.close()
    assert in_loop == {False}
    assert (area.memory_bytes, area.scratch_bytes) == (0, 0)


async def test_files_written_side_by_side_share_the_memory(tmp_path: Path) -> None:
    in_flight = 3 * FULL_SPILL * BLOCK
    async with trio.open_nursery() as nursery:
        area = StagingArea(tmp_path, 16 * MIB, spawn=nursery.start_soon)
        files = [area.create() for _ in range(3)]
        for index in range(12):
            for staged in files:
                await staged.settle(MIB)
                staged.pwrite(index * MIB, written(MIB, index))
                assert area.memory_bytes <= 16 * MIB + in_flight
                await trio.lowlevel.checkpoint()
        for staged in files:
            for index in range(12):
                assert staged.pread(index * MIB, MIB) == written(MIB, index)
            staged.close()
    assert (area.memory_bytes, area.scratch_bytes) == (0, 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["write", "write", "write", "truncate", "read", "freeze", "thaw"]),
            st.integers(0, 12 * BLOCK),
            st.integers(0, 3 * BLOCK),
            st.integers(0, 3),
        ),
        max_size=25,
    )
)
def test_what_is_changed_on_its_way_to_the_disk_reads_as_a_bytearray(
    tmp_path: Path, steps: list[tuple[str, int, int, int]]
) -> None:
    async def check() -> None:
        async with trio.open_nursery() as nursery:
            area = StagingArea(tmp_path, 4 * BLOCK, spawn=nursery.start_soon)
            model = Model(area)
            for seed, (operation, first, second, turns) in enumerate(steps):
                model.apply(operation, first % 4 if operation == "thaw" else first, second, seed)
                for _ in range(turns):
                    await trio.lowlevel.checkpoint()
            model.check_and_close()
        assert (area.memory_bytes, area.scratch_bytes) == (0, 0)

    trio.run(check)


async def test_a_file_that_is_closed_on_its_way_to_the_disk_leaves_nothing(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        area = StagingArea(tmp_path, 64 * MIB, spawn=nursery.start_soon)
        staged = area.create()
        staged.pwrite(0, written(12 * MIB, 1))
        await trio.lowlevel.checkpoint()
        staged.close()
    assert (area.memory_bytes, area.scratch_bytes) == (0, 0)
    assert os.listdir(tmp_path) == []
    assert scratch_descriptors(tmp_path) == []


async def test_a_full_disk_loses_nothing_and_refuses_what_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_fd: int, _data: memoryview, _position: int) -> int:
        raise OSError(errno.ENOSPC, "made to fail")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        async with trio.open_nursery() as nursery:
            area = StagingArea(tmp_path, 64 * MIB, spawn=nursery.start_soon)
            staged = area.create()
            for index in range(16):
                await staged.settle(MIB)
                staged.pwrite(index * MIB, written(MIB, index))
                await trio.lowlevel.checkpoint()
        assert area.memory_bytes == PER_FILE
        with pytest.raises(StagingFull):
            staged.pwrite(PER_FILE, b"x")
    staged_again = b"".join(written(MIB, index) for index in range(16))
    assert staged.pread(0, PER_FILE + 1) == staged_again
    staged.close()
    assert (area.memory_bytes, area.scratch_bytes) == (0, 0)
