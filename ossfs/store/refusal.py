"""The error that an answer of OSS stands for: from status and code to the exception tree."""

from ossfs.errors import (
    AccessDenied,
    AlreadyExists,
    BadCredentials,
    EntityTooLarge,
    NoSuchBucket,
    NoSuchUpload,
    NotFound,
    RangeNotSatisfiable,
    RefusedByServer,
    ServerKeyRefused,
    Stale,
    StoreError,
    TimedOut,
    Unavailable,
)

_MESSAGE_CHARACTERS = 300
_LABEL_CHARACTERS = 64

_BY_CODE: dict[str, type[StoreError]] = {
    "NoSuchKey": NotFound,
    "NoSuchVersion": NotFound,
    "SymlinkTargetNotExist": NotFound,
    "NoSuchBucket": NoSuchBucket,
    "NoSuchUpload": NoSuchUpload,
    "FileAlreadyExists": AlreadyExists,
    "AccessDenied": AccessDenied,
    "UserDisable": AccessDenied,
    "SecondLevelDomainForbidden": AccessDenied,
    # Of the KMS key that OSS itself encrypts with; without a line here a 404 would mean the object.
    "KmsServiceNotEnabled": ServerKeyRefused,
    "KeyNotFound": ServerKeyRefused,
    "AliasNotFound": ServerKeyRefused,
    "KeyDisabled": ServerKeyRefused,
    "KeyPendingDeletion": ServerKeyRefused,
    "KeyPendingImport": ServerKeyRefused,
    "InvalidAccessKeyId": BadCredentials,
    "SignatureDoesNotMatch": BadCredentials,
    "SecurityTokenExpired": BadCredentials,
    "InvalidSecurityToken": BadCredentials,
    "RequestTimeTooSkewed": BadCredentials,
    "PreconditionFailed": Stale,
    "InvalidRange": RangeNotSatisfiable,
    "EntityTooLarge": EntityTooLarge,
    "RequestTimeout": TimedOut,
    # An archived object needs a restore: no permission is missing, although the status is 403.
    "InvalidObjectState": RefusedByServer,
    "TotalQpsLimitExceeded": Unavailable,
    "MetaOperationQpsLimitExceeded": Unavailable,
    "ActiveRequestLimitExceeded": Unavailable,
    "DownloadTrafficRateLimitExceeded": Unavailable,
    "UploadTrafficRateLimitExceeded": Unavailable,
}
_BY_STATUS: dict[int, type[StoreError]] = {
    401: AccessDenied,
    403: AccessDenied,
    404: NotFound,
    408: Unavailable,
    412: Stale,
    413: EntityTooLarge,
    416: RangeNotSatisfiable,
    429: Unavailable,
}


def _shown(text: str, limit: int) -> str:
    """*text* fit for a log line: a server must neither begin a new one nor fill the disk."""
    return "".join(char if char.isprintable() else " " for char in text[:limit])


def label(text: str) -> str:
    """A code or an id of the server's, as it may be shown: 64 printable characters at most."""
    return _shown(text, _LABEL_CHARACTERS)


def refusal(
    status: int, code: str, message: str, *, request_id: str = "", ec: str = ""
) -> StoreError:
    """The error for an answer of *status* with *code* ("" where the answer had no error document).

    The code decides, then the status: 5xx is always Unavailable, what nobody knows RefusedByServer.
    All texts may be the server's own; what they hold is made fit to be shown. Source: the error
    pages of OSS.
    """
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status)
    if kind is None:
        kind = Unavailable if status >= 500 else RefusedByServer
    return kind(
        _shown(message or code, _MESSAGE_CHARACTERS),
        code=label(code),
        status=status,
        request_id=label(request_id),
        ec=label(ec),
    )
