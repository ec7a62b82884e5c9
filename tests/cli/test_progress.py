"""The bar of long commands, and what stands on stderr without one."""

import pytest

from ossfs.cli.progress import shown
from ossfs.cli.progress_bar import shown_bar


def test_without_a_terminal_there_are_lines_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with shown("convert") as progress:
        assert not progress.wants_total
        progress.total(2, 10)
        progress.advance(5)
        progress.say("oss://b/a\x1b[31m: no")
    assert capsys.readouterr().err == "ossfs: oss://b/a\\x1b[31m: no\n"


def test_the_bar_counts_objects_and_bytes_and_takes_no_name_for_markup(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with shown_bar("convert") as bar:
        assert bar.wants_total
        bar.total(4, 4 << 20)
        bar.say("oss://b/[bold]a[/]: no")
        bar.advance(1 << 20)
        bar.advance(2 << 20)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "ossfs: oss://b/[bold]a[/]: no\n" in captured.err
    assert "2/4 objects" in captured.err
    assert "3.0/4.0 MiB" in captured.err
