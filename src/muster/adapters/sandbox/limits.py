"""How much one run of a tool's code may use."""

from dataclasses import dataclass, fields

from muster.adapters.sandbox.errors import SandboxLimitsInvalid
from muster.kernel.errors import FieldError

RANGES: dict[str, tuple[float, float]] = {
    "wall_s": (0.1, 3600),
    "cpu_s": (1, 3600),
    "memory_mb": (64, 16_384),
    "processes": (0, 1),
    "open_files": (16, 1024),
    "file_mb": (1, 1024),
    "output_kb": (1, 16_384),
}
FILES_FACTOR = 8
MAXIMUM_FILES = 2000


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """Limits of one run; a value out of range raises `SandboxLimitsInvalid` naming the field.

    Attributes:
        wall_s: Seconds from the start of the process to the result.
        cpu_s: Whole seconds of processor time.
        memory_mb: MiB of address space of each process, the interpreter's own 30 included.
        processes: Child processes that may live at the same time: none or one (fork only).
        open_files: File descriptors, the standard three included.
        file_mb: MiB of one file; all files of the run together may hold eight times that.
        output_kb: KiB of the result and, on its own, of what the code prints.
    """

    wall_s: float = 10
    cpu_s: int = 10
    memory_mb: int = 256
    processes: int = 0
    open_files: int = 32
    file_mb: int = 8
    output_kb: int = 256

    def __post_init__(self) -> None:
        wrong = [
            FieldError(field.name, f"Must be {_kind(field.name)} from {low:g} to {high:g}.")
            for field in fields(self)
            for low, high in [RANGES[field.name]]
            if not _fits(getattr(self, field.name), low, high, whole=field.name != "wall_s")
        ]
        if wrong:
            raise SandboxLimitsInvalid(
                f"{wrong[0].field}: {wrong[0].message}",
                errors=wrong,
            )

    @property
    def output_bytes(self) -> int:
        return self.output_kb * 1024

    @property
    def total_file_bytes(self) -> int:
        return self.file_mb * FILES_FACTOR * 1024 * 1024


def _kind(name: str) -> str:
    return "a number" if name == "wall_s" else "a whole number"


def _fits(value: object, low: float, high: float, *, whole: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        return False
    return low <= value <= high
