"""Content that was read, kept in the pieces in which it came."""

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar, final

K = TypeVar("K", bound=Hashable)


@final
class Extent:
    """Neighbouring chunks of one content, in one buffer that nobody changes any more.

    first: number of the first chunk; chunk: bytes of each, though the last one may be shorter;
    lacking: numbers of chunks whose place in the buffer holds nothing that may be shown.
    """

    __slots__ = ("chunk", "end", "first", "lacking", "view")

    def __init__(
        self, first: int, chunk: int, view: memoryview, lacking: frozenset[int] = frozenset()
    ) -> None:
        self.first = first
        self.chunk = chunk
        self.view = view.toreadonly()
        self.lacking = lacking
        self.end = first + -(-len(view) // chunk)

    def numbers(self) -> Iterator[int]:
        """Numbers of the chunks that are there."""
        return (index for index in range(self.first, self.end) if index not in self.lacking)

    def piece(self, position: int, end: int) -> memoryview:
        """Bytes of the content from *position*, in a chunk that is there, towards *end*.

        As far as this extent goes; no further than the chunk if others are lacking.
        """
        base = self.first * self.chunk
        if self.lacking:
            end = min(end, (position // self.chunk + 1) * self.chunk)
        return self.view[position - base : end - base]


@final
class ExtentLru(Generic[K]):
    """Least-recently-used cache of extents, bounded by their bytes; finds them by chunk.

    An extent goes as a whole, since its buffer does. capacity: bytes that the extents may weigh
    together; overhead: what each chunk counts beside its bytes. A heavier extent is not kept. No
    locks and no I/O: it belongs to one thread at a time.
    """

    __slots__ = ("_capacity", "_extents", "_overhead", "_places", "_weight")

    def __init__(self, capacity: int, *, overhead: int = 0) -> None:
        self._capacity = capacity
        self._overhead = overhead
        self._extents: OrderedDict[Extent, K] = OrderedDict()
        self._places: dict[tuple[K, int], Extent] = {}
        self._weight = 0

    @property
    def weight(self) -> int:
        """Bytes that the extents count together; never above the capacity."""
        return self._weight

    def __contains__(self, place: tuple[K, int]) -> bool:
        return place in self._places

    def get(self, key: K, number: int) -> Extent | None:
        """The extent that holds this chunk, which becomes the most recently used; None if none."""
        extent = self._places.get((key, number))
        if extent is not None:
            self._extents.move_to_end(extent)
        return extent

    def put(self, key: K, extent: Extent) -> None:
        """Hold *extent*, which is found for all its chunks from now on, and forget the oldest."""
        weight = self._weigh(extent)
        if weight > self._capacity:
            return
        for number in extent.numbers():
            self._places[key, number] = extent
        self._extents[extent] = key
        self._weight += weight
        while self._weight > self._capacity:
            self._forget(next(iter(self._extents)))

    def discard(self, key: K, number: int) -> None:
        """Forget the extent that holds this chunk, if there is one."""
        extent = self._places.get((key, number))
        if extent is not None:
            self._forget(extent)

    def _forget(self, extent: Extent) -> None:
        key = self._extents.pop(extent)
        self._weight -= self._weigh(extent)
        for number in extent.numbers():
            if self._places.get((key, number)) is extent:
                del self._places[key, number]

    def _weigh(self, extent: Extent) -> int:
        return len(extent.view) + self._overhead * (extent.end - extent.first)
