"""What a signature says of itself, in whichever version and place it came."""

from dataclasses import dataclass

from ossfs.devserver.errors import OssError


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A signature to be verified, with what it signs.

    signed_at, expires_at: seconds since the epoch; a presigned URL of version 1 says only when it
    expires, a header only when it was signed. canonical_request: of version 4, else empty.
    scope_date: the day its key is derived for, empty in version 1. mismatch_ec: the EC of
    SignatureDoesNotMatch.
    """

    access_key_id: str
    token: str | None
    signed_at: float | None
    expires_at: float | None
    signature: str
    string_to_sign: str
    canonical_request: str = ""
    scope_date: str = ""
    mismatch_ec: str


def malformed(message: str, ec: str = "0002-00000061") -> OssError:
    """The error for a signature that cannot be read."""
    return OssError("InvalidArgument", message, ec=ec)
