"""Both range behaviours against a model that is written the other way round."""

import oss2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ossfs.devserver import ranges
from ossfs.devserver.errors import OssError
from tests.devserver.clients import Clients

BODY = bytes(range(100))
_OFFSETS = st.none() | st.integers(0, 130)


def expected(first: int | None, last: int | None, size: int, *, standard: bool) -> str | bytes:
    """The bytes of a 206, "whole" for a 200, "refused" for a 416: byte by byte."""
    if first is None and last is None:
        return "whole"
    if first is not None and last is not None and last < first:
        return "whole"
    if first is None:
        assert last is not None
        wanted = range(size - last, size)
    else:
        wanted = range(first, size if last is None else last + 1)
    there = [offset for offset in wanted if 0 <= offset < size]
    if standard:
        return BODY[there[0] : there[-1] + 1] if there else "refused"
    return (
        bytes(BODY[offset] for offset in there) if there and len(there) == len(wanted) else "whole"
    )


@given(first=_OFFSETS, last=_OFFSETS, size=st.integers(0, 100), standard=st.booleans())
@example(first=0, last=0, size=0, standard=True)
@example(first=None, last=0, size=10, standard=True)
def test_a_range_is_resolved_as_the_model_does(
    first: int | None, last: int | None, size: int, standard: bool
) -> None:
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    answer: str | bytes
    try:
        found = ranges.resolve(header, size, standard=standard)
        answer = "whole" if found is None else BODY[found[0] : found[0] + found[1]]
    except OssError as refusal:
        answer = "refused" if refusal.code == "InvalidRange" else refusal.code
    assert answer == expected(first, last, size, standard=standard)


@pytest.mark.parametrize("header", ["bytes=1-2,4-5", "items=1-2", "bytes=a-b", "bytes=-", None])
def test_what_is_no_single_range_is_ignored(header: str | None) -> None:
    assert ranges.resolve(header, 10, standard=True) is None


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(start=st.integers(0, 120), length=st.integers(1, 120), standard=st.booleans())
def test_the_range_of_a_get_is_what_the_sdk_receives(
    shared: Clients, start: int, length: int, standard: bool
) -> None:
    shared.bucket.put_object("ranged", BODY)
    end = start + length - 1
    model = expected(start, end, len(BODY), standard=standard)
    answer: str | bytes
    headers = {"x-oss-range-behavior": "standard"} if standard else None
    try:
        found = shared.bucket.get_object("ranged", byte_range=(start, end), headers=headers)
    except oss2.exceptions.ServerError as error:
        answer = "refused" if error.status == 416 else error.code
    else:
        answer = found.read() if found.status == 206 else "whole"
    assert answer == model
    if answer == "refused":
        return
    if found.status == 206:
        last = min(end, len(BODY) - 1)
        assert found.headers["Content-Range"] == f"bytes {start}-{last}/{len(BODY)}"
