"""What a data key derives, and that it keeps its secret."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.crypto.datakey import DataKey, is_usable_iv
from ossfs.errors import IntegrityError

SECRET = bytes(range(32))
KEYS = st.binary(min_size=32, max_size=32)


@given(st.binary(max_size=80).filter(lambda raw: len(raw) != 32))
def test_anything_but_32_bytes_is_no_data_key(raw: bytes) -> None:
    with pytest.raises(IntegrityError):
        DataKey(raw)


def test_fresh_keys_differ() -> None:
    assert len({DataKey.generate().reveal() for _ in range(100)}) == 100


def test_the_secret_stands_in_no_text() -> None:
    key = DataKey(SECRET)
    for text in (repr(key), str(key), f"{key}", f"{[key]}"):
        assert text.strip("[]") == "<DataKey>"


def test_a_data_key_is_neither_pickled_nor_copied() -> None:
    key = DataKey(SECRET)
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            attempt(key)


def test_a_data_key_compares_by_identity_alone() -> None:
    assert DataKey(SECRET) != DataKey(SECRET)


@given(KEYS)
def test_the_derived_iv_is_one_that_every_sdk_counts_alike(raw: bytes) -> None:
    iv = DataKey(raw).iv()
    assert is_usable_iv(iv)
    assert iv == DataKey(raw).iv()


@given(KEYS, st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_each_iv_has_tag_head_and_sidecar_of_its_own(raw: bytes, one: bytes, two: bytes) -> None:
    key = DataKey(raw)
    derived = {key.tag_key(one), key.head_key(one), key.tag_key(two), key.head_key(two)}
    assert len(derived) == (2 if one == two else 4)
    assert (key.sidecar_name(one) == key.sidecar_name(two)) == (one == two)
    assert len(key.sidecar_name(one)) == 40


@pytest.mark.parametrize("iv", [b"", bytes(15), bytes(17), b"\0" * 8 + b"\0\0\0\1" + b"\0" * 4])
def test_an_iv_of_another_form_is_not_usable(iv: bytes) -> None:
    assert not is_usable_iv(iv)
