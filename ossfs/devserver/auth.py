"""Checks who signed a request: versions 1 and 4 are verified, `_claim` refuses others."""

import base64
import hmac
from collections.abc import Callable, Mapping

from ossfs.devserver import signature_v1, signature_v4
from ossfs.devserver.claims import Claim, malformed
from ossfs.devserver.config import Credential
from ossfs.devserver.documents import iso_time
from ossfs.devserver.errors import OssError
from ossfs.devserver.routing import Target

_MAX_SKEW_SECONDS = 900
_KEPT_SIGNING_KEYS = 64


class Authenticator:
    """Verifies signatures against the credentials of one server; used from one thread."""

    def __init__(
        self, credentials: Mapping[str, Credential], region: str, clock: Callable[[], float]
    ) -> None:
        self._credentials = credentials
        self._region = region
        self._clock = clock
        self._signing_keys: dict[tuple[str, str], bytes] = {}

    def check(self, target: Target) -> Credential:
        """The credential that signed the request.

        Raises OssError: AccessDenied (no signature, or one without a date), InvalidArgument
        (malformed), NotImplemented (version 2), InvalidAccessKeyId, SignatureDoesNotMatch,
        RequestTimeTooSkewed, InvalidSecurityToken, SecurityTokenExpired.
        """
        claim = self._claim(target)
        credential = self._credentials.get(claim.access_key_id)
        if credential is None:
            raise OssError("InvalidAccessKeyId", OSSAccessKeyId=claim.access_key_id)
        self._check_time(claim)
        self._check_token(claim, credential)
        self._check_signature(claim, credential)
        return credential

    def _claim(self, target: Target) -> Claim:
        scheme, _, rest = target.headers.get("authorization", "").partition(" ")
        if scheme == signature_v4.SCHEME:
            return signature_v4.claim_of_header(target, rest, self._region)
        if scheme == signature_v1.SCHEME:
            return signature_v1.claim_of_header(target, rest)
        if scheme == "OSS2":
            raise OssError("NotImplemented", "This server verifies versions 1 and 4 only.")
        if scheme:
            raise malformed("Authorization header is invalid.")
        if target.query.get("x-oss-signature-version") == signature_v4.SCHEME:
            return signature_v4.claim_of_query(target, self._region)
        if signature_v1.ACCESS_KEY_ID in target.query:
            return signature_v1.claim_of_query(target)
        raise OssError("AccessDenied")

    def _check_time(self, claim: Claim) -> None:
        now, signed_at = self._clock(), claim.signed_at
        if claim.expires_at is not None and now > claim.expires_at:
            raise OssError("AccessDenied", "Request has expired.", ec="0002-00000069")
        if signed_at is None:
            return
        early = signed_at - now
        if early > _MAX_SKEW_SECONDS or (claim.expires_at is None and -early > _MAX_SKEW_SECONDS):
            raise OssError(
                "RequestTimeTooSkewed",
                MaxAllowedSkewMilliseconds=str(_MAX_SKEW_SECONDS * 1000),
                RequestTime=iso_time(int(signed_at)),
                ServerTime=iso_time(int(now)),
            )

    def _check_token(self, claim: Claim, credential: Credential) -> None:
        if claim.token != credential.token:
            raise OssError("InvalidSecurityToken")
        if credential.token_expires is not None and self._clock() >= credential.token_expires:
            raise OssError("SecurityTokenExpired")

    def _check_signature(self, claim: Claim, credential: Credential) -> None:
        to_sign = claim.string_to_sign.encode("utf-8", "surrogateescape")
        if claim.scope_date:
            key = self._signing_key(claim.access_key_id, claim.scope_date, credential)
            expected = hmac.digest(key, to_sign, "sha256").hex()
        else:
            digest = hmac.digest(credential.secret.encode(), to_sign, "sha1")
            expected = base64.b64encode(digest).decode()
        if not hmac.compare_digest(expected.encode(), claim.signature.encode("utf-8", "replace")):
            refusal = OssError(
                "SignatureDoesNotMatch",
                ec=claim.mismatch_ec,
                OSSAccessKeyId=claim.access_key_id,
                SignatureProvided=claim.signature,
                StringToSign=claim.string_to_sign,
            )
            if claim.canonical_request:
                refusal.details["CanonicalRequest"] = claim.canonical_request
            raise refusal

    def _signing_key(self, access_key_id: str, date: str, credential: Credential) -> bytes:
        cached = self._signing_keys.get((access_key_id, date))
        if cached is None:
            cached = f"aliyun_v4{credential.secret}".encode()
            for step in (date, self._region, "oss", "aliyun_v4_request"):
                cached = hmac.digest(cached, step.encode(), "sha256")
            if len(self._signing_keys) >= _KEPT_SIGNING_KEYS:
                self._signing_keys.clear()
            self._signing_keys[access_key_id, date] = cached
        return cached
