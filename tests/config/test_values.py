"""Readers of values, addresses, and the names of local state."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.config.address import parse_bucket_url, parse_object_url
from ossfs.config.state import default_state_dir, mount_state
from ossfs.config.values import byte_count, show_size
from ossfs.errors import UsageError


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("65536", 65536),
        ("64KiB", 65536),
        ("64K", 65536),
        ("64kib", 65536),
        ("64KB", 64000),
        ("8m", 8 << 20),
        ("128MiB", 128 << 20),
        ("1.5G", 3 << 29),
        ("2 TiB", 2 << 40),
        ("10B", 10),
    ],
)
def test_a_size_is_read(text: str, count: int) -> None:
    assert byte_count(text) == count


@pytest.mark.parametrize("text", ["", "-1", "k", "1x", "1KiBs", "0x10", "1,5M", "1e3"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        byte_count(text)


@given(st.integers(0, 2**50))
def test_a_shown_size_reads_as_itself(count: int) -> None:
    assert byte_count(show_size(count)) == count


@pytest.mark.parametrize(
    ("text", "bucket", "prefix"),
    [
        ("oss://abc", "abc", ""),
        ("oss://abc/", "abc", ""),
        ("oss://abc/x/y/", "abc", "x/y"),
        ("oss://my-bucket-1/ü b", "my-bucket-1", "ü b"),
    ],
)
def test_a_bucket_address_is_read(text: str, bucket: str, prefix: str) -> None:
    url = parse_bucket_url(text)
    assert (url.bucket, url.prefix) == (bucket, prefix)
    assert parse_bucket_url(str(url)) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "s3://abc",
        "oss://",
        "oss:///x",
        "oss://ab",
        "oss://-abc",
        "oss://ABC",
        "oss://a_b_c",
        "oss://" + "a" * 64,
        "oss://abc/x//y",
        "oss://abc/../y",
        "oss://abc/.ossfs/y",
        "oss://abc/" + "x" * 256,
        "oss://abc/" + "/".join(["x" * 100] * 10),
        "oss://abc/\0",
        "oss://abc/\udcff",
    ],
)
def test_what_is_no_bucket_address_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_bucket_url(text)
    assert "\n" not in str(caught.value)


def test_an_object_address_keeps_its_key_as_it_is() -> None:
    assert parse_object_url("oss://abc/x//y/") == ("abc", "x//y/")
    with pytest.raises(UsageError, match="names a bucket"):
        parse_object_url("oss://abc/")


def test_each_bucket_prefix_and_mount_point_has_files_of_its_own() -> None:
    seen = {
        mount_state(Path("/s"), bucket=bucket, prefix=prefix, mountpoint=Path(where)).directory
        for bucket in ("abc", "abd")
        for prefix in ("", "x", "x/y")
        for where in ("/mnt", "/mnt/a", "/m\udcff")
    }
    assert len(seen) == 18
    assert all(path.parent == Path("/s/mounts") for path in seen)


@pytest.mark.parametrize(
    ("environ", "uid", "expected"),
    [
        ({"XDG_STATE_HOME": "/x", "HOME": "/h"}, 0, "/x/ossfs"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/h"}, 1, "/h/.local/state/ossfs"),
        ({"HOME": "/h"}, 1, "/h/.local/state/ossfs"),
        ({"HOME": "/root"}, 0, "/var/lib/ossfs"),
        ({}, 0, "/var/lib/ossfs"),
        ({}, 1, "/var/lib/ossfs"),
    ],
)
def test_state_has_one_place_for_each_user(
    environ: dict[str, str], uid: int, expected: str
) -> None:
    assert default_state_dir(environ, uid) == Path(expected)
