"""What a new version takes over from the one that it replaces."""

import stat
from collections.abc import Mapping
from dataclasses import dataclass

from ossfs.format import attributes as attribute_format
from ossfs.format.attributes import Attributes
from ossfs.format.contents import without_encryption
from ossfs.format.fields import print_time
from ossfs.store.base import ObjectInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """Headers (x-oss-meta- names without that prefix) and the whole tag set."""

    metadata: Mapping[str, str]
    tags: Mapping[str, str]


def with_other_content(info: ObjectInfo, tags: Mapping[str, str]) -> Carried:
    """For other stored bytes, which the tag of attributes would not be valid for.

    So what that tag says goes into the headers. *tags*: all that *info* has.
    """
    kept = without_encryption(info.metadata)
    headers = attribute_format.from_metadata(info.metadata, _defaults(info), size=info.size)
    current = attribute_format.from_tags(tags, info.crc64, headers)
    foreign = attribute_format.foreign_tags(tags)
    if current is headers:
        return Carried(metadata=with_times(info, kept), tags=foreign)
    # The other headers of attributes are always there and displace the old ones.
    kept.pop("xattr", None)
    return Carried(metadata=kept | attribute_format.to_metadata(current), tags=foreign)


def with_times(info: ObjectInfo, metadata: Mapping[str, str]) -> dict[str, str]:
    """*metadata*, and the times of an object that has none of its own.

    Last-Modified is shown for those, and the new version has another one.
    """
    modified = print_time(info.modified_ns)
    return {"mtime": modified, "atime": modified} | dict(metadata)


def _defaults(info: ObjectInfo) -> Attributes:
    """What stands for absent headers; only where a tag is valid is it written."""
    return Attributes(
        mode=stat.S_IFREG | 0o644,
        uid=0,
        gid=0,
        atime_ns=info.modified_ns,
        mtime_ns=info.modified_ns,
        ctime_ns=info.modified_ns,
    )
