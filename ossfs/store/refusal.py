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
    Stale,
    StoreError,
    TimedOut,
    Unavailable,
)

_BY_CODE: dict[str, type[StoreError]] = {
    "NoSuchKey": NotFound,
    "NoSuchVersion": NotFound,
    "SymlinkTargetNotExist": NotFound,
    "NoSuchBucket": NoSuchBucket,
    "NoSuchUpload": NoSuchUpload,
    "FileAlreadyExists": AlreadyExists,
    "AccessDenied": AccessDenied,
    "UserDisable": AccessDenied,
    "KmsServiceNotEnabled": AccessDenied,
    "SecondLevelDomainForbidden": AccessDenied,
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


def refusal(
    status: int, code: str, message: str, *, request_id: str = "", ec: str = ""
) -> StoreError:
    """The error for an answer of *status* with *code* ("" where the answer had no error document).

    The code decides, then the status: 5xx is always Unavailable, what nobody knows RefusedByServer.
    Source: the error pages of OSS.
    """
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status)
    if kind is None:
        kind = Unavailable if status >= 500 else RefusedByServer
    return kind(message or code, code=code, status=status, request_id=request_id, ec=ec)
