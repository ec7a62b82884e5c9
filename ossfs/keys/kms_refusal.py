"""What an answer of the KMS other than the wanted one means.

Source: the error pages of KMS (API 2016-01-20).
"""

import email.utils
import re
from collections.abc import Mapping
from typing import Any

from ossfs.errors import KeyUnavailable

_THROTTLED = re.compile(r"(?:Rejected\.)?Throttling(?:\..*)?", re.ASCII)
_UNREADABLE = re.compile(r"Invalid(?:Parameter|Ciphertext)\w*(?:\..*)?", re.ASCII)
_BAD_ACCESS_KEY = re.compile(
    r"InvalidAccessKeyId.*|InvalidSecurityToken.*|SignatureDoesNotMatch|IncompleteSignature"
    r"|IllegalTimestamp|InvalidTimeStamp.*|MissingSecurityToken|NoAccessKey",
    re.ASCII,
)
_WRONG_CLOCK = re.compile(r"IllegalTimestamp|InvalidTimeStamp\..*", re.ASCII)
UNREACHABLE = "Unreachable"
"""The code of a refusal that the KMS has no part in."""

_REMEDIES = {
    "Forbidden.KeyNotFound": "no such key in this region",
    "Forbidden.AliasNotFound": "no such alias in this region",
    "Forbidden.KmsServiceNotEnabled": "KMS is not activated for the account",
    "Forbidden.InDebt": "the account has an overdue payment",
    "Forbidden.InDebtOverdue": "the account has an overdue payment",
    "Rejected.Disabled": "the key is disabled",
    "Rejected.PendingDeletion": "the key is about to be deleted",
    "Rejected.PendingImport": "the key has no key material yet",
}
_WORDS = re.compile(r"[\w.-]{1,100}", re.ASCII)


class KmsRefusal(KeyUnavailable):
    """The KMS refused, or could not be asked.

    code: of the KMS, or "Unreachable", "NoAccessKey"; status: of HTTP, 0 without an answer;
    may_pass: the same request may succeed later; asked_to_wait: seconds, 0 if the KMS did not say;
    server_time: its clock, seconds since the epoch.
    """

    def __init__(
        self,
        text: str,
        *,
        code: str,
        status: int = 0,
        request_id: str = "",
        may_pass: bool = False,
        asked_to_wait: float = 0.0,
        server_time: float | None = None,
    ) -> None:
        super().__init__(text)
        self.code = code
        self.status = status
        self.request_id = request_id
        self.may_pass = may_pass
        self.asked_to_wait = asked_to_wait
        self.server_time = server_time

    @property
    def throttled(self) -> bool:
        """Whether there were too many requests."""
        return self.status in {429, 503} or _THROTTLED.fullmatch(self.code) is not None

    @property
    def is_unreachable(self) -> bool:
        """Whether the KMS did not answer at all."""
        return self.code == UNREACHABLE

    @property
    def is_not_allowed(self) -> bool:
        """Whether the policy, or this kind of KMS, does not have the action."""
        return self.code in {"Forbidden.NoPermission", "UnsupportedOperation", "InvalidAction"}

    @property
    def is_wrong_clock(self) -> bool:
        """Whether the time in the request was too far from that of the KMS."""
        return _WRONG_CLOCK.fullmatch(self.code) is not None

    def makes_no_sense_of_blob(self, action: str) -> bool:
        """Whether it could not read a blob: damaged, of another context, or no blob at all.

        The first two look the same from here, and so they must to everyone else.
        """
        reads = action in {"Decrypt", "ReEncrypt"}
        return reads and self.status == 400 and _UNREADABLE.fullmatch(self.code) is not None

    def again(self) -> "KmsRefusal":
        """The same for someone who did not even try."""
        return KmsRefusal(f"{self.args[0]} (not tried again yet)", code=self.code)

    def about(self, action: str, key_id: str) -> "KmsRefusal":
        """The same with the action, the key and what is missing in its text."""
        told = _sentence(self, action, key_id)
        return KmsRefusal(told, code=self.code, status=self.status, request_id=self.request_id)


def _sentence(refusal: KmsRefusal, action: str, key_id: str) -> str:
    if not refusal.status:
        return f"{action} with the KMS key {key_id}: {refusal.args[0]}"
    facts = f"{refusal.args[0]}, request id {refusal.request_id or 'none'}"
    told = f"the KMS refuses {action} with the key {key_id} ({facts})"
    remedy = _REMEDIES.get(refusal.code, "")
    if not remedy and _BAD_ACCESS_KEY.fullmatch(refusal.code):
        remedy = "the access key, its token or the clock is not accepted"
    if not remedy and refusal.status == 403:
        remedy = f"the RAM policy must allow kms:{action} on the key"
    return f"{told}: {remedy}" if remedy else told


def refusal_of(status: int, answer: Mapping[str, Any], headers: Mapping[str, str]) -> KmsRefusal:
    """What an answer stands for; *answer*: its document, empty if it is none.

    Of the document only what looks like a code or an id is taken over: its message may repeat what
    was signed, and that can hold a plaintext.
    """
    code = _word(answer.get("Code"))
    throttled = status == 429 or _THROTTLED.fullmatch(code) is not None
    return KmsRefusal(
        f"{code}, status {status}" if code else f"status {status}",
        code=code,
        status=status,
        request_id=_word(answer.get("RequestId")),
        # A success whose document is none has been cut on its way. A nonce that was used already
        # is that of our own request, sent again on another connection after the first broke.
        may_pass=status >= 500 or status == 200 or throttled or code == "SignatureNonceUsed",
        asked_to_wait=_seconds(headers.get("retry-after", "")),
        server_time=_server_time(headers.get("date", "")),
    )


def _word(found: object) -> str:
    return found if isinstance(found, str) and _WORDS.fullmatch(found) else ""


def _seconds(text: str) -> float:
    return float(text) if re.fullmatch(r"[0-9]{1,6}", text) else 0.0


def _server_time(date: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
