import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.store import xml
from ossfs.store.base import Part, ServerEncryption
from ossfs.types import ETag

_LIST = b"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://doc.oss-cn-hangzhou.aliyuncs.com">
  <Name>b</Name><Prefix>a+b%2F</Prefix><EncodingType>url</EncodingType>
  <IsTruncated>true</IsTruncated><NextContinuationToken>CgJiYw--</NextContinuationToken>
  <Contents><Key>a+b%2F%E6%96%87%2B</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>
    <ETag>"5B3C1A2E053D763E1B002CC607C5A0FE"</ETag><Type>Multipart</Type><Size>344606</Size>
    <StorageClass>IA</StorageClass></Contents>
  <CommonPrefixes><Prefix>a+b%2Fd%2F</Prefix></CommonPrefixes>
</ListBucketResult>"""
_ERROR = b"""<Error><Code>AccessDenied</Code><Message>no</Message><RequestId>1</RequestId>
<EC>0003-1</EC><Endpoint>oss-cn-beijing.aliyuncs.com</Endpoint></Error>"""
_PARSERS: list[tuple[Callable[[bytes], object], bytes]] = [
    (xml.parse_list, _LIST),
    (xml.parse_error, _ERROR),
    (
        xml.parse_initiate,
        b"<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>",
    ),
    (
        xml.parse_complete,
        b'<CompleteMultipartUploadResult><ETag>"E-1"</ETag></CompleteMultipartUploadResult>',
    ),
    (xml.parse_copy, b'<CopyObjectResult><ETag>"E"</ETag></CopyObjectResult>'),
    (xml.parse_tags, b"<Tagging><TagSet><Tag><Key>k</Key><Value/></Tag></TagSet></Tagging>"),
    (xml.parse_bucket_info, b"<BucketInfo><Bucket><Name>b</Name></Bucket></BucketInfo>"),
]


def test_a_listing_is_decoded_and_its_namespace_ignored() -> None:
    page = xml.parse_list(_LIST)
    (entry,) = page.entries
    assert entry.key == "a b/\u6587+"
    assert entry.etag == "5B3C1A2E053D763E1B002CC607C5A0FE"
    assert entry.modified_ns == 1767323045 * 10**9
    assert (entry.size, entry.object_type, entry.storage_class) == (344606, "Multipart", "IA")
    assert list(page.prefixes) == ["a b/d/"]
    assert page.next_token == "CgJiYw--"


def test_names_are_taken_as_they_are_without_an_encoding() -> None:
    plain = _LIST.replace(b"<EncodingType>url</EncodingType>", b"")
    assert xml.parse_list(plain).entries[0].key == "a+b%2F%E6%96%87%2B"


def test_an_error_names_the_right_endpoint() -> None:
    document = xml.parse_error(_ERROR)
    assert (document.code, document.ec) == ("AccessDenied", "0003-1")
    assert document.endpoint == "oss-cn-beijing.aliyuncs.com"


def test_the_results_of_writes_give_what_is_needed() -> None:
    parsed = [parse(document) for parse, document in _PARSERS[2:6]]
    assert parsed == ["U", "E-1", "E", {"k": ""}]


def test_a_bucket_tells_its_encryption() -> None:
    document = (
        b"<BucketInfo><Bucket><Name>b</Name><Location>oss-x</Location><Versioning>Enabled"
        b"</Versioning><ServerSideEncryptionRule><SSEAlgorithm>KMS</SSEAlgorithm>"
        b"<KMSMasterKeyID>k</KMSMasterKeyID></ServerSideEncryptionRule></Bucket></BucketInfo>"
    )
    info = xml.parse_bucket_info(document)
    assert info.encryption == ServerEncryption(algorithm="KMS", key_id="k")
    assert info.versioning == "Enabled"
    without = document.replace(b"<SSEAlgorithm>KMS", b"<SSEAlgorithm>None")
    assert xml.parse_bucket_info(without).encryption is None


def test_the_first_failed_deletion_is_found() -> None:
    assert xml.parse_delete(b"") is None
    assert xml.parse_delete(b"<DeleteResult><Deleted><Key>a</Key></Deleted></DeleteResult>") is None
    document = xml.parse_delete(
        b"<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code></Error></DeleteResult>"
    )
    assert document is not None
    assert document.code == "AccessDenied"


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<",
        b"<Other/>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><Error><Code>&a;</Code></Error>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><Error/>',
        b'<?xml version="1.0" encoding="utf-99"?><Error/>',
        b'<?xml version="1.0" encoding="euc-jp"?><Error/>',
        b"\xff\xfe<",
        b"<html><body>Bad gateway</body></html>",
    ],
)
@pytest.mark.parametrize("parse", [parse for parse, _ in _PARSERS])
def test_hostile_documents_are_bad_answers(
    document: bytes, parse: Callable[[bytes], object]
) -> None:
    with pytest.raises(xml.BadAnswer):
        parse(document)


@pytest.mark.parametrize(
    ("part", "broken"),
    [
        (b"344606", b"-1"),
        (b"344606", b"1e3"),
        (b"344606", b"9" * 5000),
        (b"2026-01-02T03:04:05.000Z", b"yesterday"),
        (b"2026-01-02T03:04:05.000Z", b"2026-01-02T03:04:05"),
        (b"2026-01-02T03:04:05.000Z", b"9999-99-99T03:04:05.000Z"),
        (b"%E6%96%87", b"%FF"),
        (b'"5B3C1A2E053D763E1B002CC607C5A0FE"', b'""'),
        (b"CgJiYw--", b""),
    ],
)
def test_a_listing_with_a_broken_field_is_a_bad_answer(part: bytes, broken: bytes) -> None:
    with pytest.raises(xml.BadAnswer):
        xml.parse_list(_LIST.replace(part, broken))


@given(st.sampled_from(_PARSERS), st.data())
def test_damaged_documents_raise_nothing_but_bad_answer(
    parser: tuple[Callable[[bytes], object], bytes], data: st.DataObject
) -> None:
    parse, document = parser
    damaged = bytearray(document[: data.draw(st.integers(0, len(document)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if damaged:
            at = data.draw(st.integers(0, len(damaged) - 1))
            damaged[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(xml.BadAnswer):
        parse(bytes(damaged))


def test_bodies_are_escaped() -> None:
    parts = [Part(number=1, etag=ETag("E<")), Part(number=2, etag=ETag("F"))]
    assert xml.complete_body(parts) == (
        b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>E&lt;</ETag></Part>"
        b"<Part><PartNumber>2</PartNumber><ETag>F</ETag></Part></CompleteMultipartUpload>"
    )
    assert b"<Key>a&amp;&#13;\n</Key>" in xml.delete_body(["a&\r\n"])
    assert b"<Value>&gt;</Value>" in xml.tagging_body({"k": ">"})


def test_only_some_names_have_a_form_in_xml() -> None:
    assert all(xml.has_xml_form(name) for name in ("a b", "\t\r\n", "\U0001f600", "&<"))
    assert not any(xml.has_xml_form(name) for name in ("\x00", "a\x1f", "\uffff", "\x0b"))
