"""How many jobs may run at one time in this process, in all and for each partition."""

import asyncio
from collections import Counter


class Capacity:
    """Slots, taken before a job is claimed and given back when its handler has ended.

    Args:
        total: Jobs at one time.
        per_partition: Jobs of one partition at one time; None is no bound.
    """

    def __init__(self, total: int, per_partition: int | None = None) -> None:
        if total < 1 or (per_partition is not None and per_partition < 1):
            raise ValueError("the engine's concurrency must be at least 1")
        self._total = total
        self._per_partition = min(per_partition or total, total)
        self._running: Counter[str] = Counter()
        self._released = asyncio.Event()

    @property
    def free(self) -> int:
        """Slots that nobody holds."""
        return self._total - self._running.total()

    def running(self, partition: str) -> int:
        """Slots that this partition holds."""
        return self._running[partition]

    def room(self, partition: str) -> int:
        """Slots that this partition may still take."""
        return min(self.free, self._per_partition - self._running[partition])

    def reserve(self, partition: str, slots: int = 1) -> bool:
        """Take slots if there is room for all of them."""
        if self.room(partition) < slots:
            return False
        self._running[partition] += slots
        return True

    async def acquire(self, partition: str) -> None:
        """Take one slot, waiting for it: for a job that did not come through the dispatcher."""
        while not self.reserve(partition):
            self._released.clear()
            await self._released.wait()

    def release(self, partition: str, slots: int = 1) -> None:
        """Give slots back."""
        self._running[partition] -= slots
        if self._running[partition] == 0:
            del self._running[partition]
        self._released.set()
