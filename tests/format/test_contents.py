"""The headers alone tell plain, foreign and own objects apart."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.crypto.datakey import DataKey
from ossfs.errors import IntegrityError, Unsupported
from ossfs.format import envelope, seal
from ossfs.format.contents import Foreign, Own, Plain, classify, same_content
from tests.format.strategies import HOSTILE_METADATA

ENVELOPE = envelope.Envelope(
    wrapped_key=b"k", wrapped_start=b"s", wrap_alg=envelope.RSA_PKCS1, unencrypted_content_length=0
)
SEAL = seal.make(DataKey(bytes(32)), file_type=8, size=0, tags=b"", sidecar=None)
FOREIGN = envelope.to_metadata(ENVELOPE, plain_size=0)
OWN = FOREIGN | seal.to_metadata(SEAL)


def test_each_kind_is_told_by_its_headers() -> None:
    assert classify({"mode": "33188"}, 5) == Plain()
    assert classify(FOREIGN, 0) == Foreign(ENVELOPE)
    assert classify(OWN, 0) == Own(ENVELOPE, SEAL)


def test_a_seal_without_an_envelope_is_refused() -> None:
    with pytest.raises(IntegrityError):
        classify(seal.to_metadata(SEAL), 0)


@given(HOSTILE_METADATA, st.integers(0, 1 << 40))
def test_hostile_headers_raise_documented_errors_only(metadata: dict[str, str], size: int) -> None:
    with contextlib.suppress(IntegrityError, Unsupported):
        classify(metadata, size)


@given(HOSTILE_METADATA)
def test_hostile_headers_beside_good_ones_raise_documented_errors_only(
    metadata: dict[str, str],
) -> None:
    with contextlib.suppress(IntegrityError, Unsupported):
        classify(OWN | metadata, 0)


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"mtime": "5.000000000", "author": "me"}, True),
        ({"client-side-encryption-key": "other"}, False),
        ({"ossfs-head": "other"}, False),
    ],
)
def test_only_envelope_and_seal_decide_what_the_same_bytes_mean(
    changed: dict[str, str], same: bool
) -> None:
    headers = {"client-side-encryption-key": "k", "ossfs-head": "h", "mtime": "1.000000000"}
    assert same_content(headers, headers | changed) is same
    assert same_content(headers, {}) is False
