"""The TLS settings of connections to OSS and the KMS, and what it means if TLS fails."""

import ssl
from pathlib import Path

from ossfs.errors import UsageError

_HOST_MISMATCH = frozenset({62, 64})
_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21})
_EXPIRED, _NOT_YET = 10, 9
"""Verification results of OpenSSL (x509_vfy.h)."""

_OTHER_VERSIONS = frozenset(
    {"TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "WRONG_SSL_VERSION"}
)
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
"""Reasons of OpenSSL (sslerr.h)."""

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


def certificate_advice(error: ssl.SSLCertVerificationError) -> str:
    """What is wrong with the certificate of a server, and what may be done about it."""
    said = error.verify_message.removesuffix(".")
    if error.verify_code in _UNKNOWN_ISSUER:
        return f"{said}; --ca-bundle names a file with the authorities to trust"
    if error.verify_code in _HOST_MISMATCH:
        return f"{said}; the endpoint must have a name that is in the certificate"
    if error.verify_code in {_EXPIRED, _NOT_YET}:
        return f"{said}; or the clock of this machine is wrong"
    return said


def version_advice(error: OSError, context: ssl.SSLContext) -> str:
    """What to do where the two sides know no common version of TLS; "" if they may do."""
    reason = error.reason if isinstance(error, ssl.SSLError) else ""
    if reason in _OTHER_VERSIONS:
        return f"the server offers no TLS {_least(context)} or newer, as --tls-min demands"
    if reason in _NO_TLS:
        return "the server does not speak TLS there"
    return ""


def ending_advice(context: ssl.SSLContext) -> str:
    """What it may mean that a server ends the handshake without a word."""
    least = _least(context)
    return f"; perhaps it offers no TLS {least} (--tls-min)" if least == "1.3" else ""


def _least(context: ssl.SSLContext) -> str:
    names = {version: name for name, version in _VERSIONS.items()}
    return names[ssl.TLSVersion(context.minimum_version)]
