"""How a report learns whether the log of events is as it was recorded.

The audit log is at hand in a process only once, so that this is put together with it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from muster.domains.insight.reports.document import CheckpointFacts, EventCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChecks:
    """Both are asked with the id of a project.

    Args:
        check_events: Recomputes the log of the project's events.
        checkpoint: Newest signed checkpoint of that log; else None, and why there is none.
    """

    check_events: Callable[[str], Awaitable[EventCheck]]
    checkpoint: Callable[[str], Awaitable[tuple[CheckpointFacts | None, str | None]]]
