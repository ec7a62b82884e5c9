"""`ossfs stat` of objects on the embedded server, and of paths that are in no mount."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import oss2
import pytest

from ossfs.cli import main
from ossfs.devserver import RunningServer
from tests.cli.service import plain_client, put, surroundings


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    with surroundings(tmp_path, monkeypatch) as running:
        yield running


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main(["stat", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_object_is_shown_as_ossutil_shows_it(
    server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    crc = oss2.utils.Crc64()
    crc.update(b"hello")
    put(server, "a/note.txt", b"hello", Content_Type="text/plain", x_oss_meta_author="me")
    assert main(["stat", "oss://photos/a/note.txt"]) == 0
    lines = dict(
        re.split(r"\s*: ", line, maxsplit=1)
        for line in capsys.readouterr().out.splitlines()
        if line
    )
    assert (lines.pop("ACL"), lines.pop("Owner")) == ("default", "1000000000000001")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} \w+", lines.pop("Last-Modified"))
    assert lines == {
        "Accept-Ranges": "bytes",
        "Content-Length": "5",
        "Content-Md5": "XUFAKrxLKna5cZ2REBfFkg==",
        "Content-Type": "text/plain",
        "Etag": "5D41402ABC4B2A76B9719D911017C592",
        "X-Oss-Hash-Crc64ecma": str(crc.crc),
        "X-Oss-Meta-Author": "me",
        "X-Oss-Object-Type": "Normal",
        "X-Oss-Storage-Class": "Standard",
        "Object": "oss://photos/a/note.txt",
        "Encryption": "none",
        "Sse": "none",
    }


SHOWN = """\
ACL                         : default
Accept-Ranges               : bytes
Content-Length              : 62
Content-Md5                 : RPE+wEeYmxV+qzO450NqZA==
Content-Type                : text/plain
Etag                        : 44F13EC047989B157EAB33B8E7436A64
Last-Modified               : 0000-00-00 00:00:00 +0800 CST
Owner                       : 1000000000000001
X-Oss-Hash-Crc64ecma        : 8622470724976508843
X-Oss-Object-Type           : Normal
X-Oss-Server-Side-Encryption: AES256
X-Oss-Storage-Class         : Standard

Object                      : oss://photos/01.txt
"""


def test_the_lines_of_ossutil_come_in_its_order_before_and_after_encryption(
    server: RunningServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()

    def shown() -> str:
        assert main(["stat", "oss://photos/01.txt"]) == 0
        moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
        return re.sub(moment, "0000-00-00 00:00:00", capsys.readouterr().out)

    put(server, "01.txt", b"0123456789" * 6 + b"ab", Content_Type="text/plain")
    before = re.sub("X-Oss-Server-Side-Encryption.*\n", "", SHOWN)
    block = "Encryption                  : {}\nSse                         : {}\n"
    assert shown() == before + block.format("none", "none")
    changes = {"x-oss-server-side-encryption": "AES256", "content-type": "text/plain"}
    plain_client(server).update_object_meta("01.txt", changes)
    assert shown() == SHOWN + block.format("server", "AES256")
    monkeypatch.undo()
    time.tzset()


def test_without_permission_for_the_acl_its_lines_are_left_out(
    server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    put(server, "a", b"x")
    server.add_fault("op=GetObjectA*,code=AccessDenied")
    shown = printed(capsys, "oss://photos/a")
    assert not {"ACL", "Owner"} & set(shown["headers"])
    assert shown["encryption"]["encryption"] == "none"


def test_server_side_encryption_is_shown(
    server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    put(server, "a", b"x", x_oss_server_side_encryption="AES256")
    shown = printed(capsys, "oss://photos/a")
    assert shown["headers"]["X-Oss-Server-Side-Encryption"] == "AES256"
    assert shown["encryption"] == {"encryption": "server", "sse": "AES256"}


def test_an_envelope_is_shown_without_any_key(
    server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    envelope = {
        "key": "AAAA",
        "start": "AAAA",
        "cek-alg": "AES/CTR/NoPadding",
        "wrap-alg": "RSA/NONE/PKCS1Padding",
        "matdesc": '{"b":"2","a":"1"}',
        "unencrypted-content-length": "1",
    }
    headers = {f"x-oss-meta-client-side-encryption-{name}": text for name, text in envelope.items()}
    put(server, "a", b"x", **headers)
    assert printed(capsys, "oss://photos/a")["encryption"] == {
        "encryption": "client",
        "cek-alg": "AES/CTR/NoPadding",
        "wrap-alg": "RSA/NONE/PKCS1Padding",
        "master-key": '{"a":"1","b":"2"}',
        "integrity": "none",
        "sse": "none",
    }


def test_a_damaged_envelope_is_called_so(
    server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    put(server, "a", b"x", x_oss_meta_ossfs_format="1")
    assert printed(capsys, "oss://photos/a")["encryption"]["encryption"] == "damaged"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("oss://photos/none",), 1, "oss://photos/none does not exist"),
        (("oss://nothere/a",), 3, "oss://nothere/a: "),
        (("oss://photos",), 2, "oss://photos: names a bucket; an object is oss://BUCKET/KEY"),
        (("oss://photos/a", "--rsa-key", "x"), 2, "unknown option --rsa-key"),
        (("oss://photos/a", "--endpoint", "http://127.0.0.1:1", "--retries", "0"), 3, "127.0.0.1"),
        (("/proc/version",), 1, "/proc/version is not in an ossfs mount"),
        (("/does/not/exist",), 1, "/does/not/exist: No such file or directory"),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_line(
    server: RunningServer,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    assert main(["stat", *words]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("ossfs: ")
    assert says in captured.err
    assert captured.err.count("\n") == 1


def test_a_wrong_secret_and_missing_credentials_are_exit_code_3(
    server: RunningServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(server, "a", b"x")
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", "wrong")
    assert main(["stat", "oss://photos/a"]) == 3
    monkeypatch.delenv("OSS_ACCESS_KEY_SECRET")
    assert main(["stat", "oss://photos/a"]) == 3
    assert "wrong" not in capsys.readouterr().err
