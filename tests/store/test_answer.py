import logging
from xml.sax.saxutils import escape

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from ossfs.errors import StoreError, Unavailable
from ossfs.store import answer as answers
from ossfs.store import xml
from ossfs.store.answer import Answer
from ossfs.types import ObjectKey
from tests.store.test_client import store_over

KEY = ObjectKey("key")
FACTS = {"etag": '"E"', "last-modified": "Fri, 02 Jan 2026 03:04:05 GMT"}
LARGEST = 10_000 * 5 * 2**30


@pytest.mark.parametrize("size", [LARGEST, LARGEST + 1, 10**17, 2**64 - 1])
def test_no_answer_makes_an_object_larger_than_any_can_be(size: int) -> None:
    head = Answer(status=200, headers={"content-length": str(size)}, body=b"")
    headers = FACTS | {"content-range": f"bytes 0-3/{size}"}
    part = Answer(status=206, headers=headers, body=b"body")
    listing = (
        "<ListBucketResult><Contents><Key>a</Key><LastModified>2026-01-02T03:04:05.000Z"
        f"</LastModified><ETag>E</ETag><Size>{size}</Size></Contents></ListBucketResult>"
    ).encode()
    if size == LARGEST:
        assert answers.announced_size(head) == size
        assert answers.content(KEY, part, 0, 4)[0].size == size
        assert xml.parse_list(listing).entries[0].size == size
        return
    with pytest.raises(xml.BadAnswer):
        answers.announced_size(head)
    with pytest.raises(xml.BadAnswer):
        answers.content(KEY, part, 0, 4)
    with pytest.raises(xml.BadAnswer):
        xml.parse_list(listing)


_HOSTILE = st.text().map(lambda text: text + "\n2026-01-01 CRITICAL\x85\x1b[31m" + "c" * 9000)


@given(text=_HOSTILE, request_id=st.one_of(st.just(""), _HOSTILE))
def test_every_field_of_a_refusal_is_shown_in_one_short_line(text: str, request_id: str) -> None:
    inside = escape("".join(char for char in text if xml.has_xml_form(char)))
    fields = ("Code", "Message", "RequestId", "EC", "Endpoint")
    document = "".join(f"<{name}>{inside}</{name}>" for name in fields)
    headers = {"x-oss-request-id": request_id}
    body = f"<Error>{document}</Error>".encode()
    error = answers.error_of(Answer(status=400, headers=headers, body=body))
    assert error.code
    assert error.request_id
    assert error.ec
    assert all(len(field) <= 64 for field in (error.code, error.request_id, error.ec))
    assert len(str(error)) < 600
    assert str(error).isprintable()


def test_a_refusal_to_delete_is_shown_in_one_short_line() -> None:
    document = b"<DeleteResult><Error><Code>a\nb" + b"c" * 9000 + b"</Code></Error></DeleteResult>"
    with pytest.raises(StoreError) as refused:
        answers.check_deleted(Answer(status=200, headers={}, body=document))
    assert len(str(refused.value)) < 600
    assert str(refused.value).isprintable()


async def test_no_server_writes_log_lines_of_its_own(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    document = b"<Error><Code>a\nERROR ossfs: b</Code><RequestId>c\nd</RequestId></Error>"
    store = store_over(lambda request: httpx.Response(503, content=document))
    with caplog.at_level(logging.INFO), pytest.raises(Unavailable):
        await store.head(KEY)
    assert all(record.getMessage().isprintable() for record in caplog.records)
