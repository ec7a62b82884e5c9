"""Certificates for tests and demos: an authority that signs once and is forgotten, and a server's.

The key of the authority is never written, so that whoever finds these files can sign nothing that
its clients would trust.
"""

import datetime as dt
import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ossfs.devserver import keyfiles

LOCAL_NAMES = ("localhost", "*.localhost", "127.0.0.1", "::1")
_VALID_DAYS = 365
_RENEWED_BEFORE_DAYS = 30
_SLACK = dt.timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """PEM files. server: key, certificate and authority; authority: what clients trust."""

    server: Path
    authority: Path

    @classmethod
    def below(cls, folder: Path) -> Self:
        """The files as they are called in *folder*."""
        return cls(server=folder / "server.pem", authority=folder / "ca.pem")


def ensure(folder: Path, host: str) -> CertificateFiles:
    """Files in *folder* for this machine's names and *host*; made, or renewed, where it is time.

    Raises OSError.
    """
    files = CertificateFiles.below(folder)
    names = dict.fromkeys((*LOCAL_NAMES, host))
    now = dt.datetime.now(dt.UTC)
    if not files.server.exists() or not _is_good(files.server.read_bytes(), names, now):
        return make(folder, names, now - _SLACK, now + dt.timedelta(days=_VALID_DAYS))
    # The one file is the truth; a kill may have come between the two.
    authority = x509.load_pem_x509_certificates(files.server.read_bytes())[-1]
    files.authority.write_bytes(authority.public_bytes(Encoding.PEM))
    return files


def _is_good(content: bytes, names: Collection[str], now: dt.datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificates(content)[0]
    except ValueError:
        return False
    alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    covered = set(alternative.value) >= set(_general_names(names))
    until = certificate.not_valid_after_utc - dt.timedelta(days=_RENEWED_BEFORE_DAYS)
    return covered and now < until


def make(
    folder: Path, names: Collection[str], not_before: dt.datetime, not_after: dt.datetime
) -> CertificateFiles:
    """New files in *folder*, which is made if missing: DNS names and IP addresses in *names*.

    Raises OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = CertificateFiles.below(folder)
    signing, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = _name("ossfs-devserver test authority")
    authority = (
        _builder(issuer, issuer, signing.public_key(), not_before, not_after)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(signing, hashes.SHA256())
    )
    certificate = (
        _builder(_name("ossfs-devserver"), issuer, key.public_key(), not_before, not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()),
            critical=False,
        )
        .sign(signing, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    trusted = authority.public_bytes(Encoding.PEM)
    keyfiles.write(files.server, private + certificate.public_bytes(Encoding.PEM) + trusted)
    files.authority.write_bytes(trusted)
    return files


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general_names(names: Collection[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    not_before: dt.datetime,
    not_after: dt.datetime,
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(identifier, critical=False)
    )
