"""Data outlives the server, however it ends."""

import contextlib
import hashlib
import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import oss2
import pytest

from ossfs.devserver import RunningServer
from ossfs.errors import UsageError
from tests.devserver.clients import Clients, settings

SERVE = """
import json, sys
from pathlib import Path
import trio
from ossfs.devserver import Credential, ServerConfig, serve

async def main():
    config = ServerConfig(
        root=Path(sys.argv[1]), credentials={"test-id": Credential(secret="test-secret")}
    )
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, config)
        server.create_bucket("bkt")
        print(json.dumps(server.endpoint), flush=True)

trio.run(main)
"""


def body_of(number: int) -> bytes:
    """A body that says what it is, of up to a few hundred kilobytes."""
    return hashlib.sha256(str(number).encode()).digest() * (1 + number * 997 % 9000)


def put_until_cut(endpoint: str, worker: int, done: dict[str, int]) -> None:
    """Stores objects, a few keys over and over, until the server is gone."""
    auth = oss2.AuthV4("test-id", "test-secret")
    bucket = oss2.Bucket(auth, endpoint, "bkt", region="cn-hangzhou", connect_timeout=5)
    for number in itertools.count(worker, 4):
        key = f"{worker}/{number % 28}"
        try:
            bucket.put_object(key, body_of(number), headers={"x-oss-meta-number": str(number)})
        except oss2.exceptions.RequestError:
            return
        done[key] = number


def test_a_killed_server_leaves_only_whole_objects(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        endpoint = json.loads(process.stdout.readline())
        done: dict[str, int] = {}
        threads = [
            threading.Thread(target=put_until_cut, args=(endpoint, worker, done))
            for worker in range(4)
        ]
        for thread in threads:
            thread.start()
        enough = threading.Event()
        while len(done) < 25 and any(thread.is_alive() for thread in threads):
            enough.wait(0.01)
        os.kill(process.pid, signal.SIGKILL)
        for thread in threads:
            thread.join()
    assert len(done) >= 25
    with RunningServer(settings(tmp_path)) as server:
        clients = Clients(server)
        assert set(server.keys("bkt")) >= set(done)
        for key in server.keys("bkt"):
            found = clients.bucket.get_object(key)
            number = int(found.headers["x-oss-meta-number"])
            assert found.read() == body_of(number)
            assert number >= done.get(key, 0)
        files = list((tmp_path / "bodies").glob("*/*"))
        assert len(files) == len(server.keys("bkt"))


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    part = b"p" * 102_400
    with RunningServer(settings(tmp_path), buckets=["bkt"]) as server:
        bucket = Clients(server).bucket
        headers = {"x-oss-meta-a": "é".encode(), "x-oss-tagging": "k=v"}
        before: Any = bucket.put_object("key 文", b"body", headers=headers)
        upload_id = bucket.init_multipart_upload("mp").upload_id
        etag = bucket.upload_part("mp", upload_id, 1, part).etag
    with RunningServer(settings(tmp_path)) as server:
        bucket = Clients(server).bucket
        found = bucket.get_object("key 文")
        assert (found.read(), found.etag, found.server_crc) == (b"body", before.etag, before.crc)
        assert found.headers["x-oss-meta-a"].encode("latin-1") == "é".encode()
        assert bucket.get_object_tagging("key 文").tag_set.tagging_rule == {"k": "v"}
        bucket.complete_multipart_upload("mp", upload_id, [oss2.models.PartInfo(1, etag)])
        assert bucket.get_object("mp").read() == part


def test_what_an_earlier_version_has_stored_is_read(tmp_path: Path) -> None:
    """Its database lacks columns, and its bodies are plain, whatever their headers say."""
    with RunningServer(settings(tmp_path), buckets=["bkt"]) as server:
        bucket = Clients(server).bucket
        bucket.put_object("k", b"body")
        upload_id = bucket.init_multipart_upload("mp").upload_id
        etag = bucket.upload_part("mp", upload_id, 1, b"part").etag
    told = json.dumps({"content-type": "a/b", "x-oss-server-side-encryption": "AES256"})
    with contextlib.closing(sqlite3.connect(tmp_path / "index.sqlite")) as index, index:
        for table, column in (
            ("buckets", "encryption"),
            ("objects", "data_key"),
            ("objects", "acl"),
            ("uploads", "data_key"),
            ("uploads", "acl"),
        ):
            index.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        for table in ("objects", "uploads"):
            index.execute(f"UPDATE {table} SET headers = ?", (told,))
    with RunningServer(settings(tmp_path)) as server:
        bucket = Clients(server).bucket
        assert bucket.get_object("k").read() == b"body"
        assert bucket.get_object_acl("k").acl == "default"
        bucket.copy_object("bkt", "k", "copy", headers={"x-oss-server-side-encryption": "AES256"})
        assert bucket.get_object("copy").read() == b"body"
        bucket.complete_multipart_upload("mp", upload_id, [oss2.models.PartInfo(1, etag)])
        assert bucket.get_object("mp").read() == b"part"
        with pytest.raises(oss2.exceptions.ServerError, match="NoSuchServerSideEncryptionRule"):
            bucket.get_bucket_encryption()


def test_one_root_serves_one_server_at_a_time(tmp_path: Path) -> None:
    with RunningServer(settings(tmp_path)), pytest.raises(BlockingIOError):
        RunningServer(settings(tmp_path)).__enter__()
    with RunningServer(settings(tmp_path)):
        pass


def test_a_bucket_name_that_oss_refuses_is_reported(tmp_path: Path) -> None:
    with RunningServer(settings(tmp_path)) as server, pytest.raises(UsageError):
        server.create_bucket("b")


def test_a_taken_port_is_reported(tmp_path: Path) -> None:
    with RunningServer(settings(tmp_path / "a")) as server:
        port = int(server.endpoint.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            RunningServer(settings(tmp_path / "b", port=port)).__enter__()


def test_a_stopped_server_holds_no_thread_and_no_file(tmp_path: Path) -> None:
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    with RunningServer(settings(tmp_path), buckets=["bkt"]) as server:
        server.create_bucket("another")
    # Trio keeps idle worker threads for a while; the server itself must be gone.
    names = [thread.name for thread in threading.enumerate()]
    assert "ossfs-devserver" not in names
    assert threading.active_count() <= threads + 1
    assert len(os.listdir("/proc/self/fd")) <= files
