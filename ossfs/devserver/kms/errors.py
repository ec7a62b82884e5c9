"""The errors the KMS answers with: one table of codes, and the exception that carries one."""

from ossfs.devserver.errors import ErrorKind, Refusal
from ossfs.devserver.faults import FaultRule

KINDS: dict[str, ErrorKind] = {
    "AliasAlreadyExists": ErrorKind(400, "AliasName Already Exists."),
    "ExpiredImportToken": ErrorKind(400, "import token is expired."),
    "Forbidden.AliasNotFound": ErrorKind(404, "The specified Alias is not found."),
    "Forbidden.InDebt": ErrorKind(403, "Current user is indebted."),
    "Forbidden.InDebtOverdue": ErrorKind(403, "Current user is indebted Overdue."),
    "Forbidden.KeyNotFound": ErrorKind(404, "The specified Key is not found."),
    "Forbidden.KeyVersionNotFound": ErrorKind(404, "The specified Key version is not found."),
    "Forbidden.KmsServiceNotEnabled": ErrorKind(
        403,
        "Kms service is not Enabled for current user. Please get access permission first.",
    ),
    "Forbidden.NoPermission": ErrorKind(403, "This operation is forbidden by permission system."),
    "IllegalTimestamp": ErrorKind(
        400, 'The input parameter "Timestamp" that is required is not supplied or out of range.'
    ),
    "IncompleteSignature": ErrorKind(
        400, "The request signature does not conform to Aliyun standards."
    ),
    "InternalFailure": ErrorKind(500, "Internal Failure."),
    "InvalidAccessKeyId.NotFound": ErrorKind(
        404, "The AccessKey ID provided does not exist in our records."
    ),
    "InvalidImportToken": ErrorKind(400, "import token is invalid."),
    "InvalidKeyMaterial": ErrorKind(400, "key material is invalid."),
    "InvalidParameter": ErrorKind(400, "The specified parameter is not valid."),
    "InvalidSecurityToken.Expired": ErrorKind(400, "Specified SecurityToken is expired."),
    "InvalidSecurityToken.MismatchWithAccessKey": ErrorKind(
        400, "Specified SecurityToken mismatch with the AccessKey."
    ),
    "MissingParameter": ErrorKind(400, "A parameter is needed but not provided."),
    "Rejected.Disabled": ErrorKind(
        409, "The request was rejected because the key state is Disabled."
    ),
    "Rejected.PendingDeletion": ErrorKind(
        409, "The request was rejected because the key state is PendingDeletion."
    ),
    "Rejected.PendingImport": ErrorKind(
        409, "The request was rejected because the key state is PendingImport."
    ),
    "Rejected.StateModifiedFailed": ErrorKind(409, "Keystate modified failed."),
    "Rejected.Throttling": ErrorKind(429, "QPS Limit Exceeded"),
    "ServiceUnavailableTemporary": ErrorKind(503, "Service Unavailable Temporary."),
    "SignatureDoesNotMatch": ErrorKind(
        400, "Specified signature is not matched with our calculation."
    ),
    "SignatureNonceUsed": ErrorKind(400, "Specified signature nonce was used already."),
    "Unsupported.Alias": ErrorKind(400, "Alias is not valid for this api."),
    "Unsupported.Origin": ErrorKind(400, "This key origin is not valid for this api."),
    "UnsupportedHTTPMethod": ErrorKind(403, "This http method is not supported."),
    "UnsupportedOperation": ErrorKind(400, "Rejected.UnsupportedOperation"),
}


class KmsError(Refusal):
    """Ends a request with an error in JSON; message and status default to those in KINDS."""

    def __init__(self, code: str, message: str = "", *, status: int = 0) -> None:
        kind = KINDS.get(code, ErrorKind(500, code))
        super().__init__(code, status or kind.status, message or kind.message)


def missing(name: str) -> KmsError:
    """The error for a parameter that is not there."""
    return KmsError("MissingParameter", f'The parameter "{name}" is needed but not provided.')


def invalid(name: str) -> KmsError:
    """The error for a parameter with a value that cannot be."""
    return KmsError("InvalidParameter", f'The specified parameter "{name}" is not valid.')


def refusal_of(rule: FaultRule) -> KmsError | None:
    """The error a fault rule answers with, None if it does something else."""
    if rule.status is None and not rule.code:
        return None
    usual = {429: "Rejected.Throttling", 500: "InternalFailure"}
    code = rule.code or usual.get(rule.status or 503, "ServiceUnavailableTemporary")
    known = KINDS.get(code)
    return KmsError(code, status=rule.status or (known.status if known else 503))
