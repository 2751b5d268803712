"""How a client fares: counters that never go back, and what waits."""

from dataclasses import asdict, dataclass, replace
from threading import Lock
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A moment of a client.

    Attributes:
        registered: Whether the platform knows the agent.
        reachable: Whether the last call reached the platform; None before the first.
        queued: Steps that wait.
        queued_bytes: Their size.
        sent: Steps that the platform has stored.
        batches: Calls that stored them.
        retries: Calls that failed and were, or will be, made again.
        rejected: Steps that the platform refused for what they are.
        dropped: Steps for which the queue had no place.
        lost: Steps that were still waiting when the client was closed.
        blocked: Steps that policies stopped.
        warned: Steps that policies warned about.
        unjudged: Steps that began without a decision, because the platform was away.
        last_error: The last thing that went wrong.
    """

    registered: bool = False
    reachable: bool | None = None
    queued: int = 0
    queued_bytes: int = 0
    sent: int = 0
    batches: int = 0
    retries: int = 0
    rejected: int = 0
    dropped: int = 0
    lost: int = 0
    blocked: int = 0
    warned: int = 0
    unjudged: int = 0
    last_error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the counters by name."""
        return asdict(self)


class Counters:
    """Counts, from any thread."""

    def __init__(self) -> None:
        self._lock, self._health = Lock(), Health()

    def add(self, **counts: int) -> None:
        """Add to counters."""
        with self._lock:
            now = {name: getattr(self._health, name) + more for name, more in counts.items()}
            self._health = replace(self._health, **now)

    def set(self, **facts: Any) -> None:
        """Set what is no counter."""
        with self._lock:
            self._health = replace(self._health, **facts)

    def snapshot(self, **facts: Any) -> Health:
        """Return the present moment."""
        with self._lock:
            return replace(self._health, **facts)
