"""Envelopes come back as written, and a broken one never passes for no envelope."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.errors import IntegrityError, Unsupported
from ossfs.format import envelope as envelopes
from ossfs.format.envelope import Envelope
from tests.format.strategies import ENVELOPES, HOSTILE_METADATA

SIMPLE = Envelope(wrapped_key=b"key", wrapped_start=b"start", wrap_alg=envelopes.RSA_PKCS1)
REQUIRED = ("key", "start", "cek-alg", "wrap-alg")


@given(ENVELOPES, st.integers(0, 1 << 50), st.none() | st.integers(1, 1 << 30))
def test_an_envelope_comes_back(envelope: Envelope, size: int, part_size: int | None) -> None:
    parsed = envelopes.parse(envelopes.to_metadata(envelope, plain_size=size, part_size=part_size))
    assert parsed == Envelope(
        wrapped_key=envelope.wrapped_key,
        wrapped_start=envelope.wrapped_start,
        wrap_alg=envelope.wrap_alg,
        matdesc=envelope.matdesc,
        unencrypted_content_length=size,
        data_size=None if part_size is None else size,
        part_size=part_size,
    )


def test_the_headers_are_those_of_the_sdks() -> None:
    prefix = "client-side-encryption-"
    envelope = Envelope(
        wrapped_key=b"key",
        wrapped_start=b"start",
        wrap_alg=envelopes.RSA_PKCS1,
        matdesc={"b": "2", "a": "1"},
    )
    assert envelopes.to_metadata(envelope, plain_size=7, part_size=3) == {
        prefix + "key": "a2V5",
        prefix + "start": "c3RhcnQ=",
        prefix + "cek-alg": "AES/CTR/NoPadding",
        prefix + "wrap-alg": "RSA/NONE/PKCS1Padding",
        prefix + "matdesc": '{"a":"1","b":"2"}',
        prefix + "unencrypted-content-length": "7",
        prefix + "data-size": "7",
        prefix + "part-size": "3",
    }


def test_an_object_without_these_headers_has_no_envelope() -> None:
    assert envelopes.parse({}) is None
    assert envelopes.parse({"mode": "33188", "ossfs-format": "1"}) is None


def test_an_absent_description_equals_an_empty_one() -> None:
    headers = envelopes.to_metadata(SIMPLE, plain_size=0)
    for matdesc in ("{}", ""):
        spelled = {**headers, "client-side-encryption-matdesc": matdesc}
        assert envelopes.parse(spelled) == envelopes.parse(headers)


@pytest.mark.parametrize("missing", REQUIRED)
def test_an_incomplete_envelope_is_refused(missing: str) -> None:
    headers = envelopes.to_metadata(SIMPLE, plain_size=0)
    del headers["client-side-encryption-" + missing]
    with pytest.raises(IntegrityError):
        envelopes.parse(headers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("key", value) for value in ("", "###", "YQ", "YR==")),
        *(("start", value) for value in ("", "###")),
        ("wrap-alg", ""),
        *(("matdesc", value) for value in ("[]", "x", '{"a":1}', "[" * 5000)),
        *((size, "-1") for size in ("data-size", "part-size", "unencrypted-content-length")),
    ],
)
def test_a_malformed_envelope_is_refused(name: str, value: str) -> None:
    headers = envelopes.to_metadata(SIMPLE, plain_size=0, part_size=1)
    headers["client-side-encryption-" + name] = value
    with pytest.raises(IntegrityError):
        envelopes.parse(headers)


def test_another_cipher_is_refused_rather_than_guessed() -> None:
    headers = envelopes.to_metadata(SIMPLE, plain_size=0)
    headers["client-side-encryption-cek-alg"] = "AES/GCM/NoPadding"
    with pytest.raises(Unsupported):
        envelopes.parse(headers)


@pytest.mark.parametrize("alg", ["rsa", "kms"])
def test_a_wrap_alg_of_the_deprecated_form_is_refused_in_this_one(alg: str) -> None:
    headers = envelopes.to_metadata(SIMPLE, plain_size=0)
    headers["client-side-encryption-wrap-alg"] = alg
    with pytest.raises(Unsupported, match="another form"):
        envelopes.parse(headers)


@given(HOSTILE_METADATA)
def test_hostile_headers_raise_documented_errors_only(metadata: dict[str, str]) -> None:
    with contextlib.suppress(IntegrityError, Unsupported):
        envelopes.parse(metadata)
