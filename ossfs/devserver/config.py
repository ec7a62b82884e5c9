"""Settings of one embedded server: all come from the caller, none from the environment."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

GIBIBYTE = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """Secret of one access key id.

    token: the STS token that must come along, None for a long-term key; token_expires: seconds
    since the epoch, None for a token that lasts. kms_denied: actions of the KMS, as Decrypt, that
    its policy does not grant.
    """

    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    token_expires: float | None = None
    kms_denied: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConfig:
    """How a server speaks TLS.

    certificate, private_key: PEM files (the key may stand in the first one); without them the
    server makes a certificate and an authority of its own. maximum: the newest version it offers.
    """

    certificate: Path | None = None
    private_key: Path | None = None
    maximum: Literal["1.2", "1.3"] = "1.3"


def _one_random_credential() -> Mapping[str, Credential]:
    return {"ossfs-devserver": Credential(secret=secrets.token_hex(16))}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """What one server is.

    root: directory of its data, made if missing, used by one server at a time. port 0, kms_port 0:
    a free one. kms_latency_ms and kms_faults act on the KMS, latency_ms and faults on the OSS.
    credentials: access key id to Credential; by default one id with a random secret. latency_ms:
    waited before each request is worked on. bandwidth_mb: 10^6 bytes a second in each direction,
    shared by all connections; None for no limit. faults: rules in the grammar of `faults`.
    tls: of both services, None for plain HTTP. clock: seconds since the epoch, for signatures and
    Last-Modified. max_put_bytes: of one PutObject, UploadPart; max_copy_bytes: of a CopyObject to
    another bucket or with other server-side encryption or storage class.
    """

    root: Path
    host: str = "127.0.0.1"
    port: int = 0
    kms_port: int = 0
    credentials: Mapping[str, Credential] = field(default_factory=_one_random_credential)
    region: str = "cn-hangzhou"
    latency_ms: float = 0
    bandwidth_mb: float | None = None
    faults: Sequence[str] = ()
    kms_latency_ms: float = 0
    kms_faults: Sequence[str] = ()
    tls: TlsConfig | None = None
    clock: Callable[[], float] = time.time
    max_put_bytes: int = 5 * GIBIBYTE
    max_copy_bytes: int = 5 * GIBIBYTE
