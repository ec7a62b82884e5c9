"""The embedded OSS in a thread of its own, for clients that block."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import trio

from ossfs.devserver.config import ServerConfig
from ossfs.devserver.journal import Journal
from ossfs.devserver.kms.keystore import KeyState
from ossfs.devserver.server import Server, serve

T = TypeVar("T")


class RunningServer:
    """Context manager: a server that listens from `with` to its end. May be used from any thread.

    `with RunningServer(ServerConfig(root=path), buckets=["bkt"]) as server:`
    raises what `serve` raises.
    """

    def __init__(self, config: ServerConfig, *, buckets: tuple[str, ...] | list[str] = ()) -> None:
        self.config = config
        self._buckets = tuple(buckets)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ossfs-devserver", daemon=True)
        self._failure: BaseException | None = None
        self._server: Server | None = None
        self._scope: trio.CancelScope | None = None
        self._token: trio.lowlevel.TrioToken | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        for name in self._buckets:
            self.create_bucket(name)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the server and waits for it; stopping twice does no harm."""
        if self._thread.is_alive() and self._token is not None and self._scope is not None:
            self._token.run_sync_soon(self._scope.cancel)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            trio.run(self._main)
        except BaseExceptionGroup as group:
            # The nursery has one task, so there is one exception to hand to the thread that waits.
            self._failure = group.exceptions[0]
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as nursery:
            self._scope = nursery.cancel_scope
            self._server = await nursery.start(serve, self.config)
            self._ready.set()

    def _started(self) -> Server:
        if self._server is None:
            raise RuntimeError("the server does not run")
        return self._server

    def _in_server(self, function: Callable[[Server], T]) -> T:
        return trio.from_thread.run_sync(function, self._started(), trio_token=self._token)

    @property
    def endpoint(self) -> str:
        """URL without a slash at the end, as http://127.0.0.1:4711."""
        return self._started().endpoint

    @property
    def kms_endpoint(self) -> str:
        """URL of the KMS, of the same form."""
        return self._started().kms.endpoint

    @property
    def ca_bundle(self) -> Path | None:
        """The certificates that clients must trust, None without TLS or with one's own files."""
        return self._started().ca_bundle

    @property
    def region(self) -> str:
        """Region that signatures must name."""
        return self.config.region

    @property
    def access_key_id(self) -> str:
        """The first access key id of the configuration."""
        return next(iter(self.config.credentials))

    @property
    def access_key_secret(self) -> str:
        """Its secret."""
        return self.config.credentials[self.access_key_id].secret

    @property
    def requests(self) -> Journal:
        """What was asked of the server; may still be read when it has stopped."""
        return self._started().requests

    @property
    def kms_requests(self) -> Journal:
        """What was asked of the KMS; `key` in it is the key as the client names it."""
        return self._started().kms.requests

    def create_bucket(self, name: str) -> None:
        """Makes a bucket unless it exists. Raises UsageError if OSS allows no such name."""
        self._in_server(lambda server: server.create_bucket(name))

    def add_fault(self, rule: str) -> None:
        """Arms one rule in the grammar of `faults`. Raises UsageError."""
        self._in_server(lambda server: server.faults.add(rule))

    def clear_faults(self) -> None:
        """Disarms all rules."""
        self._in_server(lambda server: server.faults.clear())

    def add_kms_fault(self, rule: str) -> None:
        """Arms one rule of the KMS, in the same grammar. Raises UsageError."""
        self._in_server(lambda server: server.kms.faults.add(rule))

    def clear_kms_faults(self) -> None:
        """Disarms all rules of the KMS."""
        self._in_server(lambda server: server.kms.faults.clear())

    def create_key(self, alias: str = "") -> str:
        """Makes a key of the KMS, enabled, with an alias (`alias/…`) if given; returns its id."""
        return self._in_server(lambda server: server.kms.create_key(alias))

    def set_key_enabled(self, key_id: str, enabled: bool) -> None:
        """Enables or disables a key of the KMS."""
        state: KeyState = "Enabled" if enabled else "Disabled"
        self._in_server(lambda server: server.kms.store.set_state(key_id, state))

    def delete_key(self, key_id: str) -> None:
        """Drops a key of the KMS at once, as if its deletion had been scheduled long ago."""
        self._in_server(lambda server: server.kms.store.delete(key_id))

    def rotate_master_key(self) -> None:
        """Makes a further version of the key that wraps the data keys of AES256."""
        self._in_server(lambda server: server.masters.rotate())

    def keys(self, bucket: str) -> list[str]:
        """All keys of the bucket in the order of their bytes."""
        return self._in_server(lambda server: server.keys(bucket))

    def object_bytes(self, bucket: str, key: str) -> bytes:
        """What a client that may do everything reads there. Raises KeyError."""
        return self._in_server(lambda server: server.object_bytes(bucket, key))

    def object_headers(self, bucket: str, key: str) -> dict[str, str]:
        """The headers stored with it, names in lower case. Raises KeyError."""
        return self._in_server(lambda server: server.object_headers(bucket, key))
