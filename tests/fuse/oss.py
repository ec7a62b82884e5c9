"""The embedded OSS in a process of its own, and one bucket of it as a test sees it.

In a process of its own because a test that waits for a mount may hold the interpreter lock (in a
page fault of a mapping, or while a child begins), and the mount waits for the server.
"""

import dataclasses
import hashlib
import itertools
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Any

import oss2

from ossfs.devserver import RequestRecord, RunningServer, Server, ServerConfig
from ossfs.devserver.storage import StoredObject

PREPARING = frozenset({"GetBucketInfo"})
"""What a mount asks while it starts."""


class Service:
    """What tests ask of the server's process; everything here is called from another one."""

    def __init__(self, root: str) -> None:
        self._server = RunningServer(ServerConfig(root=Path(root)))
        self._server.__enter__()

    def where(self) -> tuple[str, str, str, str]:
        """Endpoint, region, access key id and secret."""
        server = self._server
        return (
            server.endpoint,
            server.region,
            server.access_key_id,
            server.access_key_secret,
        )

    def kms_endpoint(self) -> str:
        return self._server.kms_endpoint

    def create_bucket(self, name: str) -> None:
        self._server.create_bucket(name)

    def records(self, bucket: str, since: int) -> list[RequestRecord]:
        return [r for r in self._server.requests.all()[since:] if r.bucket == bucket]

    def mark(self) -> int:
        return len(self._server.requests.all())

    def add_fault(self, rule: str) -> None:
        self._server.add_fault(rule)

    def clear_faults(self) -> None:
        self._server.clear_faults()

    def keys(self, bucket: str) -> list[str]:
        return self._server.keys(bucket)

    def object_bytes(self, bucket: str, key: str) -> bytes:
        return self._server.object_bytes(bucket, key)

    def object_headers(self, bucket: str, key: str) -> dict[str, str]:
        return self._server.object_headers(bucket, key)

    def fill(self, bucket: str, keys: list[str]) -> None:
        nothing = StoredObject(
            size=0,
            modified=int(time.time()),
            etag=hashlib.md5(b"").hexdigest().upper(),
            kind="Normal",
            storage_class="Standard",
            crc64=0,
            tags={},
            segments=(),
            headers={},
        )

        def insert(server: Server) -> None:
            with server.store.commit():
                for key in keys:
                    server.store.insert(bucket, key.encode(), nothing)

        self._server._in_server(insert)

    def tamper(self, bucket: str, key: str, headers: dict[str, str | None]) -> None:
        def change(server: Server) -> None:
            item = server.store.object(bucket, key.encode())
            assert item is not None
            changed = {**item.headers, **headers}
            kept = {name: value for name, value in changed.items() if value is not None}
            server.store.insert(bucket, key.encode(), dataclasses.replace(item, headers=kept))

        self._server._in_server(change)

    def stop(self) -> None:
        self._server.stop()


class _Manager(BaseManager):
    pass


_Manager.register("Service", Service)


@dataclass(frozen=True, kw_only=True)
class Oss:
    """A running server. root: the directory of its data."""

    service: Any
    root: Path
    endpoint: str
    region: str
    key_id: str
    secret: str
    _numbers: Iterator[int]

    def new_bucket(self) -> "Bucket":
        """An empty bucket with a name of its own."""
        name = f"bucket-{next(self._numbers)}"
        self.service.create_bucket(name)
        return Bucket(oss=self, name=name)

    def environment(self) -> Mapping[str, str]:
        """What a mount must know to find it."""
        return {
            "OSS_ACCESS_KEY_ID": self.key_id,
            "OSS_ACCESS_KEY_SECRET": self.secret,
            "OSSFS_ENDPOINT": self.endpoint,
            "OSSFS_REGION": self.region,
        }

    def auth(self) -> Any:
        return oss2.AuthV4(self.key_id, self.secret)


@contextmanager
def running_oss(root: Path) -> Iterator[Oss]:
    """A server from here to the end of the block."""
    manager = _Manager(ctx=multiprocessing.get_context("spawn"))
    manager.start()
    try:
        service = manager.Service(str(root))  # type: ignore[attr-defined]  # register makes it
        endpoint, region, key_id, secret = service.where()
        yield Oss(
            service=service,
            root=root,
            endpoint=endpoint,
            region=region,
            key_id=key_id,
            secret=secret,
            _numbers=itertools.count(1),
        )
        service.stop()
    finally:
        manager.shutdown()


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """One bucket, seen past any mount: by a plain SDK client and in the server's own terms."""

    oss: Oss
    name: str

    @property
    def client(self) -> Any:
        """oss2.Bucket without a key of any kind."""
        oss = self.oss
        return oss2.Bucket(oss.auth(), oss.endpoint, self.name, region=oss.region)

    def put(self, key: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.client.put_object(key, body, headers=dict(headers or {}))

    def fill(self, keys: list[str]) -> None:
        """Many empty objects, past HTTP: ten thousand requests would take half a minute."""
        self.oss.service.fill(self.name, keys)

    def tamper(self, key: str, **metadata: str | None) -> None:
        """Change (None: remove) user metadata past every rule, as the bucket's owner could."""
        headers = {f"x-oss-meta-{n.replace('_', '-')}": value for n, value in metadata.items()}
        self.oss.service.tamper(self.name, key, headers)

    def delete(self, key: str) -> None:
        self.client.delete_object(key)

    def keys_below(self, prefix: str = "") -> list[str]:
        """All keys that begin so, those that ossfs keeps for itself too."""
        found: list[str] = self.oss.service.keys(self.name)
        return [key for key in found if key.startswith(prefix)]

    def stored(self, key: str) -> bytes:
        """The bytes that the bucket holds."""
        body: bytes = self.oss.service.object_bytes(self.name, key)
        return body

    def headers(self, key: str) -> dict[str, str]:
        """Headers stored with it, names in lower case."""
        found: dict[str, str] = self.oss.service.object_headers(self.name, key)
        return found

    def tags(self, key: str) -> dict[str, str]:
        """Its object tags."""
        rules = self.client.get_object_tagging(key).tag_set.tagging_rule
        return dict(rules)

    def watch(self) -> "Requests":
        """What is asked of this bucket from now on."""
        return Requests(bucket=self, since=self.oss.service.mark())


@dataclass(frozen=True, kw_only=True)
class Requests:
    """The requests of one bucket since a moment."""

    bucket: Bucket
    since: int

    def all(self, below: str = "") -> list[RequestRecord]:
        """Those of keys that begin with *below*, in the order of their answers."""
        found: list[RequestRecord] = self.bucket.oss.service.records(self.bucket.name, self.since)
        return [r for r in found if r.key.startswith(below)]

    def counts(self, below: str = "") -> dict[str, int]:
        """Operation to how often it was asked for."""
        return dict(Counter(r.operation for r in self.all(below)))

    def count(self, operation: str, below: str = "") -> int:
        return self.counts(below).get(operation, 0)
