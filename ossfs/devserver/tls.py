"""TLS of the embedded server: which certificate it shows, and which versions it speaks."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from ossfs.devserver import certificates
from ossfs.devserver.config import ServerConfig, TlsConfig
from ossfs.errors import UsageError

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What both services listen with. ca_bundle: what clients trust, None if only they know."""

    context: ssl.SSLContext
    ca_bundle: Path | None


def prepare(config: ServerConfig, tls: TlsConfig) -> Tls:
    """Reads the certificate, or makes one below `tls` in the root directory.

    Raises OSError, and UsageError for files that are no certificate and its key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = _VERSIONS[tls.maximum]
    if tls.certificate is None:
        files = certificates.ensure(config.root / "tls", config.host)
        context.load_cert_chain(files.server)
        return Tls(context=context, ca_bundle=files.authority)
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(tls.certificate, tls.private_key, password="")
    except ssl.SSLError:
        # The cause tells numbers of OpenSSL and nothing a user could act on.
        raise UsageError(
            f"{tls.certificate} and {tls.private_key or tls.certificate} are no certificate and its"
            " unencrypted key"
        ) from None
    return Tls(context=context, ca_bundle=None)
