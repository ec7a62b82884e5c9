"""Which bytes to fetch before they are asked for: finds sequential streams among reads.

Pure arithmetic. A file may be read at several places at once, each of which is a stream of its own;
reads at random places are streams that never go on, for which nothing is fetched ahead.
"""

from collections import OrderedDict
from typing import final

MIB = 1 << 20

_STREAMS = 8
_TRUSTED_RUN = 128 * 1024
_FIRST_WINDOW = MIB
_SMALLEST_SPAN = MIB
_LARGEST_SPAN = 4 * MIB


class _Stream:
    """One place in the file that is read forwards.

    position: behind the last byte read; run: bytes read in sequence; window: how far ahead to be, 0
    before the stream is trusted; ahead: behind the last byte asked for.
    """

    __slots__ = ("ahead", "position", "run", "window")

    def __init__(self, position: int, run: int) -> None:
        self.position = position
        self.run = run
        self.window = 0
        self.ahead = 0

    def is_continued_by(self, offset: int, end: int) -> bool:
        """Whether a read goes on here, allowing for neighbouring reads that change places."""
        length = end - offset
        return abs(offset - self.position) <= length and end > self.position


@final
class ReadAhead:
    """The streams of one open file.

    size: of the file; chunk: fetched ranges begin at multiples of it; limit: how far ahead of the
    reader the largest window reaches, in bytes (0: never fetch ahead).
    """

    __slots__ = ("_chunk", "_limit", "_size", "_streams")

    def __init__(self, *, size: int, chunk: int, limit: int) -> None:
        self._size = size
        self._chunk = chunk
        self._limit = limit
        self._streams: OrderedDict[_Stream, None] = OrderedDict()

    def advance(self, offset: int, end: int, budget: int) -> list[tuple[int, int]]:
        """Note a read of [offset, end) and return the ranges to fetch now, *budget* bytes at most.

        What exceeds the budget is asked for at a later read.
        """
        stream = self._noted(offset, end)
        if stream is None or stream.run < _TRUSTED_RUN or not self._limit:
            return []
        if not stream.window:
            stream.window = min(_FIRST_WINDOW, self._limit)
        aligned = -(-stream.position // self._chunk) * self._chunk
        stream.ahead = max(stream.ahead, aligned)
        enough = max(stream.window // 2, stream.window - self._span(stream))
        if stream.ahead - stream.position > enough:
            return []
        ranges = self._fill(stream, budget)
        stream.window = min(stream.window * 2, self._limit)
        return ranges

    def _noted(self, offset: int, end: int) -> _Stream | None:
        """The stream that this read continues; None, and a new stream, if there is none."""
        for stream in reversed(self._streams):
            if stream.is_continued_by(offset, end):
                stream.run += end - stream.position
                stream.position = end
                self._streams.move_to_end(stream)
                return stream
        self._streams[_Stream(end, end - offset)] = None
        if len(self._streams) > _STREAMS:
            self._streams.popitem(last=False)
        return None

    def _fill(self, stream: _Stream, budget: int) -> list[tuple[int, int]]:
        span = self._span(stream)
        target = min(stream.position + stream.window, self._size)
        ranges = []
        while stream.ahead < target:
            end = min(stream.ahead + span, self._size)
            budget -= end - stream.ahead
            if budget < 0:
                break
            ranges.append((stream.ahead, end))
            stream.ahead = end
        return ranges

    def _span(self, stream: _Stream) -> int:
        """Bytes of one fetch: whole chunks."""
        span = max(_SMALLEST_SPAN, min(stream.window // 4, _LARGEST_SPAN))
        return min(span, max(stream.window, self._chunk)) // self._chunk * self._chunk
