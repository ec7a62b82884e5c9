"""POSIX attributes come back from headers and tags; hostile ones turn into defaults."""

import dataclasses
import re
import urllib.parse

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ossfs.errors import NoAttributeRoom
from ossfs.format import attributes as attribute_format
from ossfs.format.attributes import ATTR_TAG, XATTR_TAG, Attributes
from ossfs.format.fields import print_base64
from tests.format.strategies import ATTRIBUTES, CRCS, HOSTILE_METADATA, HOSTILE_TEXT, XATTRS

DEFAULTS = Attributes(
    mode=0o100640, uid=1, gid=2, atime_ns=3, mtime_ns=4, ctime_ns=5, xattrs={b"user.d": b"d"}
)
DIRECTORY = dataclasses.replace(DEFAULTS, mode=0o40750)
PLAIN = dataclasses.replace(DEFAULTS, xattrs={})

TAG_VALUE = re.compile(r"[A-Za-z0-9 +\-=._:/]{0,256}", re.ASCII)


def with_mode(mode: str, size: int = 0) -> int:
    return attribute_format.from_metadata({"mode": mode}, DEFAULTS, size=size).mode


@given(ATTRIBUTES)
def test_headers_bring_back_what_was_written(attrs: Attributes) -> None:
    headers = attribute_format.to_metadata(attrs)
    assert all(value.isascii() and value.isprintable() for value in headers.values())
    assert attribute_format.from_metadata(headers, PLAIN, size=9) == attrs


def test_the_headers_are_those_of_ossfs_1() -> None:
    attrs = Attributes(
        mode=0o100644,
        uid=1000,
        gid=100,
        atime_ns=1_700_000_000_000_000_005,
        mtime_ns=0,
        ctime_ns=-1,
        xattrs={b"user.b": b"2", b"user.a": b""},
    )
    headers = attribute_format.to_metadata(attrs)
    assert urllib.parse.unquote(headers.pop("xattr")) == '{"user.a":"","user.b":"Mg=="}'
    assert headers == {
        "mode": "33188",
        "uid": "1000",
        "gid": "100",
        "atime": "1700000000.000000005",
        "mtime": "0.000000000",
        "ctime": "-1.999999999",
    }


@given(HOSTILE_METADATA, st.integers(0, 1 << 50))
def test_hostile_headers_never_raise_and_never_make_a_device(
    metadata: dict[str, str], size: int
) -> None:
    attrs = attribute_format.from_metadata(metadata, DEFAULTS, size=size)
    assert attrs.mode >> 12 in ({8, 10} if size else {8, 10, 1, 12})
    assert 0 <= attrs.uid < (1 << 32) - 1
    assert attribute_format.of_directory(metadata, DIRECTORY).mode >> 12 == 4


@pytest.mark.parametrize(
    "mode",
    ["", "420", "0100644", "16877", "24992", "8612", "41380", "65535", "-1", "33188 ", "1e4"],
)
def test_a_mode_that_no_file_can_have_gives_the_default(mode: str) -> None:
    assert with_mode(mode) == DEFAULTS.mode


def test_fifos_and_sockets_are_empty() -> None:
    for mode in (0o010644, 0o140755):
        assert with_mode(str(mode)) == mode
        assert with_mode(str(mode), size=1) == DEFAULTS.mode


def test_one_bad_field_spoils_no_other() -> None:
    good = attribute_format.to_metadata(dataclasses.replace(DEFAULTS, uid=7))
    for name in good:
        attrs = attribute_format.from_metadata(good | {name: "?"}, DEFAULTS, size=0)
        assert attrs == (DEFAULTS if name == "uid" else dataclasses.replace(DEFAULTS, uid=7))


@pytest.mark.parametrize(
    "text",
    [
        '{"":"YQ=="}',
        '{"a\\u0000b":"YQ=="}',
        '{"a":"?"}',
        '{"a":1}',
        '{"\\ud800":"YQ=="}',
        "%",
        "{}x",
    ],
)
def test_malformed_xattrs_give_the_default(text: str) -> None:
    headers = {"xattr": urllib.parse.quote(text)}
    assert attribute_format.from_metadata(headers, DEFAULTS, size=0) == DEFAULTS


@given(st.integers(1, 4000))
def test_xattrs_have_2048_bytes_and_not_one_more(length: int) -> None:
    attrs = dataclasses.replace(DEFAULTS, xattrs={b"user.a": bytes(length)})
    try:
        assert len(attribute_format.to_metadata(attrs)["xattr"]) <= 2048
    except NoAttributeRoom:
        assert length > 1200


@given(ATTRIBUTES, CRCS, XATTRS)
def test_tags_bring_back_what_was_written(
    attrs: Attributes, crc64: int, header_xattrs: dict[bytes, bytes]
) -> None:
    base = dataclasses.replace(DEFAULTS, mode=attrs.file_type << 12, xattrs=header_xattrs)
    stored = attribute_format.to_metadata(base)
    try:
        tags = attribute_format.to_tags(attrs, crc64, stored=stored)
    except NoAttributeRoom:
        assert attrs.xattrs != header_xattrs
        return
    assert all(TAG_VALUE.fullmatch(value) for value in tags.values())
    assert (XATTR_TAG in tags) == (attrs.xattrs != header_xattrs)
    assert attribute_format.from_tags(tags, crc64, base) == attrs


def test_the_tag_has_its_eight_fields() -> None:
    tags = attribute_format.to_tags(DEFAULTS, 99, stored={})
    assert tags[ATTR_TAG] == "1:33184:1:2:0.000000003:0.000000004:0.000000005:99"
    assert tags[XATTR_TAG] == print_base64(b'{"user.d":"ZA=="}')


def test_removing_all_xattrs_is_said_by_an_empty_map() -> None:
    stored = attribute_format.to_metadata(DEFAULTS)
    tags = attribute_format.to_tags(PLAIN, 7, stored=stored)
    assert tags[XATTR_TAG] == print_base64(b"{}")
    assert attribute_format.from_tags(tags, 7, DEFAULTS) == PLAIN


@given(ATTRIBUTES, CRCS, st.none() | CRCS)
def test_a_tag_for_another_version_is_ignored(
    attrs: Attributes, crc64: int, other: int | None
) -> None:
    assume(other != crc64)
    tags = attribute_format.to_tags(dataclasses.replace(attrs, xattrs={}), crc64, stored={})
    base = dataclasses.replace(DEFAULTS, mode=attrs.mode)
    assert attribute_format.from_tags(tags, other, base) is base


def test_a_tag_never_changes_the_type() -> None:
    link = dataclasses.replace(PLAIN, mode=0o120777)
    tags = attribute_format.to_tags(link, 7, stored={})
    assert attribute_format.from_tags(tags, 7, PLAIN) is PLAIN


@given(ATTRIBUTES, CRCS, st.integers(0, 7), HOSTILE_TEXT)
def test_a_malformed_tag_is_ignored(
    attrs: Attributes, crc64: int, position: int, text: str
) -> None:
    base = dataclasses.replace(DEFAULTS, mode=attrs.mode)
    value = attribute_format.to_tags(PLAIN, crc64, stored={})[ATTR_TAG].split(":")
    value[position] = text
    found = attribute_format.from_tags({ATTR_TAG: ":".join(value)}, crc64, base)
    assert found.file_type == base.file_type
    assert found.xattrs == base.xattrs


def test_an_xattr_tag_alone_or_malformed_changes_nothing() -> None:
    tags = attribute_format.to_tags(PLAIN, 7, stored={})
    removed = {XATTR_TAG: print_base64(b"{}")}
    assert attribute_format.from_tags(removed, 7, DEFAULTS) is DEFAULTS
    for text in ("?", print_base64(b"[]"), print_base64(b"\xff")):
        found = attribute_format.from_tags(tags | {XATTR_TAG: text}, 7, DEFAULTS)
        assert found.xattrs == DEFAULTS.xattrs


def test_foreign_tags_are_told_from_ours() -> None:
    tags = {ATTR_TAG: "1", XATTR_TAG: "2", "team": "a", "ossfs.other": "b"}
    assert attribute_format.foreign_tags(tags) == {"team": "a", "ossfs.other": "b"}
