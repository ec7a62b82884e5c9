"""`ossfs ls` of a bucket on the embedded server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ossfs.cli import main
from ossfs.devserver import RunningServer
from tests.cli.service import ENVELOPE, put, surroundings


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    with surroundings(tmp_path, monkeypatch) as running:
        yield running


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    assert main(["ls", *words, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_each_object_tells_how_it_is_encrypted(
    server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    put(server, "a/both", b"12", x_oss_server_side_encryption="AES256", **ENVELOPE)
    put(server, "a/client", b"1", **ENVELOPE)
    put(server, "a/damaged", b"1", x_oss_meta_ossfs_format="1")
    put(server, "a/plain", b"123")
    put(server, "a/server", b"", x_oss_server_side_encryption="KMS")
    found = listed(capsys, "oss://photos/a")
    shown = [(one["url"], one["encryption"], one["sse"][:6], one["size"]) for one in found]
    assert shown == [
        ("oss://photos/a/both", "client+server", "AES256", 2),
        ("oss://photos/a/client", "client", "none", 1),
        ("oss://photos/a/damaged", "damaged", "none", 1),
        ("oss://photos/a/plain", "none", "none", 3),
        ("oss://photos/a/server", "server", found[4]["sse"][:6], 0),
    ]
    assert found[4]["sse"].startswith("KMS:")
    assert main(["ls", "oss://photos/a/"]) == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert table[0] == ["LastModified", "Size", "Encryption", "SSE", "Object"]
    assert [row[2:] for row in table[1:]] == [
        ["2", "client+server", "AES256", "oss://photos/a/both"],
        ["1", "client", "none", "oss://photos/a/client"],
        ["1", "damaged", "none", "oss://photos/a/damaged"],
        ["3", "none", "none", "oss://photos/a/plain"],
        ["0", "server", "KMS", "oss://photos/a/server"],
    ]


def test_directories_are_entered_only_on_request_and_internals_are_hidden(
    server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in (".ossfs/tags/x", "a/.ossfs/convert/y", "a/b/c", "a/b-", "a/d", "z", "\u00e4"):
        put(server, key, b"")

    def keys(*words: str) -> list[str]:
        return [one["url"].removeprefix("oss://photos/") for one in listed(capsys, *words)]

    assert keys("oss://photos") == ["a/", "z", "\u00e4"]
    assert keys("oss://photos/a") == ["a/b-", "a/b/", "a/d"]
    assert keys("oss://photos", "-r") == ["a/b-", "a/b/c", "a/d", "z", "\u00e4"]
    assert keys("oss://photos", "--recursive", "--all")[0] == ".ossfs/tags/x"
    assert keys("oss://photos/a/d") == ["a/d"]


def test_a_name_cannot_write_to_the_terminal(
    server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    put(server, "a\x1b[31m\n", b"")
    assert main(["ls", "oss://photos"]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("oss://photos/a\\x1b[31m\\n")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("oss://photos/none",), 1, "oss://photos/none does not exist"),
        (("oss://nothere",), 3, "oss://nothere: "),
        (("/proc/version",), 1, "/proc/version is not in an ossfs mount"),
    ],
)
def test_what_cannot_be_listed_is_said(
    server: RunningServer,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    assert main(["ls", *words]) == code
    assert says in capsys.readouterr().err


def test_an_empty_bucket_is_an_empty_list(
    server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert listed(capsys, "oss://photos") == []


def test_an_object_that_oss_does_not_tell_of_is_listed_all_the_same(
    server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    put(server, "a", b"1")
    put(server, "b", b"1")
    assert len(listed(capsys, "oss://photos")) == 2
    server.add_fault("op=HeadObject,times=1,code=AccessDenied")
    assert main(["ls", "oss://photos", "--json"]) == 1
    captured = capsys.readouterr()
    found = [json.loads(line)["encryption"] for line in captured.out.splitlines()]
    assert sorted(found) == ["none", "unknown"]
    assert "does not tell how 1 of it" in captured.err
