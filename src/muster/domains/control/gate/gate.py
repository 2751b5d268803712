"""The gate itself: asks every check, takes the strictest answer, and tells them how it went."""

from collections.abc import Sequence
from typing import Protocol

from muster.domains.control.gate.decision import Action, Decision, Finding, IntendedStep, Outcome


class Check(Protocol):
    """One kind of rule. Policies, budgets and breakers are checks like the limits of an agent.

    `judge` looks at a step before it happens and may take a hold on what it will use up. Then one
    of two is called, once: `settle` for a step that was allowed, when it is known whether it came
    off, so that a hold can be turned into what was really used; `release` for one that was not,
    by whichever check, so that nothing is held for what never happens.
    """

    name: str

    async def judge(self, step: IntendedStep) -> Sequence[Finding]:
        """Return what is to be said about the step; nothing means it may happen."""
        ...

    async def settle(self, step: IntendedStep, outcome: Outcome) -> None:
        """Take note of how an allowed step ended."""
        ...

    async def release(self, step: IntendedStep) -> None:
        """Give back what is held for a step that does not happen."""
        ...


class Gate:
    """Judges intended steps.

    Every check is asked, also when one has already refused: the journal then shows all that was
    wrong, and a dry run over stored steps says the same as the live one.
    """

    def __init__(self, checks: Sequence[Check]) -> None:
        self.checks = tuple(checks)

    async def evaluate(self, step: IntendedStep) -> Decision:
        """Return the decision about a step; one that is allowed is to be settled."""
        findings: list[Finding] = []
        for check in self.checks:
            findings.extend(await check.judge(step))
        if not findings:
            return _ALLOWED
        action = max((f.action for f in findings), key=lambda action: action.weight)
        allowed = action in {Action.ALLOW, Action.WARN}
        if not allowed:
            for check in self.checks:
                await check.release(step)
        wait_s = max(f.wait_s for f in findings) if allowed else 0.0
        return Decision(action=action, findings=tuple(findings), wait_s=wait_s)

    async def settle(self, step: IntendedStep, outcome: Outcome) -> None:
        """Tell every check how an allowed step ended."""
        for check in self.checks:
            await check.settle(step, outcome)


_ALLOWED = Decision(action=Action.ALLOW)
