"""Seals come back as written and accept the right key for the right object alone."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.crypto.datakey import DataKey
from ossfs.crypto.tags import chunk_count
from ossfs.errors import IntegrityError, Unsupported
from ossfs.format import seal as seals
from ossfs.format.names import sidecar_key
from ossfs.format.seal import Seal
from tests.format.strategies import HOSTILE_METADATA

MIB = 1 << 20
KEY = DataKey(bytes(range(32)))
SIDECAR = sidecar_key("dir a/文", KEY.sidecar_name(KEY.iv()))
SIZES = st.one_of(st.just(0), st.integers(1, 32 * MIB), st.integers(32 * MIB + 1, 100 * MIB))


def sealed(size: int, file_type: int = 8) -> Seal:
    tags = bytes(i & 255 for i in range(chunk_count(size) * 16))
    return seals.make(KEY, file_type=file_type, size=size, tags=tags, sidecar=SIDECAR)


def refused(headers: dict[str, str], size: int) -> bool:
    """Whether the headers are refused, by their form or by the key."""
    try:
        seal = seals.parse(headers, size)
    except IntegrityError:
        return True
    return seal is None or not seal.accepts(KEY, file_type=8, size=size)


@given(SIZES)
def test_a_seal_comes_back_and_accepts_its_key(size: int) -> None:
    seal = sealed(size)
    parsed = seals.parse(seals.to_metadata(seal), size)
    assert parsed == seal
    assert parsed.accepts(KEY, file_type=8, size=size)


def test_tags_stand_in_the_header_up_to_32_mib_and_in_a_sidecar_above() -> None:
    small, large = seals.to_metadata(sealed(32 * MIB)), seals.to_metadata(sealed(32 * MIB + 1))
    assert "ossfs-tags" in small
    assert "ossfs-sidecar" not in small
    assert "ossfs-tags" not in large
    assert large["ossfs-sidecar"].startswith("dir%20a/%E6%96%87/.ossfs/tags/")
    assert seals.to_metadata(sealed(0)).keys().isdisjoint({"ossfs-tags", "ossfs-sidecar"})


@given(SIZES, st.integers(0, 40), st.integers(0, 7), st.sampled_from(["tagsum", "head", "tags"]))
def test_any_flipped_bit_is_refused(size: int, position: int, bit: int, field: str) -> None:
    seal = sealed(size)
    old = getattr(seal, field)
    if not old:
        return
    new = bytearray(old)
    new[position % len(old)] ^= 1 << bit
    damage: dict[str, Any] = {field: bytes(new)}
    changed = dataclasses.replace(seal, **damage)
    assert not changed.accepts(KEY, file_type=8, size=size)


@given(SIZES, SIZES, st.integers(0, 15))
def test_another_size_type_or_key_is_refused(size: int, other: int, file_type: int) -> None:
    headers = seals.to_metadata(sealed(size))
    if other != size:
        assert refused(headers, other)
    seal = sealed(size)
    assert seal.accepts(KEY, file_type=file_type, size=size) == (file_type == 8)
    assert not seal.accepts(DataKey(bytes(32)), file_type=8, size=size)


@pytest.mark.parametrize("chunk", ["", "0", "65535", "131072", "262144", "065536"])
def test_a_chunk_size_that_the_size_does_not_imply_is_refused(chunk: str) -> None:
    headers = seals.to_metadata(sealed(100)) | {"ossfs-chunk": chunk}
    with pytest.raises(IntegrityError):
        seals.parse(headers, 100)


@pytest.mark.parametrize("name", ["chunk", "tagsum", "head", "tags"])
def test_a_missing_or_malformed_header_is_refused(name: str) -> None:
    headers = seals.to_metadata(sealed(100))
    with pytest.raises(IntegrityError):
        seals.parse({**headers, f"ossfs-{name}": "YQ=="}, 100)
    del headers[f"ossfs-{name}"]
    with pytest.raises(IntegrityError):
        seals.parse(headers, 100)


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "..", "%ff/.ossfs/tags/" + "a" * 40, "/.ossfs/tags/" + "a" * 40),
        *(".ossfs/tags/" + "A" * 40, "x.ossfs/tags/" + "a" * 40, ".ossfs/tags/" + "a" * 41),
        *("a/.ossfs/tags/" + "a" * 40 + "\n", "a%00/.ossfs/tags/" + "a" * 40, "\\" * 1000),
    ],
)
def test_a_sidecar_that_cannot_be_believed_counts_as_lost(text: str) -> None:
    size = 32 * MIB + 1
    headers = seals.to_metadata(sealed(size)) | {"ossfs-sidecar": text}
    seal = seals.parse(headers, size)
    assert seal is not None
    assert seal.sidecar is None
    assert seal.accepts(KEY, file_type=8, size=size)


def test_a_sidecar_below_another_prefix_is_believed() -> None:
    size = 32 * MIB + 1
    for key in (".ossfs/tags/" + "a" * 40, "moved here/.ossfs/tags/" + "0" * 40):
        headers = seals.to_metadata(sealed(size)) | {"ossfs-sidecar": key}
        seal = seals.parse(headers, size)
        assert seal is not None
        assert seal.sidecar == key


def test_a_newer_format_is_named_and_refused() -> None:
    headers = seals.to_metadata(sealed(1))
    with pytest.raises(Unsupported, match="newer version"):
        seals.parse({**headers, "ossfs-format": "2"}, 1)
    for version in ("", "0", "01", "-1", "1.0", "9" * 30):
        with pytest.raises(IntegrityError):
            seals.parse({**headers, "ossfs-format": version}, 1)


def test_a_seal_is_made_of_all_tags_and_above_32_mib_with_a_sidecar() -> None:
    with pytest.raises(ValueError, match="number of tags"):
        seals.make(KEY, file_type=8, size=1, tags=b"", sidecar=None)
    large = 32 * MIB + 1
    with pytest.raises(ValueError, match="sidecar"):
        seals.make(KEY, file_type=8, size=large, tags=bytes(513 * 16), sidecar=None)


@given(HOSTILE_METADATA, SIZES)
def test_hostile_headers_raise_documented_errors_only(metadata: dict[str, str], size: int) -> None:
    try:
        seal = seals.parse(metadata, size)
    except (IntegrityError, Unsupported):
        return
    if seal is not None:
        assert not seal.accepts(KEY, file_type=8, size=size)
