"""Operations on buckets: create, delete, list, info, stat, location, deletion of many objects."""

from ossfs.devserver import encryption, names
from ossfs.devserver.documents import OWNER, Names, flag, iso_time, leaf, parse, text_of
from ossfs.devserver.errors import OssError
from ossfs.devserver.exchange import STORAGE_CLASSES, Exchange, xml_response
from ossfs.devserver.storage import BucketRow
from ossfs.devserver.wire import Response

_MAX_DELETED = 1000


async def put_bucket(exchange: Exchange) -> Response:
    """PutBucket; one that exists already stays as it is."""
    names.check_bucket(exchange.bucket)
    body = await exchange.document()
    storage_class = "Standard"
    if body:
        element = parse(body, "CreateBucketConfiguration").find("StorageClass")
        storage_class = (element.text if element is not None else None) or "Standard"
    if storage_class not in STORAGE_CLASSES:
        raise OssError("InvalidArgument", "The storage class is invalid.")
    exchange.store.create_bucket(exchange.bucket, exchange.now, storage_class)
    return Response(headers={"Location": f"/{exchange.bucket}"})


async def delete_bucket(exchange: Exchange) -> Response:
    """DeleteBucket, if it holds neither objects nor unfinished uploads."""
    stat = exchange.store.stat(exchange.bucket)
    if stat.objects or stat.uploads:
        raise OssError("BucketNotEmpty", BucketName=exchange.bucket)
    exchange.store.delete_bucket(exchange.bucket)
    return Response(status=204)


def _endpoints(exchange: Exchange) -> str:
    host = exchange.headers.get("host", "")
    return leaf("ExtranetEndpoint", host) + leaf("IntranetEndpoint", host)


def _bucket_facts(exchange: Exchange, bucket: BucketRow) -> str:
    return (
        leaf("CreationDate", iso_time(bucket.created))
        + _endpoints(exchange)
        + leaf("Location", f"oss-{exchange.config.region}")
        + leaf("Name", bucket.name)
        + leaf("StorageClass", bucket.storage_class)
    )


async def list_buckets(exchange: Exchange) -> Response:
    """ListBuckets, also called GetService."""
    query = exchange.query
    limit = exchange.number("max-keys", 100, 1, 1000)
    prefix, marker = query.get("prefix", ""), query.get("marker", "")
    found = exchange.store.buckets(prefix, marker)
    page = found[:limit]
    truncated = len(found) > limit
    region = leaf("Region", exchange.config.region)
    elements = (f"<Bucket>{_bucket_facts(exchange, bucket)}{region}</Bucket>" for bucket in page)
    return xml_response(
        "ListAllMyBucketsResult",
        OWNER,
        leaf("Prefix", prefix),
        leaf("Marker", marker),
        leaf("MaxKeys", limit),
        flag("IsTruncated", truncated),
        leaf("NextMarker", page[-1].name) if truncated else "",
        "<Buckets>",
        *elements,
        "</Buckets>",
    )


async def get_bucket_info(exchange: Exchange) -> Response:
    """GetBucketInfo."""
    bucket = exchange.store.bucket(exchange.bucket)
    if bucket is None:
        raise OssError("NoSuchBucket", BucketName=exchange.bucket)
    return xml_response(
        "BucketInfo",
        "<Bucket>",
        _bucket_facts(exchange, bucket),
        OWNER,
        "<AccessControlList><Grant>private</Grant></AccessControlList>",
        "<DataRedundancyType>LRS</DataRedundancyType>",
        f"<ServerSideEncryptionRule>{encryption.elements(bucket)}</ServerSideEncryptionRule>",
        "</Bucket>",
    )


async def get_bucket_stat(exchange: Exchange) -> Response:
    """GetBucketStat; unlike the real one it does not lag."""
    stat = exchange.store.stat(exchange.bucket)
    return xml_response(
        "BucketStat",
        leaf("Storage", stat.bytes_stored),
        leaf("ObjectCount", stat.objects),
        leaf("MultipartUploadCount", stat.uploads),
        leaf("LastModifiedTime", exchange.now),
    )


async def get_bucket_location(exchange: Exchange) -> Response:
    """GetBucketLocation."""
    return xml_response("LocationConstraint", f"oss-{exchange.config.region}")


async def delete_objects(exchange: Exchange) -> Response:
    """DeleteMultipleObjects; Content-MD5 is a must."""
    if "content-md5" not in exchange.headers:
        raise OssError("MissingArgument", "Missing Some Required Arguments: Content-MD5.")
    shown = Names(exchange.query.get("encoding-type"))
    tree = parse(await exchange.document(), "Delete")
    keys = [text_of(element, "Key") for element in tree.findall("Object")]
    if not 1 <= len(keys) <= _MAX_DELETED:
        raise OssError("MalformedXML")
    encoded = [names.key_bytes(key) for key in keys]
    for key in encoded:
        exchange.store.delete(exchange.bucket, key)
    quiet = tree.find("Quiet")
    if quiet is not None and (quiet.text or "").strip().lower() == "true":
        return Response()
    deleted = (f"<Deleted>{shown.leaf('Key', key)}</Deleted>" for key in keys)
    return xml_response("DeleteResult", shown.declaration(), *deleted)
