"""The links by which mount(8) finds this program."""

import sys
from pathlib import Path

import pytest

from ossfs.cli import main


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "bin" / "ossfs"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(path)])
    return path


def test_both_types_get_a_link_to_the_program_and_again(tmp_path: Path, program: Path) -> None:
    folder = tmp_path / "sbin"
    folder.mkdir()
    for _ in range(2):
        assert main(["install-helper", "--folder", str(folder)]) == 0
        for name in ("mount.ossfs", "mount.fuse.ossfs"):
            assert (folder / name).readlink() == program


def test_a_file_that_is_no_link_stays(
    tmp_path: Path, program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mount.ossfs").write_text("other")
    assert main(["install-helper", "--folder", str(tmp_path)]) == 1
    assert "exists and is not a link" in capsys.readouterr().err
    assert (tmp_path / "mount.ossfs").read_text() == "other"


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install-helper", "--folder", str(tmp_path / "none")]) == 1
    assert f"{tmp_path}/none/mount.ossfs cannot be made" in capsys.readouterr().err
