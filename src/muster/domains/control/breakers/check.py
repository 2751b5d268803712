"""The gate's check of circuit breakers."""

from collections.abc import Sequence

from muster.domains.control.breakers.circuits import Admission, Barred, Circuits
from muster.domains.control.breakers.names import BreakerId, breaker_of
from muster.domains.control.gate import Action, Finding, IntendedStep, Outcome
from muster.kernel import clock


class BreakerCheck:
    """Refuses at once what would only fail, and counts how calls end."""

    name = "circuit_breaker"

    def __init__(self, circuits: Circuits) -> None:
        self._circuits = circuits
        self._admitted: dict[tuple[str, str], tuple[BreakerId, Admission]] = {}

    async def judge(self, step: IntendedStep) -> Sequence[Finding]:
        if step.breaker is None:
            return ()
        breaker = breaker_of(step.breaker, step.project_id)
        admission = await self._circuits.admit(breaker)
        if isinstance(admission, Barred):
            probe_at = clock.iso(admission.probe_at) if admission.probe_at else None
            return (
                Finding(
                    check=self.name,
                    action=Action.BLOCK,
                    code="circuit_open",
                    message=admission.message,
                    details={"circuit_breaker": breaker.name, "probe_at": probe_at},
                ),
            )
        self._admitted[step.run_id, step.key] = breaker, admission
        return ()

    async def settle(self, step: IntendedStep, outcome: Outcome) -> None:
        """Count whether the other side was there."""
        admitted = self._admitted.pop((step.run_id, step.key), None)
        if admitted is not None:
            await self._circuits.report(*admitted, answered=outcome.answered)

    async def release(self, step: IntendedStep) -> None:
        """Give a probe back that is not made."""
        await self.settle(step, Outcome())
