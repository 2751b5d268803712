"""How a client behaves: limits, times, and what an outage means."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

OnOutage = Literal["open", "closed"]
Redact = Callable[[Any], Any]
OnRejected = Callable[[str, Sequence[Mapping[str, Any]], str], None]

MOST_STEPS = 1000
"""What the platform takes in one call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Times are in seconds.

    Attributes:
        on_outage: "open": the agent goes on without the platform. "closed": it does not.
        batch_size: Most steps of one call, 1 to 1,000.
        interval_s: How long a step may wait for others before it is sent.
        queue_size: Most steps that wait. Beginnings and ends of tasks have as much again.
        queue_bytes: Most bytes that wait.
        full_timeout_s: How long a step waits for a place in a full queue.
        timeout_s: Time limit of one call.
        gate_timeout_s: Time limit of everything that a step waits for before it begins.
        shutdown_timeout_s: How long the end of the process waits for the last steps.
        retry_initial_s: First pause after a failed call; it doubles up to `retry_max_s`.
        retry_max_s: Longest pause.
        max_value_bytes: Longest input or output; a longer one is replaced by its beginning.
    """

    on_outage: OnOutage = "open"
    batch_size: int = 200
    interval_s: float = 0.5
    queue_size: int = 10_000
    queue_bytes: int = 64 * 2**20
    full_timeout_s: float = 1.0
    timeout_s: float = 10.0
    gate_timeout_s: float = 5.0
    shutdown_timeout_s: float = 5.0
    retry_initial_s: float = 0.2
    retry_max_s: float = 30.0
    max_value_bytes: int = 256 * 2**10

    def __post_init__(self) -> None:
        if self.on_outage not in {"open", "closed"}:
            raise ValueError('on_outage must be "open" or "closed"')
        if not 1 <= self.batch_size <= MOST_STEPS:
            raise ValueError(f"batch_size must be 1 to {MOST_STEPS}")
        if self.queue_size < 1 or self.queue_bytes < 1 or self.max_value_bytes < 1:
            raise ValueError("queue_size, queue_bytes and max_value_bytes must be at least 1")

    @property
    def is_closed(self) -> bool:
        """Whether the agent is to stop when the platform is away."""
        return self.on_outage == "closed"

    def pause(self, failures: int) -> float:
        """Return how long to wait after so many failures in a row, in seconds."""
        return min(self.retry_max_s, self.retry_initial_s * 2.0 ** min(failures - 1, 32))
