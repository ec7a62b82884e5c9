import pytest

from ossfs.store import answer as answers
from ossfs.store import xml
from ossfs.store.answer import Answer
from ossfs.types import ObjectKey

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
