"""Marks by which a process of this host is known again, or known to be gone."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """A process, told apart from later ones with the same pid."""

    host: str
    boot: str
    pid: int
    started: str

    @classmethod
    def own(cls) -> "ProcessMark":
        """Return the mark of this process."""
        pid = os.getpid()
        return cls(platform.node(), boot_mark(), pid, start_mark(pid) or "")

    def is_gone(self, here: "ProcessMark") -> bool:
        """Tell whether it certainly ended. False when it lives, or cannot be seen from `here`."""
        if (self.host, self.boot) != (here.host, here.boot):
            return False
        return start_mark(self.pid) != self.started


def boot_mark() -> str:
    """Return what all processes share that see each other's pids: one boot, one pid namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return str(int(psutil.boot_time()))


def start_mark(pid: int) -> str | None:
    """Return when the process began, in a form that only compares; None when there is none."""
    try:
        # Clock ticks since boot: unlike a time of day they stand still when the clock is set.
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _start_mark_elsewhere(pid)
    except OSError:
        return None
    # The name in parentheses may hold anything; state is the field after it, the 3rd of all.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else fields[19]


def _start_mark_elsewhere(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"{process.create_time():.2f}"
    except psutil.Error:
        return None
