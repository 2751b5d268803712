"""The gate's check of circuit breakers."""

from collections.abc import Sequence

from muster.domains.control.breakers.circuits import Admission, Barred, Circuits
from muster.domains.control.breakers.names import BreakerId, breaker_of
from muster.domains.control.gate import Action, Finding, IntendedStep, Outcome
from muster.kernel import clock


class BreakerCheck:
    """Refuses at once what would only fail, and what a person has opened; counts how calls end.

    Calls are counted where somebody else is asked. By hand every tool and model can be stopped.
    """

    name = "circuit_breaker"

    def __init__(self, circuits: Circuits) -> None:
        self._circuits = circuits
        self._admitted: dict[tuple[str, str], tuple[BreakerId, Admission]] = {}

    async def judge(self, step: IntendedStep) -> Sequence[Finding]:
        by_name = breaker_of(_by_name(step), step.project_id)
        if (barred := await self._circuits.barred_by_hand(by_name)) is not None:
            return (self._finding(barred),)
        if step.breaker is None:
            return ()
        breaker = breaker_of(step.breaker, step.project_id)
        admission = await self._circuits.admit(breaker)
        if isinstance(admission, Barred):
            return (self._finding(admission),)
        self._admitted[step.run_id, step.key] = breaker, admission
        return ()

    def _finding(self, barred: Barred) -> Finding:
        probe_at = clock.iso(barred.probe_at) if barred.probe_at else None
        return Finding(
            check=self.name,
            action=Action.BLOCK,
            code="circuit_open",
            message=barred.message,
            details={"circuit_breaker": barred.name, "probe_at": probe_at},
        )

    async def settle(self, step: IntendedStep, outcome: Outcome) -> None:
        """Count whether the other side was there."""
        admitted = self._admitted.pop((step.run_id, step.key), None)
        if admitted is not None:
            await self._circuits.report(*admitted, answered=outcome.answered)

    async def release(self, step: IntendedStep) -> None:
        """Give a probe back that is not made."""
        await self.settle(step, Outcome())


def _by_name(step: IntendedStep) -> str:
    return f"{'model' if step.tool is None else 'tool'}:{step.name}"
