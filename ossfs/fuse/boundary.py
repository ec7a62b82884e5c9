"""The boundary that no exception but FUSEError crosses.

pyfuse3 ends the whole mount on any other exception from a handler, on a group raised by a nursery,
and from `forget` even on FUSEError. Every handler wears `replies_errno`, and `forget` wears
`never_raises`.
"""

import errno
import functools
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

import pyfuse3
import trio

from ossfs.errors import IntegrityError, NoAttribute, NoEntry, OssfsError, StoreError

P = ParamSpec("P")
R = TypeVar("R")
Self = TypeVar("Self")
Handler = Callable[Concatenate[Self, P], Coroutine[Any, Any, R]]

log = logging.getLogger(__name__)


def replies_errno(handler: Handler[Self, P, R]) -> Handler[Self, P, R]:
    """Turn any failure of *handler* into the errno that the caller gets, and log it once."""

    @functools.wraps(handler)
    async def guarded(self: Self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await handler(self, *args, **kwargs)
        except (pyfuse3.FUSEError, trio.Cancelled, KeyboardInterrupt):
            raise
        except OssfsError as error:
            _report(handler.__name__, error)
            raise pyfuse3.FUSEError(error.errno) from error
        except MemoryError as error:
            log.error("%s: out of memory", handler.__name__)
            raise pyfuse3.FUSEError(errno.ENOMEM) from error
        except BaseExceptionGroup as group:
            raise _from_group(handler.__name__, group) from group
        except Exception as error:  # an unforeseen error must not cost more than its request
            log.exception("%s failed unexpectedly", handler.__name__)
            raise pyfuse3.FUSEError(errno.EIO) from error

    return guarded


def never_raises(
    handler: Handler[Self, P, None],
) -> Handler[Self, P, None]:
    """Log any failure of *handler* and go on."""

    @functools.wraps(handler)
    async def guarded(self: Self, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            await handler(self, *args, **kwargs)
        except Exception:  # the kernel waits for no answer, and pyfuse3 bears no error here
            log.exception("%s failed unexpectedly", handler.__name__)

    return guarded


def _from_group(name: str, group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error to raise for a group: Cancelled stays what it is, else one errno."""
    cancelled, rest = group.split(trio.Cancelled)
    if rest is None:
        assert cancelled is not None
        return group
    known = rest.subgroup(OssfsError)
    if known is not None:
        error: BaseException = known
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        assert isinstance(error, OssfsError)
        _report(name, error)
        return pyfuse3.FUSEError(error.errno)
    log.error("%s failed unexpectedly", name, exc_info=rest)
    return pyfuse3.FUSEError(errno.EIO)


def _report(name: str, error: OssfsError) -> None:
    """One line with the request id and code of OSS; what is everyday life stays at debug level."""
    if isinstance(error, IntegrityError):
        log.error("%s: %s", name, error)
    elif isinstance(error, StoreError) and error.errno not in {errno.ENOENT, errno.EEXIST}:
        log.warning("%s: %s", name, error)
    elif isinstance(error, NoEntry | NoAttribute):
        pass
    else:
        log.debug("%s: %s", name, error)
