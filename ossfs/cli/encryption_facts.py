"""What the headers of an object say of its encryption; no key is needed."""

from ossfs.errors import OssfsError
from ossfs.format.contents import Own, Plain, classify
from ossfs.format.fields import print_map
from ossfs.store.base import ObjectInfo, ServerEncryption

_KINDS = {
    (True, True): "client+server",
    (True, False): "client",
    (False, True): "server",
    (False, False): "none",
}


def sse_text(encryption: ServerEncryption | None) -> str:
    """`none`, `AES256`, `KMS`, `KMS:<key id>`: as in `user.ossfs.sse`."""
    if encryption is None:
        return "none"
    return encryption.algorithm + (f":{encryption.key_id}" if encryption.key_id else "")


def encryption_facts(info: ObjectInfo) -> dict[str, str]:
    """The attributes `user.ossfs.*` of encryption, as far as headers tell them.

    Whether the headers are true only a reader with the key can tell.
    """
    found = {"sse": sse_text(info.encryption)}
    has_server = info.encryption is not None
    try:
        contents = classify(info.metadata, info.size)
    except OssfsError as error:
        return {"encryption": "damaged", "reason": str(error), **found}
    if isinstance(contents, Plain):
        return {"encryption": _KINDS[False, has_server], **found}
    envelope = contents.envelope
    return {
        "encryption": _KINDS[True, has_server],
        "cek-alg": envelope.cek_alg,
        "wrap-alg": envelope.wrap_alg,
        "master-key": print_map(envelope.matdesc),
        "integrity": "tagged" if isinstance(contents, Own) else "none",
        **found,
    }
