"""The errors this server answers with: one table of codes, and the exception that carries one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """Status, usual message and usual EC of one code."""

    status: int
    message: str
    ec: str = ""


KINDS: dict[str, ErrorKind] = {
    "AccessDenied": ErrorKind(403, "You have no right to access this resource.", "0003-00000001"),
    "AliasNotFound": ErrorKind(404, "The specified Alias is not found."),
    "BucketNotEmpty": ErrorKind(
        409, "The bucket has objects. Please delete them first.", "0015-00000301"
    ),
    "EntityTooLarge": ErrorKind(400, "Your proposed upload exceeds the maximum allowed size."),
    "EntityTooSmall": ErrorKind(
        400, "Your proposed upload is smaller than the minimum allowed size."
    ),
    "FileAlreadyExists": ErrorKind(
        409, "The object you specified already exists and can not be overwritten."
    ),
    "InternalError": ErrorKind(500, "We encountered an internal error. Please try again."),
    "InvalidAccessKeyId": ErrorKind(
        403, "The OSS Access Key Id you provided does not exist in our records.", "0002-00000902"
    ),
    "InvalidArgument": ErrorKind(400, "An argument is invalid."),
    "InvalidBucketName": ErrorKind(400, "The specified bucket is not valid.", "0015-00000001"),
    "InvalidDigest": ErrorKind(400, "The Content-MD5 you specified was invalid.", "0016-00000207"),
    "InvalidEncryptionAlgorithmError": ErrorKind(
        400, "The Encryption request you specified is not valid."
    ),
    "InvalidEncryptionRequest": ErrorKind(400, "The client encryption headers are not valid."),
    "InvalidObjectName": ErrorKind(400, "The specified object is not valid.", "0016-00000005"),
    "InvalidObjectState": ErrorKind(
        403, "The operation is not valid for the object's storage class", "0018-00000001"
    ),
    "InvalidPart": ErrorKind(
        400,
        "One or more of the specified parts could not be found or the specified entity tag might"
        " not have matched the part's entity tag.",
    ),
    "InvalidPartOrder": ErrorKind(400, "The list of parts was not in ascending order."),
    "InvalidRange": ErrorKind(416, "The requested range cannot be satisfied."),
    "InvalidSecurityToken": ErrorKind(403, "The security token you provided is invalid."),
    "InvalidTag": ErrorKind(400, "The tag set is not valid.", "0010-00000219"),
    "InvalidTargetType": ErrorKind(400, "The symbolic's target file type is invalid"),
    "KeyDisabled": ErrorKind(
        409, "The request was rejected because the key state is Disabled.", "0005-00000214"
    ),
    "KeyNotFound": ErrorKind(
        404, "The specified parameter KMS keyId is not found", "0005-00000208"
    ),
    "KeyPendingDeletion": ErrorKind(
        409, "The request was rejected because the key state is PendingDeletion.", "0005-00000215"
    ),
    "KeyPendingImport": ErrorKind(
        409, "The request was rejected because the key state is PendingImport."
    ),
    "KmsServiceNotEnabled": ErrorKind(
        403, "KMS service is not enabled for the current user.", "0005-00000218"
    ),
    "MalformedXML": ErrorKind(
        400,
        "The XML you provided was not well-formed or did not validate against our schema.",
    ),
    "MethodNotAllowed": ErrorKind(
        405, "The specified method is not allowed against this resource."
    ),
    "MissingArgument": ErrorKind(400, "A required argument is missing."),
    "MissingContentLength": ErrorKind(411, "You must provide the Content-Length HTTP header."),
    "NoSuchBucket": ErrorKind(404, "The specified bucket does not exist.", "0015-00000101"),
    "NoSuchKey": ErrorKind(404, "The specified key does not exist.", "0026-00000001"),
    "NoSuchServerSideEncryptionRule": ErrorKind(
        404, "The server side encryption configuration was not found."
    ),
    "NoSuchUpload": ErrorKind(
        404,
        "The specified upload does not exist. The upload ID may be invalid, aborted or completed.",
    ),
    "NotImplemented": ErrorKind(
        400, "A header or parameter you provided implies functionality that is not implemented."
    ),
    "NotModified": ErrorKind(304, "The object is not modified.", "0017-00001001"),
    "NotSymlink": ErrorKind(400, "The object you specified is not a symlink."),
    "PreconditionFailed": ErrorKind(
        412, "At least one of the pre-conditions you specified did not hold", "0017-00001001"
    ),
    "RequestTimeTooSkewed": ErrorKind(
        403,
        "The difference between the request time and the current time is too large.",
        "0002-00000504",
    ),
    "SecurityTokenExpired": ErrorKind(403, "The security token you provided has expired."),
    "SignatureDoesNotMatch": ErrorKind(
        403,
        "The request signature we calculated does not match the signature you provided."
        " Check your key and signing method.",
        "0002-00000201",
    ),
    "SymlinkTargetNotExist": ErrorKind(404, "The symlink target object does not exist"),
}


class Refusal(Exception):
    """Ends a request with an error; each service has an exception and a form of its own."""

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.message = message


class OssError(Refusal):
    """Ends a request with an error document.

    message, ec and status default to those of the code in KINDS; status must be given for a code
    that stands not there (fault rules may name any). details become elements of the document.
    """

    def __init__(
        self, code: str, message: str = "", *, ec: str = "", status: int = 0, **details: str
    ) -> None:
        kind = KINDS.get(code, ErrorKind(status or 500, code))
        super().__init__(code, status or kind.status, message or kind.message)
        self.ec = ec or kind.ec
        self.details = details
