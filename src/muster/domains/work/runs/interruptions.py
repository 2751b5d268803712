"""What ends the work on a run before it has a result: a wait, a refusal, a wish to stop."""

from collections.abc import Sequence
from datetime import datetime

from muster.domains.control.approvals import ApprovalRequest
from muster.domains.control.gate import Finding


class Suspended(Exception):
    """The run must wait: for people, until they have decided; for a moment, until it comes."""

    def __init__(
        self,
        requests: Sequence[ApprovalRequest] = (),
        *,
        for_people: bool = True,
        wake_at: datetime | None = None,
    ) -> None:
        super().__init__()
        # Who waits for people without requests waits for those of a run that it started.
        self.requests, self.for_people, self.wake_at = list(requests), for_people, wake_at


def raise_first(outcomes: Sequence[object]) -> None:
    """Raise what ended the run; when several steps wait, wait for all of them."""
    waiting = [outcome for outcome in outcomes if isinstance(outcome, Suspended)]
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, Suspended):
            raise outcome
    if not waiting:
        return
    moments = [one.wake_at for one in waiting if one.wake_at is not None]
    raise Suspended(
        [request for one in waiting for request in one.requests],
        for_people=any(one.for_people for one in waiting),
        wake_at=min(moments, default=None),
    )


class Refused(Exception):
    """The gate refused a step in a way that ends the loop or the run."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.code, self.message = finding.code, finding.message


class StopAsked(Exception):
    """A graceful stop was asked for and the run is between two steps."""
