"""If-Match and its relatives, for reading and for the source of a copy."""

import email.utils
from collections.abc import Mapping

from ossfs.devserver.errors import OssError

_NAMES = ("match", "none-match", "modified-since", "unmodified-since")


def refuse_on_write(headers: Mapping[str, str]) -> None:
    """OSS has no conditional PUT; it says so rather than ignoring the header."""
    for name in _NAMES:
        if f"if-{name}" in headers:
            raise OssError("NotImplemented", ec="0017-00000245")


def _seconds(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        return email.utils.parsedate_to_datetime(value).timestamp()
    except ValueError:
        return None


def _names(value: str, etag: str) -> bool:
    tags = (tag.strip().strip('"') for tag in value.split(","))
    return any(tag == "*" or tag.upper() == etag.upper() for tag in tags)


def check(headers: Mapping[str, str], prefix: str, *, etag: str, modified: int) -> None:
    """Compares the version that is there with the conditions in *headers*.

    prefix: what stands before the name of the condition, as "if-" or "x-oss-copy-source-if-".
    Raises OssError PreconditionFailed or NotModified.
    """
    match = headers.get(f"{prefix}match")
    if match is not None and not _names(match, etag):
        raise OssError("PreconditionFailed", Condition="If-Match")
    unmodified = _seconds(headers.get(f"{prefix}unmodified-since"))
    if unmodified is not None and modified > unmodified:
        raise OssError("PreconditionFailed", Condition="If-Unmodified-Since")
    none_match = headers.get(f"{prefix}none-match")
    if none_match is not None and _names(none_match, etag):
        raise OssError("NotModified", ETag=f'"{etag}"')
    since = _seconds(headers.get(f"{prefix}modified-since"))
    if since is not None and modified <= since:
        raise OssError("NotModified", ETag=f'"{etag}"')
