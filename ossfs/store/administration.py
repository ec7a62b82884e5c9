"""What commands ask of OSS beside a mount: the ACL of an object, the encryption rule of the bucket.

Rule and ACL are described in the pages of PutBucketEncryption and GetObjectACL of the OSS API.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final
from xml.sax.saxutils import escape

from ossfs.errors import StoreError
from ossfs.store import answer as answers
from ossfs.store import call as calls
from ossfs.store import rules
from ossfs.store.answer import Answer
from ossfs.store.base import ObjectInfo, ServerEncryption
from ossfs.store.call import Call
from ossfs.store.client import Client
from ossfs.store.xml import BadAnswer, parse_document, text_of
from ossfs.types import Buffer, ObjectKey

_NO_RULE = "NoSuchServerSideEncryptionRule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acl:
    """Who owns an object (the id of the account) and who else may use it.

    grant: `default` (as the bucket's), `private`, `public-read` or `public-read-write`.
    """

    owner: str
    grant: str


@final
class Administration:
    """Of one bucket; made by `OssStore`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def describe(self, key: ObjectKey) -> tuple[ObjectInfo, Mapping[str, str]]:
        """HeadObject, and all headers of the answer, names in lower case. Raises NotFound."""
        rules.check_key(key)

        def read(answer: Answer) -> tuple[ObjectInfo, Mapping[str, str]]:
            info = answers.object_info(key, answer.headers, answers.announced_size(answer))
            return info, answer.headers

        return await self._client.call(calls.head(key), read)

    async def acl(self, key: ObjectKey) -> Acl:
        """GetObjectACL. Raises NotFound, AccessDenied, StoreError."""
        rules.check_key(key)
        call = Call(operation="GetObjectACL", method="GET", key=key, query=(("acl", None),))
        return await self._client.call(call, lambda answer: parse_acl(answer.body))

    async def encryption(self) -> ServerEncryption | None:
        """GetBucketEncryption: the rule for objects that ask for none; None where there is none."""
        try:
            return await self._client.call(
                _encryption_call("GetBucketEncryption", "GET"),
                lambda answer: parse_encryption(answer.body),
            )
        except StoreError as error:
            # Some pages say 404, others 400.
            if error.code == _NO_RULE:
                return None
            raise

    async def set_encryption(self, encryption: ServerEncryption) -> None:
        """PutBucketEncryption: the rule for every new object that asks for none itself."""
        rules.check_server_side(encryption, None)
        call = _encryption_call("PutBucketEncryption", "PUT", encryption_body(encryption))
        await self._client.call(call, lambda _answer: None)

    async def delete_encryption(self) -> None:
        """DeleteBucketEncryption; no error where there is no rule."""
        await self._client.call(
            _encryption_call("DeleteBucketEncryption", "DELETE"), lambda _answer: None
        )


def _encryption_call(operation: str, method: str, body: Buffer = b"") -> Call:
    return Call(
        operation=operation,
        method=method,
        query=(("encryption", None),),
        headers={"content-type": "application/xml"} if body else {},
        body=body,
    )


def parse_acl(document: Buffer) -> Acl:
    """An `<AccessControlPolicy>`. Raises BadAnswer."""
    tree = parse_document(document, "AccessControlPolicy")
    return Acl(owner=text_of(tree, "Owner/ID"), grant=text_of(tree, "AccessControlList/Grant"))


def parse_encryption(document: Buffer) -> ServerEncryption:
    """A `<ServerSideEncryptionRule>`. Raises BadAnswer."""
    rule = parse_document(document, "ServerSideEncryptionRule").find(
        "ApplyServerSideEncryptionByDefault"
    )
    algorithm = "" if rule is None else text_of(rule, "SSEAlgorithm")
    if rule is None or not algorithm:
        raise BadAnswer("the answer lacks SSEAlgorithm")
    return ServerEncryption(algorithm=algorithm, key_id=text_of(rule, "KMSMasterKeyID") or None)


def encryption_body(encryption: ServerEncryption) -> bytes:
    """The body of PutBucketEncryption."""
    key = ""
    if encryption.key_id is not None:
        key = f"<KMSMasterKeyID>{escape(encryption.key_id)}</KMSMasterKeyID>"
    return (
        "<ServerSideEncryptionRule><ApplyServerSideEncryptionByDefault>"
        f"<SSEAlgorithm>{encryption.algorithm}</SSEAlgorithm>{key}"
        "</ApplyServerSideEncryptionByDefault></ServerSideEncryptionRule>"
    ).encode()
