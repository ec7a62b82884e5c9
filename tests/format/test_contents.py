"""The headers alone tell plain, foreign and own objects apart."""

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.crypto.datakey import DataKey
from ossfs.errors import IntegrityError, Unsupported
from ossfs.format import deprecated, envelope, seal
from ossfs.format.contents import Contents, Foreign, Own, Plain, classify, same_content
from tests.format.strategies import FIELD_NAMES, HOSTILE_METADATA, HOSTILE_TEXT

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


DEPRECATED = deprecated.to_metadata(
    envelope.Envelope(
        wrapped_key=b"k",
        wrapped_start=b"s",
        cek_alg=deprecated.CEK_ALG,
        wrap_alg=envelope.DEPRECATED_RSA,
        deprecated=True,
    ),
    plain_size=0,
)
MULTIPART = envelope.to_metadata(
    replace(ENVELOPE, matdesc={"a": "b"}), plain_size=1, part_size=65536
)
FORMS = [FOREIGN, MULTIPART, OWN, DEPRECATED]


@pytest.mark.parametrize("headers", FORMS)
def test_every_header_of_either_form_decides_what_the_same_bytes_mean(
    headers: dict[str, str],
) -> None:
    assert same_content(headers, headers | {"mtime": "5.000000000", "author": "me"})
    for name, value in headers.items():
        rest = dict(headers)
        del rest[name]
        assert not same_content(headers, rest)
        assert not same_content(rest, headers)
        assert not same_content(headers, headers | {name: value + "1"})


def outcome(metadata: dict[str, str]) -> Contents | str:
    """What reading makes of an empty object with these headers."""
    try:
        return classify(metadata, 0)
    except (IntegrityError, Unsupported) as error:
        return repr(error)


@given(
    st.sampled_from(FORMS),
    st.dictionaries(
        st.sampled_from(FIELD_NAMES),
        st.one_of(
            HOSTILE_TEXT, st.sampled_from([value for form in FORMS for value in form.values()])
        ),
        max_size=3,
    ),
    st.sets(st.sampled_from(FIELD_NAMES), max_size=3),
)
def test_what_is_read_in_another_way_is_never_the_same_content(
    headers: dict[str, str], changed: dict[str, str], removed: set[str]
) -> None:
    other = {name: value for name, value in (headers | changed).items() if name not in removed}
    if same_content(headers, other):
        assert outcome(headers) == outcome(other)
