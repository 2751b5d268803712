"""The checks that hold for every run: permissions, an agent's own limits, approvals."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from muster.domains.control.gate.decision import (
    Action,
    Finding,
    IntendedStep,
    Outcome,
    arguments_hash,
)
from muster.domains.control.gate.gate import Check
from muster.kernel import clock

MODEL_KIND = "step.model"
_MINUTE = timedelta(minutes=1)

RecentCalls = Callable[[str, datetime, int], Awaitable[Sequence[datetime]]]
"""`(agent_id, since, limit)` to the times of the agent's newest model calls, newest first."""


class StatelessCheck:
    """A check that holds nothing, so that nothing is to be settled."""

    async def settle(self, step: IntendedStep, outcome: Outcome) -> None:
        """Nothing was held."""

    async def release(self, step: IntendedStep) -> None:
        """Nothing is held."""


class ToolPermission(StatelessCheck):
    """A tool must be enabled in the project and granted to the agent."""

    name = "tool_permission"

    async def judge(self, step: IntendedStep) -> Sequence[Finding]:
        tool = step.tool
        if tool is None:
            return ()
        if not tool.granted:
            return (
                self._block("tool_not_granted", f"The agent may not use the tool {tool.name}."),
            )
        if not tool.enabled:
            return (self._block("tool_disabled", f"The tool {tool.name} is disabled here."),)
        return ()

    def _block(self, code: str, message: str) -> Finding:
        return Finding(check=self.name, action=Action.BLOCK, code=code, message=message)


class IterationLimit(StatelessCheck):
    """An agent thinks at most `max_iter` times."""

    name = "iteration_limit"

    async def judge(self, step: IntendedStep) -> Sequence[Finding]:
        limit = step.limits.max_iter
        if step.kind != MODEL_KIND or step.progress.iteration <= limit:
            return ()
        return (
            Finding(
                check=self.name,
                action=Action.BLOCK,
                code="max_iter",
                message=f"The agent has reached its limit of {limit} iterations.",
                details={"max_iter": limit},
            ),
        )


class TimeLimit(StatelessCheck):
    """An agent works at most `max_execution_time` seconds."""

    name = "time_limit"

    async def judge(self, step: IntendedStep) -> Sequence[Finding]:
        limit = step.limits.max_execution_time_s
        if limit is None or step.progress.active_s < limit:
            return ()
        return (
            Finding(
                check=self.name,
                action=Action.BLOCK,
                code="max_execution_time",
                message=f"The agent has worked for its limit of {limit:g} seconds.",
                details={"max_execution_time": limit},
                ends_run=True,
            ),
        )


class RateLimit:
    """An agent calls models at most `max_rpm` times a minute, over all of its runs: it waits.

    Calls that are under way or that wait for their turn in this process count as well, each with
    the moment at which it may begin.
    """

    name = "rate_limit"

    def __init__(self, recent: RecentCalls) -> None:
        self._recent = recent
        self._turns: defaultdict[str, dict[tuple[str, str], datetime]] = defaultdict(dict)

    async def judge(self, step: IntendedStep) -> Sequence[Finding]:
        limit = step.limits.max_rpm
        if limit is None or step.kind != MODEL_KIND or step.agent_id is None:
            return ()
        moment = clock.now()
        ended = await self._recent(step.agent_id, moment - _MINUTE, limit)
        turns = self._turns[step.agent_id]
        calls = sorted([*ended, *turns.values()], reverse=True)
        turn = moment if len(calls) < limit else max(moment, calls[limit - 1] + _MINUTE)
        turns[step.run_id, step.key] = turn
        if turn == moment:
            return ()
        return (
            Finding(
                check=self.name,
                action=Action.ALLOW,
                code="max_rpm",
                message=f"The agent may call models {limit} times a minute and waits.",
                details={"max_rpm": limit},
                wait_s=(turn - moment).total_seconds(),
            ),
        )

    async def settle(self, step: IntendedStep, outcome: Outcome) -> None:
        """The call is in the journal now, and counts from there."""
        del outcome
        await self.release(step)

    async def release(self, step: IntendedStep) -> None:
        """Give the turn back."""
        if step.agent_id is None:
            return
        turns = self._turns.get(step.agent_id, {})
        turns.pop((step.run_id, step.key), None)
        if not turns:
            self._turns.pop(step.agent_id, None)


class ApprovalRequired(StatelessCheck):
    """A tool that requires approval runs only with a person's yes to these very arguments."""

    name = "approval"

    async def judge(self, step: IntendedStep) -> Sequence[Finding]:
        tool = step.tool
        if tool is None or not tool.requires_approval:
            return ()
        evidence = step.approval
        if evidence is None:
            return (self._ask(tool.approval_reason or f"The tool {tool.name} needs approval."),)
        if not evidence.approved:
            reason = f": {evidence.reason}" if evidence.reason else "."
            return (
                Finding(
                    check=self.name,
                    action=Action.BLOCK,
                    code="rejected",
                    message=f"{evidence.decided_by} rejected this call{reason}",
                    details={"approval_id": evidence.approval_id},
                ),
            )
        if evidence.arguments_hash != arguments_hash(step.name, step.arguments):
            return (self._ask("The arguments are not those that were approved."),)
        return ()

    def _ask(self, message: str) -> Finding:
        return Finding(
            check=self.name, action=Action.ASK, code="approval_required", message=message
        )


def standard_checks(recent: RecentCalls) -> list[Check]:
    """Return the checks that every gate has."""
    return [ToolPermission(), IterationLimit(), TimeLimit(), RateLimit(recent), ApprovalRequired()]
