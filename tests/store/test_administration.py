"""The ACL of an object and the encryption rule of a bucket, as the documents of OSS have them."""

import httpx
import pytest

from ossfs.errors import AccessDenied, NotFound, RefusedByServer, Unavailable
from ossfs.store.administration import Acl
from ossfs.store.base import ServerEncryption
from ossfs.types import ObjectKey
from tests.store.test_client import FACTS, always, store_over, target_of

KEY = ObjectKey("key")
ACL = b"""<?xml version="1.0" ?><AccessControlPolicy>
  <Owner><ID>00220120222</ID><DisplayName>00220120222</DisplayName></Owner>
  <AccessControlList><Grant>public-read</Grant></AccessControlList></AccessControlPolicy>"""
RULE = b"""<ServerSideEncryptionRule><ApplyServerSideEncryptionByDefault>
  <SSEAlgorithm>KMS</SSEAlgorithm><KMSMasterKeyID>9468da86</KMSMasterKeyID>
  </ApplyServerSideEncryptionByDefault></ServerSideEncryptionRule>"""
NO_RULE = b"<Error><Code>NoSuchServerSideEncryptionRule</Code><Message>no</Message></Error>"
KMS = ServerEncryption(algorithm="KMS", key_id="9468da86")


async def test_an_acl_names_owner_and_grant() -> None:
    store = store_over(always(200, content=ACL))
    assert await store.administration.acl(KEY) == Acl(owner="00220120222", grant="public-read")


async def test_a_description_has_every_header_of_the_answer() -> None:
    headers = FACTS | {"Content-Length": "4", "Content-MD5": "abc", "x-oss-meta-a": "b"}
    info, found = await store_over(always(200, headers=headers)).administration.describe(KEY)
    assert (info.size, info.metadata) == (4, {"a": "b"})
    assert found.items() >= {"content-md5": "abc", "content-length": "4"}.items()


async def test_the_rule_of_a_bucket_is_read() -> None:
    assert await store_over(always(200, content=RULE)).administration.encryption() == KMS


@pytest.mark.parametrize("status", [400, 404])
async def test_a_bucket_may_have_no_rule(status: int) -> None:
    administration = store_over(always(status, content=NO_RULE)).administration
    assert await administration.encryption() is None


@pytest.mark.parametrize(
    ("encryption", "inner"),
    [
        (ServerEncryption(algorithm="AES256"), "<SSEAlgorithm>AES256</SSEAlgorithm>"),
        (
            ServerEncryption(algorithm="KMS", key_id="a&b"),
            "<SSEAlgorithm>KMS</SSEAlgorithm><KMSMasterKeyID>a&amp;b</KMSMasterKeyID>",
        ),
    ],
)
async def test_a_rule_is_set_and_deleted(encryption: ServerEncryption, inner: str) -> None:
    seen: list[tuple[str, str, str]] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        body = (await request.aread()).decode()
        seen.append((request.method, target_of(request), body))
        return httpx.Response(204 if request.method == "DELETE" else 200)

    administration = store_over(answer).administration  # type: ignore[arg-type]
    await administration.set_encryption(encryption)
    await administration.delete_encryption()
    outer = ("ServerSideEncryptionRule", "ApplyServerSideEncryptionByDefault")
    document = f"<{outer[0]}><{outer[1]}>{inner}</{outer[1]}></{outer[0]}>"
    assert seen == [("PUT", "/?encryption", document), ("DELETE", "/?encryption", "")]


async def test_an_unknown_algorithm_is_refused_before_anything_is_sent() -> None:
    store = store_over(always(500))
    with pytest.raises(RefusedByServer):
        await store.administration.set_encryption(ServerEncryption(algorithm="ROT13"))


async def test_refusals_come_out_as_such() -> None:
    denied = store_over(always(403, content=b"<Error><Code>AccessDenied</Code></Error>"))
    with pytest.raises(AccessDenied):
        await denied.administration.acl(KEY)
    with pytest.raises(AccessDenied):
        await denied.administration.encryption()
    with pytest.raises(NotFound):
        await store_over(always(404)).administration.describe(KEY)


@pytest.mark.parametrize("document", [b"<Other/>", b"<ServerSideEncryptionRule/>", b"x"])
async def test_what_is_no_rule_is_no_answer(document: bytes) -> None:
    with pytest.raises(Unavailable):
        await store_over(always(200, content=document), retries=0).administration.encryption()
