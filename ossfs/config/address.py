"""Where a bucket is: the oss:// address, the endpoint, and what one tells of the other."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from ossfs.errors import UsageError

_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]")
_REGION = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_REGION_IN_HOST = re.compile(r"oss-([a-z]{2}(?:-[a-z0-9]+)+?)(?:-internal)?\.aliyuncs\.com")
_RESERVED = ".ossfs"
_PREFIX_BYTES = 900  # leaves room for names below it within the 1,023 bytes of a key
_COMPONENT_BYTES = 255


@dataclass(frozen=True, slots=True)
class BucketUrl:
    """A bucket and the prefix, without slashes at its ends, that names are looked up below."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"oss://{self.bucket}/{self.prefix}" if self.prefix else f"oss://{self.bucket}"


def parse_bucket_url(text: str) -> BucketUrl:
    """Reads oss://BUCKET[/PREFIX]. Raises UsageError."""
    bucket, prefix = split_url(text)
    prefix = prefix.strip("/")
    if prefix:
        _check_prefix(text, prefix)
    return BucketUrl(bucket, prefix)


def parse_object_url(text: str) -> tuple[str, str]:
    """Reads oss://BUCKET/KEY into bucket and key. Raises UsageError."""
    bucket, key = split_url(text)
    if not key:
        raise UsageError(f"{text}: names a bucket; an object is oss://BUCKET/KEY")
    return bucket, key


def split_url(text: str) -> tuple[str, str]:
    """Reads oss://BUCKET[/KEY] into bucket and key, "" for none. Raises UsageError."""
    if not text.startswith("oss://"):
        raise UsageError(f"{text}: is not an address of the form oss://BUCKET[/PREFIX]")
    bucket, _, rest = text.removeprefix("oss://").partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise UsageError(
            f"{text}: {bucket!r} is not a bucket name (3 to 63 of a-z, 0-9 and hyphens)"
        )
    return bucket, rest


def _check_prefix(text: str, prefix: str) -> None:
    try:
        encoded = prefix.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{text!r}: the prefix is not UTF-8") from None
    if len(encoded) > _PREFIX_BYTES:
        raise UsageError(f"{text}: the prefix is longer than {_PREFIX_BYTES} bytes")
    for component in prefix.split("/"):
        if component in {"", ".", "..", _RESERVED}:
            raise UsageError(f"{text}: {component!r} cannot be a part of a prefix")
        if "\0" in component or len(component.encode()) > _COMPONENT_BYTES:
            raise UsageError(f"{text!r}: a part of the prefix is no file name")


def parse_endpoint(text: str) -> str:
    """The endpoint as scheme://host[:port]; https where no scheme is given. Raises ValueError."""
    address = text if "://" in text else f"https://{text}"
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{text!r} is not an address such as https://oss-cn-hangzhou.aliyuncs.com")
    if parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"{text!r} has more than scheme, host and port")
    try:
        port = parts.port
    except ValueError:
        raise ValueError(f"{text!r} has no valid port") from None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")


def parse_region(text: str) -> str:
    """A region id such as cn-hangzhou. Raises ValueError."""
    if text.startswith("oss-"):
        raise ValueError(f"{text!r} begins with oss-; write {text.removeprefix('oss-')}")
    if not _REGION.fullmatch(text):
        raise ValueError(f"{text!r} is not a region such as cn-hangzhou")
    return text


def region_of(endpoint: str) -> str | None:
    """The region that an endpoint of Alibaba Cloud names, if it names one."""
    match = _REGION_IN_HOST.fullmatch(urlsplit(endpoint).hostname or "")
    return match.group(1) if match else None


def endpoint_of(region: str) -> str:
    """The public endpoint of *region*."""
    return f"https://oss-{region}.aliyuncs.com"


def kms_endpoint_of(region: str) -> str:
    """The public endpoint of the KMS of *region*."""
    return f"https://kms.{region}.aliyuncs.com"


def is_address(endpoint: str) -> bool:
    """Whether the host is an IP address or localhost, below which no bucket can be a host name."""
    host = urlsplit(endpoint).hostname or ""
    return host == "localhost" or _ip(host) is not None


def is_exposed(endpoint: str) -> bool:
    """Whether requests to it leave this machine in clear."""
    return endpoint.startswith("http:") and not _is_loopback(endpoint)


def _is_loopback(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    address = _ip(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
