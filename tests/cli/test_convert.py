"""`ossfs convert` of objects on the embedded server."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import oss2
import pytest

import ossfs
from ossfs.cli import main
from ossfs.devserver import RunningServer
from tests.cli.service import BUCKET, plain_client, put, surroundings
from tests.keys.fakes import private_pem, public_pem, rsa_key, write_private
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:oss2.*"),
]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    with surroundings(tmp_path, monkeypatch) as running:
        yield running


@pytest.fixture
def keys(tmp_path: Path) -> list[str]:
    """Two RSA keys, as options."""
    names = ("a.pem", "b.pem")
    for number, name in enumerate(names):
        write_private(tmp_path / name, private_pem(rsa_key(number)))
    return [f"--rsa-key={tmp_path / name}" for name in names]


def converted(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    assert main(["convert", *words, "--json"]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def objects(summary: dict[str, Any]) -> list[int]:
    names = ("converted", "as-asked", "skipped", "failed")
    return [summary[name]["objects"] for name in names]


def crypto_client(server: RunningServer, number: int) -> oss2.CryptoBucket:
    pair = {
        "private_key": private_pem(rsa_key(number)).decode(),
        "public_key": public_pem(rsa_key(number)).decode(),
    }
    auth = oss2.AuthV4(server.access_key_id, server.access_key_secret)
    return oss2.CryptoBucket(
        auth, server.endpoint, BUCKET, oss2.RsaProvider(pair), region=server.region
    )


def fill(server: RunningServer, count: int = 6, prefix: str = "a/") -> dict[str, bytes]:
    contents = {
        f"{prefix}{number:02}": random.Random(number).randbytes(9) for number in range(count)
    }
    for key, content in contents.items():
        put(server, key, content, x_oss_meta_author="me")
    return contents


def test_a_plain_bucket_becomes_one_that_the_sdk_decrypts_and_a_plain_one_again(
    server: RunningServer, keys: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    contents = fill(server)
    words = (f"oss://{BUCKET}/a", *keys)
    assert objects(converted(capsys, *words, "--to", "encrypt=rsa")) == [6, 0, 0, 0]
    for key, content in contents.items():
        assert server.object_bytes(BUCKET, key) != content
        found = crypto_client(server, 0).get_object(key)
        assert (found.read(), found.headers["x-oss-meta-author"]) == (content, "me")
    assert objects(converted(capsys, *words, "--to", "encrypt=rsa")) == [0, 6, 0, 0]
    assert objects(converted(capsys, *words, "--to", "key=b.pem")) == [6, 0, 0, 0]
    for key, content in contents.items():
        assert crypto_client(server, 1).get_object(key).read() == content
    assert objects(converted(capsys, *words, "--to", "encrypt=none")) == [6, 0, 0, 0]
    assert {key: server.object_bytes(BUCKET, key) for key in contents} == contents
    assert sorted(server.keys(BUCKET)) == sorted(contents)


def test_what_the_sdk_encrypted_is_encrypted_anew_with_tags(
    server: RunningServer, keys: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    crypto_client(server, 0).put_object("a/sdk", b"by the SDK")
    words = (f"oss://{BUCKET}/a/sdk", *keys)
    assert objects(converted(capsys, *words, "--to", "encrypt=rsa,key=b.pem")) == [1, 0, 0, 0]
    assert crypto_client(server, 1).get_object("a/sdk").read() == b"by the SDK"
    assert "x-oss-meta-ossfs-head" in server.object_headers(BUCKET, "a/sdk")


def test_server_side_encryption_alone_takes_no_key(
    server: RunningServer, keys: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    put(server, "a", b"plain")
    crypto_client(server, 0).put_object("b", b"cipher")
    words = (f"oss://{BUCKET}", "--to", "sse=AES256")
    assert objects(converted(capsys, *words)) == [2, 0, 0, 0]
    assert objects(converted(capsys, *words)) == [0, 2, 0, 0]
    for key in ("a", "b"):
        headers = plain_client(server).head_object(key).headers
        assert headers["x-oss-server-side-encryption"] == "AES256"
    assert crypto_client(server, 0).get_object("b").read() == b"cipher"


def test_a_dry_run_lists_what_would_change(
    server: RunningServer, keys: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    contents = fill(server, 2)
    before = len(server.requests.all())
    words = ["convert", f"oss://{BUCKET}/a/", "--to", "encrypt=rsa", *keys, "--dry-run"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split() for line in lines[:2]) == [
        ["content", "9", f"oss://{BUCKET}/{key}"] for key in contents
    ]
    assert lines[2].startswith("2 would be converted (18 bytes; content of 2, ")
    operations = {record.operation for record in server.requests.all()[before:]}
    assert operations <= {"GetBucketInfo", "HeadObject", "ListObjectsV2"}


def test_a_report_has_every_object_that_was_not_as_asked(
    server: RunningServer, keys: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fill(server, 2)
    put(server, "a/d/", b"")
    put(server, "a/x", b"", x_oss_meta_ossfs_format="1")
    report = tmp_path / "report"
    words = ("--to", "encrypt=rsa,sse=AES256", *keys, "--report", str(report))
    assert main(["convert", f"oss://{BUCKET}", *words]) == 7
    captured = capsys.readouterr()
    assert f"ossfs: oss://{BUCKET}/a/x: " in captured.err
    assert "1 could not be converted" in captured.err
    assert captured.out == (
        "2 converted (18 bytes; content of 2, server-side encryption alone of 0), "
        "0 as asked already, 1 skipped, 1 failed\n"
    )
    *lines, last = [json.loads(line) for line in report.read_text().splitlines()]
    shown = {line["url"].removeprefix(f"oss://{BUCKET}/"): line["result"] for line in lines}
    assert shown == {"a/00": "converted", "a/01": "converted", "a/d/": "skipped", "a/x": "failed"}
    assert objects(last["summary"]) == [2, 0, 1, 1]


def test_an_object_whose_key_is_not_here_is_exit_code_4_and_the_others_go_on(
    server: RunningServer, keys: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    crypto_client(server, 1).put_object("theirs", b"x")
    put(server, "ours", b"x")
    words = (f"oss://{BUCKET}", "--to", "encrypt=none")
    assert main(["convert", *words, "--json"]) == 4
    captured = capsys.readouterr()
    assert "theirs: no key here has the wrap-alg" in captured.err
    assert objects(json.loads(captured.out)) == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "say what to convert to"),
        (("--to", "rsa"), 2, "unknown part 'rsa'"),
        (("--to", "encrypt=rsa"), 2, "--encrypt rsa needs a key"),
        (("--to", "key=x"), 4, "there is no key named x; keys here: none"),
        (("--to", "policy"), 2, "no key is given"),
        (("--to", "encrypt=none", "--jobs", "0"), 2, "is not a number from 1 to 64"),
        (("--to", "encrypt=none", "--report", "/nowhere/x"), 2, "/nowhere/x cannot be written"),
        (("--to", "encrypt=none", "--uid", "1"), 2, "unknown option --uid"),
    ],
)
def test_mistakes_are_one_line(
    server: RunningServer,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    assert main(["convert", f"oss://{BUCKET}", *words]) == code
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.err.count("\n") == 1


def test_a_public_key_alone_does_not_convert(
    server: RunningServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pub.pem").write_bytes(public_pem(rsa_key(0)))
    words = ("--to", "encrypt=rsa", f"--rsa-key={tmp_path / 'pub.pem'}")
    assert main(["convert", f"oss://{BUCKET}", *words]) == 4
    assert "pub.pem is a public key" in capsys.readouterr().err


def test_names_that_nothing_has_are_said(
    server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    for url, code in ((f"oss://{BUCKET}/none", 1), ("oss://nothere", 3), ("/proc/version", 1)):
        assert main(["convert", url, "--to", "encrypt=none"]) == code


def test_one_key_of_the_kms_to_another(
    server: RunningServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = fill(server, 2)
    server.create_key("alias/one")
    server.create_key("alias/two")
    ring = tmp_path / "ring.toml"
    ring.write_text(
        'active = "one"\n[key.one]\nkind = "kms"\nkey-id = "alias/one"\n'
        '[key.two]\nkind = "kms"\nkey-id = "alias/two"\n'
    )
    words = (f"oss://{BUCKET}/a", f"--keyring={ring}", f"--kms-endpoint={server.kms_endpoint}")
    assert objects(converted(capsys, *words, "--to", "policy")) == [2, 0, 0, 0]
    assert objects(converted(capsys, *words, "--to", "encrypt=kms")) == [0, 2, 0, 0]
    assert objects(converted(capsys, *words, "--to", "key=two")) == [2, 0, 0, 0]
    assert objects(converted(capsys, *words, "--to", "key=two")) == [0, 2, 0, 0]
    assert objects(converted(capsys, *words, "--to", "encrypt=none")) == [2, 0, 0, 0]
    assert {key: server.object_bytes(BUCKET, key) for key in contents} == contents


def test_each_path_becomes_what_the_configuration_says_of_it(
    server: RunningServer, keys: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("letters/a", "letters/old/b", "public/c", "other"):
        put(server, f"team/{name}", name.encode())
    config = tmp_path / "config.toml"
    config.write_text(
        'rsa-key = ["a.pem", "b.pem"]\nsse = "AES256"\n'
        '[[policy]]\nglob = "letters"\nkey = "b.pem"\nsse = "none"\n'
        '[[policy]]\nglob = "/letters/old"\nkey = "a.pem"\n'
        '[[policy]]\nglob = "public"\nencrypt = "none"\n'
    )
    words = (f"oss://{BUCKET}/team/", "--to", "policy", "--config", str(config))
    assert objects(converted(capsys, *words)) == [4, 0, 0, 0]
    assert crypto_client(server, 1).get_object("team/letters/a").read() == b"letters/a"
    assert crypto_client(server, 0).get_object("team/letters/old/b").read() == b"letters/old/b"
    public = plain_client(server).get_object("team/public/c")
    assert public.read() == b"public/c"
    assert public.headers["x-oss-server-side-encryption"] == "AES256"
    assert crypto_client(server, 0).get_object("team/other").read() == b"other"
    assert objects(converted(capsys, *words)) == [0, 4, 0, 0]


def command(*words: str) -> "subprocess.Popen[str]":
    code = str(Path(ossfs.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-m", "ossfs", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": code},
    )


def wait_for_copies(server: RunningServer, count: int) -> None:
    wait_until(lambda: sum(r.operation == "CopyObject" for r in server.requests.all()) >= count)


@pytest.mark.parametrize(("number", "copies"), [(signal.SIGKILL, 3), (signal.SIGINT, 5)])
def test_a_run_that_is_ended_leaves_whole_objects_and_the_next_one_finishes(
    server: RunningServer,
    keys: list[str],
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
    copies: int,
) -> None:
    contents = fill(server, 30)
    words = (f"oss://{BUCKET}/a/", "--to", "encrypt=rsa", *keys)
    server.add_fault("op=PutObject,delay=20")
    process = command("convert", *words, "--jobs", "3")
    wait_for_copies(server, copies)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    server.clear_faults()
    if number is signal.SIGINT:
        assert (process.returncode, err) == (130, "")
        assert "converted (" in out
        assert "told to stop" in out
        assert [key for key in server.keys(BUCKET) if "/.ossfs/" in key] == []
    for key, content in contents.items():
        assert crypto_client(server, 0).get_object(key).read() == content
    done, already, skipped, failed = objects(converted(capsys, *words))
    assert (skipped, failed, done + already) == (0, 0, 30)
    assert copies - 3 <= already < 30
    for key, content in contents.items():
        assert server.object_bytes(BUCKET, key) != content
        assert crypto_client(server, 0).get_object(key).read() == content
