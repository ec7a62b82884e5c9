"""`ossfs bucket-encryption` on the embedded server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ossfs.cli import main
from ossfs.devserver import RunningServer
from tests.cli.service import plain_client, put, surroundings


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    with surroundings(tmp_path, monkeypatch) as running:
        yield running


def got(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["bucket-encryption", "get", "photos", *words]) == 0
    return capsys.readouterr().out.strip()


def test_a_rule_is_set_shown_and_deleted(
    server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert got(capsys) == "none"
    assert got(capsys, "--json") == "null"
    assert main(["bucket-encryption", "set", "oss://photos", "--sse", "AES256"]) == 0
    assert got(capsys) == "AES256"
    put(server, "a", b"x")
    headers = plain_client(server).head_object("a").headers
    assert headers["x-oss-server-side-encryption"] == "AES256"
    key = server.create_key()
    words = ("--sse", "KMS", "--sse-kms-key-id", key)
    assert main(["bucket-encryption", "set", "photos", *words]) == 0
    assert got(capsys) == f"KMS:{key}"
    assert json.loads(got(capsys, "--json")) == {"sse": "KMS", "sse-kms-key-id": key}
    rule = plain_client(server).get_bucket_encryption()
    assert (rule.sse_algorithm, rule.kms_master_keyid) == ("KMS", key)
    assert main(["bucket-encryption", "delete", "photos"]) == 0
    assert main(["bucket-encryption", "delete", "photos"]) == 0
    assert got(capsys) == "none"


def test_version_1_of_the_signature_covers_it(
    server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert got(capsys, "--signature", "v1") == "none"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("set", "photos"), 2, "--sse AES256 or KMS"),
        (("set", "photos", "--sse", "AES256", "--sse-kms-key-id", "k"), 2, "goes with --sse KMS"),
        (("get", "photos", "--sse", "KMS"), 2, "go with set, not with get"),
        (("get", "oss://photos/a"), 2, "not of a prefix"),
        (("get", "Photos"), 2, "is not a bucket name"),
        (("get", "nothere"), 3, "oss://nothere: "),
        (("wipe", "photos"), 2, "wipe"),
    ],
)
def test_mistakes_are_one_line(
    server: RunningServer,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    assert main(["bucket-encryption", *words]) == code
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.err.count("\n") == 1
