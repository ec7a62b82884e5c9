"""All headers together stay below the 8 KB of OSS, in the worst case too."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from ossfs.crypto.datakey import DataKey
from ossfs.crypto.tags import chunk_count
from ossfs.errors import NoAttributeRoom
from ossfs.format import attributes, budget, envelope, names, seal
from ossfs.format.attributes import Attributes
from ossfs.format.envelope import Envelope
from tests.format.strategies import ATTRIBUTES

RSA_4096 = 512
MATDESC = {"m": "d" * (512 - len('{"m":""}'))}
LONGEST_PREFIX = "é" * 127 + "/" + "é" * 127 + "/" + "é" * 127 + "/" + "é" * 67


def test_the_worst_case_fits_into_8_kb() -> None:
    for prefix in ("", LONGEST_PREFIX):
        worst = budget.worst_case(
            wrap_alg=envelope.RSA_OAEP_SHA1, wrapped_size=RSA_4096, matdesc=MATDESC, prefix=prefix
        )
        assert worst < budget.METADATA_LIMIT


@given(ATTRIBUTES, st.integers(0, 40 << 20), st.none() | st.just(64 << 20))
def test_no_file_needs_more_than_the_worst_case(
    attrs: Attributes, size: int, part_size: int | None
) -> None:
    packed = Envelope(
        wrapped_key=bytes(RSA_4096),
        wrapped_start=bytes(RSA_4096),
        wrap_alg=envelope.RSA_PKCS1,
        matdesc=MATDESC,
    )
    key = DataKey(bytes(32))
    try:
        posix = attributes.to_metadata(attrs)
    except NoAttributeRoom:
        posix = attributes.to_metadata(dataclasses.replace(attrs, xattrs={}))
    closed = seal.make(
        key,
        file_type=attrs.file_type,
        size=size,
        tags=bytes(16 * chunk_count(size)),
        sidecar=names.sidecar_key("p", "0" * 40),
    )
    metadata = (
        envelope.to_metadata(packed, plain_size=size, part_size=part_size)
        | seal.to_metadata(closed)
        | posix
    )
    worst = budget.worst_case(
        wrap_alg=envelope.RSA_PKCS1, wrapped_size=RSA_4096, matdesc=MATDESC, prefix="p"
    )
    assert budget.metadata_size(metadata) <= worst
