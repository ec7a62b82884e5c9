"""GetObjectACL, PutObjectACL, GetBucketAcl: kept and told; every request must be signed anyway."""

from ossfs.devserver.documents import OWNER, leaf
from ossfs.devserver.errors import OssError
from ossfs.devserver.exchange import Exchange, xml_response
from ossfs.devserver.wire import Response


def _policy(grant: str) -> Response:
    granted = f"<AccessControlList>{leaf('Grant', grant)}</AccessControlList>"
    return xml_response("AccessControlPolicy", OWNER, granted)


async def get_object_acl(exchange: Exchange) -> Response:
    """GetObjectACL: `default` where the object has none of its own."""
    return _policy(exchange.existing(exchange.bucket, exchange.key()).acl)


async def put_object_acl(exchange: Exchange) -> Response:
    """PutObjectACL; Last-Modified stays as it is."""
    key = exchange.key()
    if "x-oss-object-acl" not in exchange.headers:
        raise OssError("MissingArgument", "Missing Some Required Arguments: x-oss-object-acl.")
    exchange.existing(exchange.bucket, key)
    exchange.store.set_acl(exchange.bucket, key, exchange.acl())
    return Response()


async def get_bucket_acl(exchange: Exchange) -> Response:
    """GetBucketAcl."""
    exchange.existing_bucket(exchange.bucket)
    return _policy("private")
