"""What the figures were measured on."""

import os
import platform
import sys
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The machine at one moment; `load` is the average of the last minute."""

    at: str
    cores: int
    memory_gib: float
    system: str
    python: str
    sqlite: str
    muster: str
    load: float

    @classmethod
    def now(cls) -> "Machine":
        """Look at this machine."""
        import sqlite3

        return cls(
            at=datetime.now().astimezone().isoformat(timespec="seconds"),
            cores=os.cpu_count() or 1,
            memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
            system=f"{platform.system()} {platform.machine()}",
            python=f"{platform.python_implementation()} {sys.version.split()[0]}",
            sqlite=sqlite3.sqlite_version,
            muster=version("muster"),
            load=load(),
        )

    @property
    def line(self) -> str:
        """The machine in one line."""
        return (
            f"{self.cores} cores, {self.memory_gib:g} GiB, {self.system}, {self.python}, SQLite "
            f"{self.sqlite}; load average {self.load:.1f} when the run began"
        )

    @property
    def is_busy(self) -> bool:
        """Whether others used the machine so much that absolute figures suffer."""
        return self.load > self.cores / 4

    def as_json(self) -> dict[str, Any]:
        """Return the machine as values of JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


def load() -> float:
    """Return the load average of the last minute."""
    return round(os.getloadavg()[0], 2)
