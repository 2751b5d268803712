"""Judging stored runs again: what policies would have done to them."""

import asyncio
from collections.abc import Sequence

from muster.domains.control.policies import engine
from muster.domains.control.policies.compiled import CompiledPolicies
from muster.domains.control.policies.dry_run_schemas import (
    DryRunReport,
    DryRunRequest,
    DryRunStep,
)
from muster.domains.control.policies.engine import PolicySet, TaskMemory, Verdict
from muster.domains.control.policies.errors import PolicyUnreadable
from muster.domains.control.policies.judging import judge, judge_end
from muster.domains.control.policies.memories import History, RecordedRun, RecordedStep
from muster.domains.control.policies.notation import read
from muster.domains.control.policies.subjects import context_of
from muster.kernel import clock
from muster.platform.access import Caller

MAX_FINDINGS = 1_000


class DryRuns:
    """Judges runs of the past. Records nothing."""

    def __init__(self, policies: CompiledPolicies, history: History) -> None:
        self._policies, self._history = policies, history

    async def run(self, caller: Caller, body: DryRunRequest) -> DryRunReport:
        """Judge the newest runs of a period by given policies, or by the stored ones."""
        policies, skipped = await self._chosen(caller, body)
        runs = await self._history.runs(
            caller.project_id,
            since=body.since,
            until=body.until or clock.now(),
            agent_id=body.agent_id,
            limit=body.limit + 1,
        )
        has_more = len(runs) > body.limit
        report = DryRunReport(
            runs=0, steps=0, has_more=has_more, skipped=skipped, blocked=0, findings=[]
        )
        for run in runs[: body.limit]:
            steps = await self._history.steps(run.id, after=0)
            # Elsewhere: thousands of judgements would hold up every other request.
            await asyncio.to_thread(_judge_run, report, policies, run, steps)
        return report

    async def _chosen(self, caller: Caller, body: DryRunRequest) -> tuple[PolicySet, list[str]]:
        if body.policies is not None:
            given = [
                read({"id": str(n), **raw}, f"policies.{n}.") for n, raw in enumerate(body.policies)
            ]
            return _without_rates(given)
        stored = await self._policies.of(caller.project_id)
        if stored is None:
            return PolicySet([]), []
        if stored.unreadable:
            raise PolicyUnreadable(f"This release cannot judge by {', '.join(stored.unreadable)}.")
        return _without_rates(stored.policies.policies)


def _without_rates(given: Sequence[engine.Policy]) -> tuple[PolicySet, list[str]]:
    counting = [policy for policy in given if PolicySet([policy]).rate_queries]
    rest = [policy for policy in given if policy not in counting]
    return PolicySet(rest), [policy.name for policy in counting]


def _judge_run(
    report: DryRunReport,
    policies: PolicySet,
    run: RecordedRun,
    steps: Sequence[RecordedStep],
) -> None:
    memory = policies.memory()
    report.runs += 1
    for recorded in steps:
        if not recorded.step.is_refused:
            verdict = _judged(policies, memory, run, recorded)
            report.steps += 1
            report.blocked += verdict.action == "block"
            _note(report, run, recorded, verdict)
        memory.record(recorded.step)


def _judged(
    policies: PolicySet, memory: TaskMemory, run: RecordedRun, recorded: RecordedStep
) -> Verdict:
    context = context_of(run.agent_id, run.spec, task_id=run.id, now=recorded.at)
    verdict = judge(policies, memory, recorded.step, context)
    if recorded.is_failed_end:
        return verdict.merge(judge_end(policies, memory, recorded.step, context))
    return verdict


def _note(report: DryRunReport, run: RecordedRun, recorded: RecordedStep, verdict: Verdict) -> None:
    for result in verdict.violations[: MAX_FINDINGS - len(report.findings)]:
        report.findings.append(
            DryRunStep(
                execution_id=run.id,
                agent_id=run.agent_id,
                seq=recorded.seq,
                step_name=recorded.step.name,
                kind=recorded.step.kind,
                action=result.enforcement,
                policy_id=result.policy_id,
                policy_name=result.name,
                severity=result.severity,
                message=str((result.violation_details or {}).get("message", "")),
            )
        )
