"""Makes the KMS keys of one program: a client for each KMS, shared by the keys that live in it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

import httpx

from ossfs.config.address import is_exposed, parse_endpoint
from ossfs.errors import KeyProblem
from ossfs.keys.keyring_file import KmsEntry
from ossfs.keys.kms import KmsMasterKey
from ossfs.keys.kms_client import AccessKeySource, KmsClient, Pause
from ossfs.keys.kms_context import read_context
from ossfs.keys.kms_signing import Sign, acs3, rpc_v1

_SIGNATURES: dict[str, Sign] = {"acs3": acs3, "rpc-v1": rpc_v1}

Connect = Callable[[str, Path | None], httpx.AsyncBaseTransport]
"""A transport to an endpoint; the file, if any, holds the certificates to trust for it alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KmsSettings:
    """How a KMS is talked to.

    endpoint: where an entry names none, "" if that is not known; signature: "acs3" or "rpc-v1";
    pause, retries: of requests that failed; timeout: seconds for an action in all; allow_http:
    beyond this machine; strict: see `KmsMasterKey`.
    """

    endpoint: str
    signature: str
    pause: Pause
    retries: int
    timeout: float
    allow_http: bool = False
    strict: bool = False


@final
class KmsFactory:
    """Call it with an entry; `aclose` ends the clients of all keys that it made."""

    def __init__(
        self,
        settings: KmsSettings,
        *,
        credentials: Callable[[], AccessKeySource],
        connect: Connect,
    ) -> None:
        """credentials, connect: called when the first key of a KMS is made."""
        self._settings = settings
        self._credentials = credentials
        self._connect = connect
        self._clients: dict[tuple[str, Path | None], KmsClient] = {}

    def __call__(self, entry: KmsEntry) -> KmsMasterKey:
        """The key that *entry* names; nothing is asked yet. Raises KeyProblem, UsageError."""
        file = entry.context_file
        return KmsMasterKey(
            self._client(entry),
            entry.key_id,
            coding=entry.coding,
            context=entry.context if file is None else read_context(file),
            name=entry.name,
            matdesc=entry.matdesc,
            strict=self._settings.strict,
        )

    async def aclose(self) -> None:
        """Closes all connections."""
        for client in self._clients.values():
            await client.aclose()

    def _client(self, entry: KmsEntry) -> KmsClient:
        settings = self._settings
        endpoint = self._endpoint(entry)
        client = self._clients.get((endpoint, entry.ca_bundle))
        if client is None:
            client = KmsClient(
                endpoint,
                credentials=self._credentials(),
                transport=self._connect(endpoint, entry.ca_bundle),
                sign=_SIGNATURES[settings.signature],
                pause=settings.pause,
                retries=settings.retries,
                timeout=settings.timeout,
            )
            self._clients[endpoint, entry.ca_bundle] = client
        return client

    def _endpoint(self, entry: KmsEntry) -> str:
        """Where the key is, checked alike whether it says so itself or the settings do."""
        try:
            endpoint = parse_endpoint(entry.endpoint) if entry.endpoint else self._settings.endpoint
        except ValueError as error:
            raise KeyProblem(f"the KMS key {entry.name}: endpoint: {error}") from None
        if not endpoint:
            raise KeyProblem(f"the KMS key {entry.name} has no endpoint, and no region is given")
        if is_exposed(endpoint) and not self._settings.allow_http:
            raise KeyProblem(
                f"the KMS key {entry.name}: {endpoint} is not encrypted;"
                " use https, or --allow-http if that is meant"
            )
        return endpoint
