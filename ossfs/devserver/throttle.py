"""Makes a loopback connection as slow as a real one."""

import trio


class Throttle:
    """Lets at most so many bytes a second through, all connections together; None: no limit."""

    def __init__(self, bytes_per_second: float | None) -> None:
        self._rate = bytes_per_second
        self._free_at = 0.0

    async def spend(self, count: int) -> None:
        """Waits until *count* bytes have passed."""
        if self._rate is None or not count:
            return
        self._free_at = max(self._free_at, trio.current_time()) + count / self._rate
        await trio.sleep_until(self._free_at)
