"""What every benchmark is given: how long to measure, on which databases, with which peers."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from benchmarks.figures import Report

DATABASES = ("sqlite", "postgresql")

Size = Literal["full", "quick", "tiny"]
"""`full` is what the promises are measured with; `tiny` only shows that everything runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """How the benchmarks of one run measure.

    Args:
        say: Tells whoever waits what is being done.
        folder: Where the files of the run go; the system's temporary folder where absent.
    """

    size: Size = "full"
    databases: tuple[str, ...] = DATABASES
    with_peers: bool = False
    say: Callable[[str], None] = lambda _: None
    folder: Path | None = None

    def pick(self, full: int, quick: int, tiny: int) -> int:
        """Return the number for the size of this run."""
        return {"full": full, "quick": quick, "tiny": tiny}[self.size]

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield an empty folder that is deleted afterwards."""
        with TemporaryDirectory(prefix="muster-bench-", dir=self.folder) as folder:
            yield Path(folder)


Measure = Callable[[Context], Awaitable[Report]]
