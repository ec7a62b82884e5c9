"""The envelope of oss2 2.9 and older: strict, complete, and never mistaken for another."""

import base64
import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.crypto.datakey import DataKey
from ossfs.errors import IntegrityError, Unsupported
from ossfs.format import deprecated, envelope, seal
from ossfs.format.contents import Foreign, classify
from ossfs.format.envelope import Envelope
from tests.format.strategies import HOSTILE_METADATA

OLD = Envelope(
    wrapped_key=b"key",
    wrapped_start=b"start",
    cek_alg="AES/GCM/NoPadding",
    wrap_alg="rsa",
    deprecated=True,
)
HEADERS = deprecated.to_metadata(OLD, plain_size=7)


@given(
    st.binary(min_size=1, max_size=600),
    st.binary(min_size=1, max_size=600),
    st.sampled_from(["rsa", "kms"]),
    st.integers(0, 1 << 48),
)
def test_what_is_written_is_read(key: bytes, start: bytes, alg: str, size: int) -> None:
    written = replace(OLD, wrapped_key=key, wrapped_start=start, wrap_alg=alg)
    read = deprecated.parse(deprecated.to_metadata(written, plain_size=size))
    assert read == replace(written, unencrypted_content_length=size)


def test_the_headers_are_those_of_the_old_page_and_no_others() -> None:
    assert HEADERS == {
        "oss-crypto-key": "a2V5",
        "oss-crypto-start": "c3RhcnQ=",
        "oss-cek-alg": "AES/GCM/NoPadding",
        "oss-wrap-alg": "rsa",
        "unencrypted-content-length": "7",
    }
    described = replace(OLD, matdesc={"a": "b"})
    assert deprecated.to_metadata(described, plain_size=7) == HEADERS


@pytest.mark.parametrize("name", ["oss-matdesc", "oss-crypto-matdesc"])
def test_a_description_is_read_under_either_name(name: str) -> None:
    read = deprecated.parse(HEADERS | {name: '{"a": "b"}'})
    assert read is not None
    assert read.matdesc == {"a": "b"}


@pytest.mark.parametrize("name", [name for name in HEADERS if name.startswith("oss-")])
def test_an_incomplete_envelope_is_never_taken_for_plaintext(name: str) -> None:
    headers = {key: text for key, text in HEADERS.items() if key != name}
    with pytest.raises(IntegrityError):
        classify(headers, 7)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("oss-crypto-key", ""),
        ("oss-crypto-key", "a2V5="),
        ("oss-crypto-key", "not base64"),
        ("oss-crypto-start", "c3RhcnR="),
        ("oss-matdesc", "[]"),
        ("unencrypted-content-length", "-1"),
    ],
)
def test_a_malformed_envelope_is_refused(name: str, text: str) -> None:
    with pytest.raises(IntegrityError):
        deprecated.parse(HEADERS | {name: text})


@pytest.mark.parametrize(
    "change", [{"oss-cek-alg": "AES/CTR/NoPadding"}, {"oss-wrap-alg": "RSA/NONE/PKCS1Padding"}]
)
def test_what_was_never_written_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(Unsupported):
        deprecated.parse(HEADERS | change)


def test_it_is_foreign_and_never_sealed() -> None:
    assert classify(HEADERS, 7) == Foreign(replace(OLD, unencrypted_content_length=7))
    sealed = seal.make(DataKey(bytes(32)), file_type=8, size=0, tags=b"", sidecar=None)
    with pytest.raises(IntegrityError):
        classify(HEADERS | seal.to_metadata(sealed), 0)


def test_beside_a_current_envelope_it_does_not_count() -> None:
    current = Envelope(wrapped_key=b"k", wrapped_start=b"s", wrap_alg=envelope.RSA_PKCS1)
    found = classify(HEADERS | envelope.to_metadata(current, plain_size=7), 7)
    assert found == Foreign(replace(current, unencrypted_content_length=7))


@given(HOSTILE_METADATA)
def test_hostile_headers_raise_documented_errors_only(metadata: dict[str, str]) -> None:
    for headers in (metadata, HEADERS | metadata):
        with contextlib.suppress(IntegrityError, Unsupported):
            deprecated.parse(headers)


@given(st.integers(1, 10))
def test_a_start_is_its_digits_and_the_counter_begins_there(start: int) -> None:
    text = deprecated.pack_start(start)
    assert text == str(start).encode()
    assert int.from_bytes(deprecated.unpack_start(text), "big") == start
    assert len(deprecated.unpack_start(text)) == 16


@given(
    st.one_of(
        st.sampled_from([b"", b"0", b"11", b"01", b"1\n", b"+1", b" 1", b"\xd9\xa3", b"1.0"]),
        st.integers(11).map(lambda number: str(number).encode()),
        st.binary(min_size=3),
    )
)
def test_any_other_start_is_refused(text: bytes) -> None:
    with pytest.raises(IntegrityError):
        deprecated.unpack_start(text)


@given(st.binary(min_size=32, max_size=32))
def test_a_kms_carries_the_key_as_text(raw: bytes) -> None:
    assert deprecated.pack_key("rsa", raw) == raw == deprecated.unpack_key("rsa", raw)
    text = deprecated.pack_key("kms", raw)
    assert base64.b64decode(text) == raw == deprecated.unpack_key("kms", text)
    with pytest.raises(IntegrityError):
        deprecated.unpack_key("kms", b"\xff" + text)
