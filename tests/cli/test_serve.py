"""The embedded OSS as a command: what it says once it listens, and how it ends."""

import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import oss2
import pytest

from ossfs.cli import main


@contextmanager
def serving(root: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """The running command and what it said; killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ossfs", "serve", "--root", str(root), *words],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process, process.stdout:
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def bucket(said: Any, name: str) -> Any:
    auth = oss2.AuthV4(said["access_key_id"], said["access_key_secret"])
    return oss2.Bucket(auth, said["endpoint"], name, region=said["region"], is_path_style=True)


def test_it_says_how_to_reach_it_and_answers(tmp_path: Path) -> None:
    with serving(tmp_path / "root", "--buckets", "one-a,two-b") as (_, said):
        assert set(said) == {
            "endpoint",
            "kms_endpoint",
            "region",
            "access_key_id",
            "access_key_secret",
            "buckets",
        }
        assert said["endpoint"].startswith("http://127.0.0.1:")
        assert said["kms_endpoint"].startswith("http://127.0.0.1:")
        assert said["kms_endpoint"] != said["endpoint"]
        assert said["region"] == "cn-hangzhou"
        assert said["buckets"] == ["one-a", "two-b"]
        assert len(said["access_key_secret"]) >= 24
        bucket(said, "one-a").put_object("key", b"value")
        assert bucket(said, "one-a").get_object("key").read() == b"value"


def test_data_lasts_across_restarts_and_given_credentials_hold(tmp_path: Path) -> None:
    words = ("--access-key-id", "me", "--access-key-secret", "secret", "--buckets", "one-a")
    with serving(tmp_path / "root", *words) as (_, said):
        bucket(said, "one-a").put_object("key", b"value")
    with serving(tmp_path / "root", *words) as (_, said):
        assert (said["access_key_id"], said["access_key_secret"]) == ("me", "secret")
        assert bucket(said, "one-a").get_object("key").read() == b"value"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_well_when_told_to(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path / "root") as (process, _):
        process.send_signal(number)
        assert process.wait(timeout=20) == 0


def test_the_ready_file_says_the_same_and_is_for_the_owner_alone(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    with serving(tmp_path / "root", "--ready-file", str(ready)) as (_, said):
        assert json.loads(ready.read_text()) == said
        assert stat.S_IMODE(ready.stat().st_mode) == 0o600
    assert os.listdir(tmp_path).count("ready") == 1


def test_it_is_as_slow_and_as_faulty_as_asked(tmp_path: Path) -> None:
    words = ("--latency", "150", "--fault", "op=GetObject,times=1,code=NoSuchKey")
    with serving(tmp_path / "root", "--buckets", "one-a", *words) as (_, said):
        bucket(said, "one-a").put_object("key", b"value")
        before = time.monotonic()
        with pytest.raises(oss2.exceptions.NoSuchKey):
            bucket(said, "one-a").get_object("key")
        assert time.monotonic() - before >= 0.15
        assert bucket(said, "one-a").get_object("key").read() == b"value"


def test_its_kms_is_where_and_as_slow_and_as_faulty_as_asked(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    words = ("--kms-port", str(port), "--kms-latency", "150", "--kms-fault", "times=1,status=429")
    with serving(tmp_path / "root", *words) as (_, said):
        assert said["kms_endpoint"] == f"http://127.0.0.1:{port}"
        first, second = httpx.get(said["kms_endpoint"]), httpx.get(said["kms_endpoint"])
        assert (first.status_code, first.json()["Code"]) == (429, "Rejected.Throttling")
        assert (second.status_code, second.json()["Code"]) == (400, "MissingParameter")
        assert first.elapsed.total_seconds() >= 0.15


def test_it_speaks_tls_and_says_whom_to_trust(tmp_path: Path) -> None:
    with serving(tmp_path / "root", "--tls", "--tls-max", "1.2") as (_, said):
        trusted = Path(said["ca_bundle"])
        assert trusted.is_absolute()
        context = ssl.create_default_context(cafile=trusted)
        for endpoint in (said["endpoint"], said["kms_endpoint"]):
            assert endpoint.startswith("https://127.0.0.1:")
            assert httpx.get(endpoint, verify=context).status_code in {400, 403}
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        with pytest.raises(httpx.ConnectError):
            httpx.get(said["endpoint"], verify=context)
    server_file = str(trusted.with_name("server.pem"))
    with serving(tmp_path / "other", "--tls-cert", server_file) as (_, said):
        assert "ca_bundle" not in said
        context = ssl.create_default_context(cafile=trusted)
        assert httpx.get(said["endpoint"], verify=context).status_code == 403


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--tls-key", "k"), "--tls-key: needs --tls-cert"),
        (("--tls-max", "1.2"), "--tls-max: needs --tls or --tls-cert"),
        (("--tls-cert", "/dev/null"), "/dev/null and /dev/null are no certificate"),
    ],
)
def test_options_of_tls_that_make_no_sense_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    assert main(["serve", "--root", str(tmp_path / "root"), *words]) == 2
    assert capsys.readouterr().err.startswith(f"ossfs: {message}")


def test_a_root_in_use_and_a_port_in_use_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(tmp_path / "root") as (_, said):
        assert main(["serve", "--root", str(tmp_path / "root")]) == 1
        port = said["endpoint"].rpartition(":")[2]
        assert main(["serve", "--root", str(tmp_path / "other"), "--port", port]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"ossfs: cannot serve {tmp_path}/root at 127.0.0.1")
    assert "in use" in lines[1]
