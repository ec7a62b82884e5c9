"""Which key encrypts is decided or asked for, and no two options contradict each other."""

from pathlib import Path
from typing import Any

import pytest

from ossfs.config.encryption import settle
from ossfs.config.sections import Keys
from ossfs.errors import UsageError

RSA: dict[str, Any] = {"rsa_keys": (Path("/a.pem"),)}
KMS: dict[str, Any] = {"kms_key_id": "alias/a"}
AES: dict[str, Any] = {"aes_key": Path("/a.key")}
KEYRING: dict[str, Any] = {"keyring": Path("/keys.toml")}


def refusal(**given: Any) -> str:
    with pytest.raises(UsageError) as caught:
        settle(Keys(**given))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "kind"), [(RSA, "rsa"), (KMS, "kms"), (AES, "aes"), (KEYRING, "")]
)
def test_the_key_that_is_given_encrypts(given: dict[str, Any], kind: str) -> None:
    assert settle(Keys(**given)).encrypt == kind


@pytest.mark.parametrize("kind", ["rsa", "kms", "aes", "none"])
def test_of_several_kinds_the_one_that_is_said_encrypts(kind: Any) -> None:
    assert settle(Keys(**RSA, **KMS, **AES, encrypt=kind)).encrypt == kind
    assert "--encrypt rsa or kms" in refusal(**RSA, **KMS)
    assert "--encrypt rsa or kms or aes" in refusal(**RSA, **KMS, **AES)


def test_a_kind_without_its_key_says_what_to_give() -> None:
    assert "--rsa-key" in refusal(encrypt="rsa", **AES)
    assert "--aes-key" in refusal(encrypt="aes", **RSA)
    assert "--kms-key-id" in refusal(encrypt="kms", **RSA)
    assert "no key is given" in refusal()


@pytest.mark.parametrize(
    "more", [RSA, KMS, AES, {"matdesc": {"a": "b"}}, {"key_passphrase_file": Path("/p")}]
)
def test_a_keyring_stands_alone(more: dict[str, Any]) -> None:
    assert "keyring" in refusal(**KEYRING, **more)


def test_the_deprecated_form_is_refused_where_it_cannot_be_written_or_read_back() -> None:
    assert settle(Keys(**RSA, dialect="deprecated")).dialect == "deprecated"
    assert "--integrity require" in refusal(**RSA, dialect="deprecated", integrity="require")
    assert "--integrity require" in refusal(**KEYRING, dialect="deprecated", integrity="require")
    assert "--encrypt none" in refusal(encrypt="none", dialect="deprecated")
    assert "--encrypt aes" in refusal(**AES, dialect="deprecated")
    assert "--matdesc" in refusal(**RSA, dialect="deprecated", matdesc={"a": "b"})
