"""Which bytes a Range header asks for, under both behaviours of OSS."""

import re

from ossfs.devserver.errors import OssError

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def resolve(header: str | None, size: int, *, standard: bool) -> tuple[int, int] | None:
    """(start, length) for an answer with 206, None for the whole object with 200.

    By default a range that is not wholly inside the object gives the whole object. With *standard*
    (x-oss-range-behavior) it is clipped, and one that begins behind the end raises OssError
    InvalidRange. What is no single range is ignored.
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        start, end = size - int(last), size
        satisfiable = int(last) > 0 and size > 0
    else:
        start, end = int(first), int(last) + 1 if last else size
        satisfiable = start < size
        if last and int(last) < start:
            return None
    inside = satisfiable and start >= 0 and end <= size
    if inside or (standard and satisfiable):
        start = max(start, 0)
        return start, min(end, size) - start
    if standard:
        raise OssError("InvalidRange", ActualObjectSize=str(size), RangeHeader=header or "")
    return None
