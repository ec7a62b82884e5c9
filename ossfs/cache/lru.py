"""A mapping that forgets what was not used for the longest time once its values weigh too much."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar, final

from ossfs.types import Buffer

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Buffer)


@final
class ByteLru(Generic[K, V]):
    """Least-recently-used cache bounded by the bytes of its values.

    capacity: bytes that the values may weigh together. overhead: bytes that each entry counts
    beside the length of its value, so that many small ones are bounded too. A value heavier than
    the capacity is not kept. No locks and no I/O: it belongs to one thread at a time.
    """

    __slots__ = ("_capacity", "_entries", "_overhead", "_weight")

    def __init__(self, capacity: int, *, overhead: int = 0) -> None:
        self._capacity = capacity
        self._overhead = overhead
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._weight = 0

    @property
    def weight(self) -> int:
        """Bytes that the entries count together; never above the capacity."""
        return self._weight

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def get(self, key: K) -> V | None:
        """The value, which becomes the most recently used; None if it is not held."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        """Hold *value*, in place of what was there, and forget the oldest as far as needed."""
        self.discard(key)
        weight = len(value) + self._overhead
        if weight > self._capacity:
            return
        self._entries[key] = value
        self._weight += weight
        while self._weight > self._capacity:
            self.discard(next(iter(self._entries)))

    def discard(self, key: K) -> None:
        """Forget the value, if it is held."""
        value = self._entries.pop(key, None)
        if value is not None:
            self._weight -= len(value) + self._overhead
