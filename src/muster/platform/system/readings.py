"""Readings of the machine, taken without waiting and at most once a second."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

_FRESH_S = 1.0
_MB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemReading:
    """How busy the machine and this process are."""

    cpu_percent: float
    cpu_count: int
    memory_percent: float
    memory_available_mb: float
    disk_percent: float
    disk_free_mb: float
    process_memory_mb: float
    process_cpu_percent: float
    process_threads: int


class Machine:
    """Reads the machine that this process runs on.

    Args:
        folder: Any path on the disk that the product writes to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = psutil.Process()
        self._reading: SystemReading | None = None
        self._read_at = 0.0
        self._lock = asyncio.Lock()
        # The first answer of these is for the time before, which is nothing.
        psutil.cpu_percent(interval=None)
        self._process.cpu_percent(interval=None)

    async def read(self) -> SystemReading:
        """Return a reading that is not older than a second."""
        async with self._lock:
            if self._reading is None or time.monotonic() - self._read_at > _FRESH_S:
                # In a thread: the file system may be one that is slow to tell its size.
                self._reading = await asyncio.to_thread(self._take)
                self._read_at = time.monotonic()
            return self._reading

    def _take(self) -> SystemReading:
        memory = psutil.virtual_memory()
        folder = next(p for p in (self._folder, *self._folder.resolve().parents) if p.exists())
        disk = psutil.disk_usage(str(folder))
        with self._process.oneshot():
            return SystemReading(
                cpu_percent=psutil.cpu_percent(interval=None),
                cpu_count=psutil.cpu_count() or 1,
                memory_percent=memory.percent,
                memory_available_mb=round(memory.available / _MB, 1),
                disk_percent=disk.percent,
                disk_free_mb=round(disk.free / _MB, 1),
                process_memory_mb=round(self._process.memory_info().rss / _MB, 1),
                process_cpu_percent=self._process.cpu_percent(interval=None),
                process_threads=self._process.num_threads(),
            )
