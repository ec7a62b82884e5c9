"""PutBucketEncryption, GetBucketEncryption, DeleteBucketEncryption: the rule of a bucket."""

from ossfs.devserver import sse
from ossfs.devserver.documents import leaf, parse
from ossfs.devserver.errors import OssError
from ossfs.devserver.exchange import Exchange, xml_response
from ossfs.devserver.storage import BucketRow
from ossfs.devserver.wire import Response


def elements(bucket: BucketRow) -> str:
    """What GetBucketInfo and GetBucketEncryption say of the rule."""
    rule = sse.Encryption.of(bucket.encryption)
    if rule is None:
        return leaf("SSEAlgorithm", "None")
    told = leaf("SSEAlgorithm", rule.algorithm) + leaf("KMSMasterKeyID", rule.key_id)
    return told + (leaf("KMSDataEncryption", rule.data_algorithm) if rule.data_algorithm else "")


async def put_rule(exchange: Exchange) -> Response:
    """Replaces the rule; it acts on what is written from now on."""
    body = await exchange.document()
    node = parse(body, "ServerSideEncryptionRule").find("ApplyServerSideEncryptionByDefault")
    if node is None:
        raise OssError("MalformedXML")
    names = ("SSEAlgorithm", "KMSMasterKeyID", "KMSDataEncryption")
    algorithm, key_id, data_algorithm = ((node.findtext(name) or "").strip() for name in names)
    rule = sse.rule(algorithm, key_id, data_algorithm)
    exchange.store.set_bucket_encryption(exchange.bucket, rule.headers())
    return Response()


async def get_rule(exchange: Exchange) -> Response:
    """The rule. Raises OssError NoSuchServerSideEncryptionRule."""
    bucket = exchange.store.bucket(exchange.bucket)
    if bucket is None or not bucket.encryption:
        raise OssError("NoSuchServerSideEncryptionRule", BucketName=exchange.bucket)
    applied = "ApplyServerSideEncryptionByDefault"
    return xml_response("ServerSideEncryptionRule", f"<{applied}>{elements(bucket)}</{applied}>")


async def delete_rule(exchange: Exchange) -> Response:
    """Drops the rule if there is one; what it has encrypted stays so."""
    exchange.store.set_bucket_encryption(exchange.bucket, {})
    return Response(status=204)
