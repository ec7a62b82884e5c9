import pytest

from ossfs import errors
from ossfs.store.refusal import refusal


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "NoSuchKey", errors.NotFound),
        (404, "", errors.NotFound),
        (404, "NoSuchBucket", errors.NoSuchBucket),
        (404, "NoSuchUpload", errors.NoSuchUpload),
        (404, "SymlinkTargetNotExist", errors.NotFound),
        (409, "FileAlreadyExists", errors.AlreadyExists),
        (409, "ObjectNotAppendable", errors.RefusedByServer),
        (403, "AccessDenied", errors.AccessDenied),
        (403, "", errors.AccessDenied),
        (403, "InvalidAccessKeyId", errors.BadCredentials),
        (403, "SignatureDoesNotMatch", errors.BadCredentials),
        (403, "SecurityTokenExpired", errors.BadCredentials),
        (403, "RequestTimeTooSkewed", errors.BadCredentials),
        (403, "InvalidObjectState", errors.RefusedByServer),
        (412, "PreconditionFailed", errors.Stale),
        (416, "", errors.RangeNotSatisfiable),
        (400, "EntityTooLarge", errors.EntityTooLarge),
        (400, "EntityTooSmall", errors.RefusedByServer),
        (400, "RequestTimeout", errors.TimedOut),
        (400, "InvalidEncryptionRequest", errors.RefusedByServer),
        (301, "", errors.RefusedByServer),
        (429, "", errors.Unavailable),
        (500, "InternalError", errors.Unavailable),
        (503, "NobodyKnowsThis", errors.Unavailable),
        (503, "DownloadTrafficRateLimitExceeded", errors.Unavailable),
    ],
)
def test_each_refusal_has_its_error(status: int, code: str, kind: type[errors.StoreError]) -> None:
    error = refusal(status, code, "text", request_id="id", ec="0001")
    assert type(error) is kind
    assert (error.status, error.code, error.request_id, error.ec) == (status, code, "id", "0001")
