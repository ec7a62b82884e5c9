"""Where requests for one bucket go: origin, Host header, and the path of a key."""

from dataclasses import dataclass

import httpx

from ossfs.config.address import endpoint_of, is_address
from ossfs.store.signing import escape_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A bucket at an endpoint.

    origin: scheme, host and port, the bucket in the host unless it stands in the path.
    """

    bucket: str
    origin: httpx.URL
    path_style: bool

    @property
    def host(self) -> str:
        """The Host header."""
        return self.origin.netloc.decode("ascii")

    def canonical_path(self, key: str) -> str:
        """What is signed: always with the bucket; key "" for the bucket itself."""
        return escape_path(f"/{self.bucket}/{key}")

    def path(self, key: str) -> str:
        """What is sent."""
        return self.canonical_path(key) if self.path_style else escape_path(f"/{key}")


def address_of(
    bucket: str, *, region: str, endpoint: str | None = None, path_style: bool | None = None
) -> Address:
    """The address of *bucket*.

    endpoint: scheme://host[:port], None for the public one of *region*; path_style None: for an IP
    address or localhost, which cannot have the bucket before them.
    """
    where = endpoint or endpoint_of(region)
    in_path = is_address(where) if path_style is None else path_style
    url = httpx.URL(where)
    origin = url if in_path else url.copy_with(host=f"{bucket}.{url.host}")
    return Address(bucket=bucket, origin=origin, path_style=in_path)
