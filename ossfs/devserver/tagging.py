"""PutObjectTagging, GetObjectTagging, DeleteObjectTagging; Last-Modified stays as it is."""

from ossfs.devserver import tags
from ossfs.devserver.exchange import Exchange
from ossfs.devserver.wire import Response


async def put_tags(exchange: Exchange) -> Response:
    """Replaces the whole set."""
    key = exchange.key()
    tag_set = tags.from_document(await exchange.document())
    exchange.existing(exchange.bucket, key)
    exchange.store.set_tags(exchange.bucket, key, tag_set)
    return Response()


async def get_tags(exchange: Exchange) -> Response:
    """The whole set."""
    item = exchange.existing(exchange.bucket, exchange.key())
    return Response(
        headers={"Content-Type": "application/xml"}, body=tags.to_document(dict(item.tags))
    )


async def delete_tags(exchange: Exchange) -> Response:
    """Empties the set."""
    key = exchange.key()
    exchange.existing(exchange.bucket, key)
    exchange.store.set_tags(exchange.bucket, key, {})
    return Response(status=204)
