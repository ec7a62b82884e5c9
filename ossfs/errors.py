"""Every error that leaves a layer, in one tree; each class carries the errno that the kernel gets.

OssfsError                      EIO
├── StoreError                  EIO     an answer of OSS; carries code, status and request id
│   ├── NotFound                ENOENT
│   │   ├── NoSuchBucket        ENOENT
│   │   └── NoSuchUpload        ENOENT
│   ├── AlreadyExists           EEXIST  x-oss-forbid-overwrite met an object
│   ├── AccessDenied            EACCES
│   │   └── BadCredentials      EACCES  unknown id, wrong secret, expired token, clock too far off
│   ├── Stale                   ESTALE  If-Match failed: another version is there
│   ├── RangeNotSatisfiable     EINVAL
│   ├── EntityTooLarge          EFBIG
│   ├── ServerKeyRefused        ENOKEY  the KMS key of server-side encryption cannot be used
│   ├── RefusedByServer         EIO     any other 4xx
│   ├── Unavailable             EIO     5xx, throttled, connection refused or lost; may be repeated
│   └── TimedOut                ETIMEDOUT  no progress in time; may be repeated
├── IntegrityError              EIO     stored bytes, envelope or tags are not what they should be
├── KeyUnavailable              ENOKEY  public facts say that no key here opens it
├── StagingFull                 ENOSPC
└── the errors of POSIX, each with the errno of its name
"""

import errno as _errno
from typing import ClassVar


class OssfsError(Exception):
    """Base of all errors of this package."""

    errno: ClassVar[int] = _errno.EIO
    retryable: ClassVar[bool] = False


class StoreError(OssfsError):
    """OSS refused or did not answer.

    code: the `<Code>` of the error document, "" where there was none; status: HTTP status, 0 where
    there was no answer; request_id: for the provider's support; ec: the finer error code of OSS, as
    0005-00000421.
    """

    def __init__(
        self, message: str, *, code: str = "", status: int = 0, request_id: str = "", ec: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.request_id = request_id
        self.ec = ec

    def __str__(self) -> str:
        facts = [self.code, f"status {self.status}" if self.status else "", self.ec]
        if self.request_id:
            facts.append(f"request id {self.request_id}")
        known = ", ".join(fact for fact in facts if fact)
        return f"{self.args[0]} ({known})" if known else str(self.args[0])


class NotFound(StoreError):
    """No object of that key (or no such version)."""

    errno = _errno.ENOENT


class NoSuchBucket(NotFound):
    """The bucket itself does not exist."""


class NoSuchUpload(NotFound):
    """The multipart upload was completed, aborted or never began."""


class AlreadyExists(StoreError):
    """The key is taken and the request forbade overwriting."""

    errno = _errno.EEXIST


class AccessDenied(StoreError):
    """A RAM or bucket policy refuses the action."""

    errno = _errno.EACCES


class BadCredentials(AccessDenied):
    """The access key, its signature, its token or the clock is not accepted."""


class Stale(StoreError):
    """The object is no longer the version that was asked for."""

    errno = _errno.ESTALE


class RangeNotSatisfiable(StoreError):
    """The range begins at or behind the end of the object."""

    errno = _errno.EINVAL


class EntityTooLarge(StoreError):
    """Above what one request of this kind may carry or copy."""

    errno = _errno.EFBIG


class ServerKeyRefused(StoreError):
    """OSS cannot use the key of its server-side encryption: no such key, disabled, no KMS."""

    errno = _errno.ENOKEY


class RefusedByServer(StoreError):
    """A 4xx answer that has no class of its own."""


class Unavailable(StoreError):
    """The service failed, throttled or could not be reached; the same request may succeed later."""

    retryable = True


class TimedOut(StoreError):
    """No byte moved within the time limit."""

    errno = _errno.ETIMEDOUT
    retryable = True


class IntegrityError(OssfsError):
    """What the bucket or the scratch file returned is not what was stored.

    The text never says which check failed: a bucket owner must not learn it from our behaviour.
    """


class KeyUnavailable(OssfsError):
    """No key at hand opens the object, which its public headers or the KMS's answer show."""

    errno = _errno.ENOKEY


class StagingFull(OssfsError):
    """The local scratch space is exhausted."""

    errno = _errno.ENOSPC


class FileTooLarge(OssfsError):
    """Larger than the format, OSS or an option allows."""

    errno = _errno.EFBIG


class NoEntry(OssfsError):
    """No such name in the directory."""

    errno = _errno.ENOENT


class EntryExists(OssfsError):
    """The name is taken."""

    errno = _errno.EEXIST


class NotADirectory(OssfsError):
    """A directory was needed."""

    errno = _errno.ENOTDIR


class IsADirectory(OssfsError):
    """Anything but a directory was needed."""

    errno = _errno.EISDIR


class DirectoryNotEmpty(OssfsError):
    """The directory has entries."""

    errno = _errno.ENOTEMPTY


class NameTooLong(OssfsError):
    """A component above 255 bytes or a key above 1,023."""

    errno = _errno.ENAMETOOLONG


class NameNotUtf8(OssfsError):
    """OSS keys are UTF-8; this name is not."""

    errno = _errno.EILSEQ


class Busy(OssfsError):
    """Something else has to end first."""

    errno = _errno.EBUSY


class InvalidArgument(OssfsError):
    """An argument that no state of the file system would make right."""

    errno = _errno.EINVAL


class NotPermitted(OssfsError):
    """Not possible here, whatever the permissions."""

    errno = _errno.EPERM


class PermissionDenied(OssfsError):
    """The permission bits refuse."""

    errno = _errno.EACCES


class ReadOnlyFileSystem(OssfsError):
    """Mounted with --read-only."""

    errno = _errno.EROFS


class Unsupported(OssfsError):
    """Refused rather than done halfway."""

    errno = _errno.ENOTSUP


class NoAttribute(OssfsError):
    """No such extended attribute."""

    errno = _errno.ENODATA


class NoAttributeRoom(OssfsError):
    """The extended attributes of one file would not fit into its metadata."""

    errno = _errno.ENOSPC


class BadHandle(OssfsError):
    """The handle is closed or not open in that direction."""

    errno = _errno.EBADF


class StaleHandle(OssfsError):
    """Another client replaced the version that this handle reads."""

    errno = _errno.ESTALE


class Conflict(StaleHandle):
    """Another client's version stands in the way of what is staged; trying again does not help."""


class CommandError(Exception):
    """Ends a command with one line on stderr and a documented exit code."""

    exit_code: ClassVar[int] = 1


class UsageError(CommandError):
    """An argument, option or configuration value is wrong."""

    exit_code = 2


class BucketError(CommandError):
    """Credentials, endpoint or bucket do not work."""

    exit_code = 3


class KeyProblem(CommandError):
    """The master key is missing, unreadable or unfit."""

    exit_code = 4


class MountPointError(CommandError):
    """The mount point is missing, busy or not empty."""

    exit_code = 5


class NotStored(CommandError):
    """Something that was written could not be stored in the bucket."""

    exit_code = 6


class IntegrityProblem(CommandError):
    """Stored data failed its check."""

    exit_code = 7
