"""The TLS settings of connections to OSS."""

import ssl
from pathlib import Path

from ossfs.errors import UsageError

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def client_context(*, minimum: str = "1.2", ca_bundle: Path | None = None) -> ssl.SSLContext:
    """A context that verifies certificate and host name.

    minimum: lowest version, "1.2" or "1.3"; ca_bundle: PEM file of the authorities to trust in
    place of the system's. Raises UsageError if that file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca_bundle)
    except (OSError, ssl.SSLError) as exc:
        reason = exc.strerror if not isinstance(exc, ssl.SSLError) else "no PEM certificates in it"
        raise UsageError(f"CA bundle {ca_bundle}: {reason}") from exc
    context.minimum_version = _VERSIONS[minimum]
    context.set_alpn_protocols(["http/1.1"])
    return context
