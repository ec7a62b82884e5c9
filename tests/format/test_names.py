"""Which names and keys there are, and which are hidden."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.errors import InvalidArgument, NameTooLong
from ossfs.format import names
from tests.format.strategies import TEXT

PREFIXES = st.sampled_from(["", "a", "team/文"])
COMPONENTS = TEXT.filter(names.is_component)
PATHS = st.lists(COMPONENTS, min_size=1, max_size=5).map(tuple)


@pytest.mark.parametrize(
    "name", ["a", "...", " ", "-", ".ossf", ".ossfs2", "文件", "\\", "a\nb", "é" * 127]
)
def test_an_ordinary_name_is_a_component(name: str) -> None:
    assert names.is_component(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".ossfs", "a/b", "/", "a\0", "a" * 256, "é" * 128, "\ud800"]
)
def test_a_name_that_no_file_may_have_is_no_component(name: str) -> None:
    assert not names.is_component(name)


@given(PREFIXES, PATHS, st.booleans())
def test_a_key_leads_back_to_its_path(prefix: str, path: tuple[str, ...], directory: bool) -> None:
    try:
        key = names.object_key(prefix, path, directory=directory)
    except InvalidArgument:
        assert not prefix
        assert path[0].startswith("\\")
        return
    assert key.endswith("/") == directory
    assert names.path_of(key, prefix) == path


@given(TEXT, PREFIXES)
def test_every_key_is_hidden_or_leads_back_to_itself(key: str, prefix: str) -> None:
    path = names.path_of(key, prefix)
    if path:
        directory = key.endswith("/")
        if not key.startswith("\\"):
            assert names.object_key(prefix, path, directory=directory) == key


@pytest.mark.parametrize(
    "key",
    [
        "p",
        "q/a",
        "p//a",
        "p/a//b",
        "p/./a",
        "p/../a",
        "p/a/..",
        "p/.ossfs/tags/x",
        "p/a/.ossfs/",
        "p/a\0",
    ],
)
def test_a_key_that_is_no_path_is_hidden(key: str) -> None:
    assert names.path_of(key, "p") is None


def test_the_root_may_have_a_marker_below_a_prefix_only() -> None:
    assert names.object_key("p", (), directory=True) == "p/"
    assert names.path_of("p/", "p") == ()
    with pytest.raises(InvalidArgument):
        names.object_key("", ())


def test_a_key_has_1023_bytes_at_most() -> None:
    path = ("a" * 255, "b" * 255, "c" * 255, "d" * 255)
    assert len(names.object_key("", path)) == 1023
    with pytest.raises(NameTooLong):
        names.object_key("", path, directory=True)
    with pytest.raises(NameTooLong):
        names.object_key("p", path)


@given(PREFIXES, st.binary(min_size=20, max_size=20))
def test_a_sidecar_key_is_recognised_and_hidden(prefix: str, name: bytes) -> None:
    key = names.sidecar_key(prefix, name.hex())
    assert names.is_sidecar_key(key)
    assert names.path_of(key, prefix) is None
    assert names.path_of(key, "") is None
