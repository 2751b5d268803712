"""The gate's check of policies."""

from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from muster.domains.control import incidents
from muster.domains.control.gate import Action, Finding, IntendedStep, Outcome, arguments_hash
from muster.domains.control.policies.compiled import CompiledPolicies, ProjectPolicies
from muster.domains.control.policies.engine import NormalStep, PolicyResult
from muster.domains.control.policies.judging import (
    counted,
    counts_for,
    judge_step,
    only,
    sentence,
    shown,
    violations_of,
)
from muster.domains.control.policies.memories import Memories
from muster.domains.control.policies.subjects import context_of
from muster.kernel.db import Database
from muster.platform.access import Caller


class PolicyCheck:
    """Judges each intended step by the policies of its project that are about its agent.

    Args:
        database: The database.
        policies: The policies.
        memories: What is remembered of runs.
    """

    name = "policy"

    def __init__(self, database: Database, policies: CompiledPolicies, memories: Memories) -> None:
        self._database, self._policies, self._memories = database, policies, memories

    async def judge(self, step: IntendedStep) -> Sequence[Finding]:
        policies = await self._policies.of(step.project_id)
        if policies is None:
            return ()
        if policies.unreadable:
            return (_unreadable(policies),)
        violated, findings = await self._judged(step, policies)
        if reported := _to_report(step, violated):
            await self._report(step, reported)
        return findings

    async def _judged(
        self, step: IntendedStep, policies: ProjectPolicies
    ) -> tuple[Sequence[PolicyResult], Sequence[Finding]]:
        intended = normal(step)
        compiled = policies.policies
        counts = await counted(self._memories.history, compiled, step.agent_id)
        async with self._memories.up_to_date(step.run_id, compiled) as past:
            if counts is not None:
                for query in compiled.rate_queries:
                    counts[query.key] += sum(map(counts_for(query), past.under_way.values()))
            context = context_of(step.agent_id, step.agent, task_id=step.run_id, counts=counts)
            verdict = judge_step(past, intended, context)
            violated = verdict.violations
            findings = _findings(step, violated)
            if all(finding.action not in {Action.ASK, Action.BLOCK} for finding in findings):
                past.under_way[step.key] = intended
        return violated, findings

    async def settle(self, step: IntendedStep, outcome: Outcome) -> None:
        """Forget that the step is under way: what came of it is in the journal."""
        del outcome
        await self.release(step)

    async def release(self, step: IntendedStep) -> None:
        """Forget that the step is under way."""
        self._memories.done(step.run_id, step.key)

    async def _report(self, step: IntendedStep, violated: Sequence[PolicyResult]) -> None:
        facts: dict[str, Any] = {
            "project_id": step.project_id,
            "agent_id": step.agent_id,
            "environment": step.agent.get("environment"),
            "task_id": step.run_id,
            "run_id": step.run_id,
            "step_name": step.name,
            "step_kind": step.kind,
        }
        async with self._database.write() as session:
            caller = Caller.system(step.project_id)
            await incidents.report(session, caller, violations_of(violated, facts=facts))


def normal(step: IntendedStep) -> NormalStep:
    """Return an intended step of a run as policies see it.

    `target` is where it goes, as far as the arguments say: the host of a `url`, or a `path`.
    """
    properties: dict[str, Any] = {}
    if step.tool is not None:
        properties["tool_kind"] = step.tool.kind
    if (target := target_of(step.arguments)) is not None:
        properties["target"] = target
    return NormalStep(
        kind=step.kind,
        verb=step.verb,
        name=step.name,
        properties=properties,
        input=dict(step.arguments),
        agent_id=step.agent_id,
        task_id=step.run_id,
    )


def target_of(arguments: Any) -> dict[str, Any] | None:
    """Return the target that the arguments of a call name, if any."""
    if not isinstance(arguments, Mapping):
        return None
    given = cast("Mapping[str, Any]", arguments)
    url, path = given.get("url"), given.get("path")
    if isinstance(url, str):
        try:
            return {"url": url, "host": urlsplit(url).hostname or url}
        except ValueError:
            return {"url": url, "host": url}
    return {"path": path, "host": path} if isinstance(path, str) else None


def _findings(step: IntendedStep, violated: Sequence[PolicyResult]) -> list[Finding]:
    findings: list[Finding] = []
    if blocking := only(violated, "block"):
        findings.append(
            _finding(Action.BLOCK, "policy_violation", f"Refused by {_by(blocking)}.", blocking)
        )
    if asking := only(violated, "require_approval"):
        findings.append(_asked(step, asking))
    if warning := only(violated, "warn"):
        findings.append(
            _finding(Action.WARN, "policy_violation", f"Warned of by {_by(warning)}.", warning)
        )
    return findings


def _asked(step: IntendedStep, asking: Sequence[PolicyResult]) -> Finding:
    evidence = step.approval
    if evidence is None:
        return _finding(
            Action.ASK, "policy_approval", f"An approval is required by {_by(asking)}.", asking
        )
    if not evidence.approved:
        reason = f": {evidence.reason}" if evidence.reason else "."
        text = f"{evidence.decided_by} rejected this call{reason}"
        return _finding(Action.BLOCK, "rejected", text, asking)
    if evidence.arguments_hash != arguments_hash(step.name, step.arguments):
        text = "The arguments are not those that were approved."
        return _finding(Action.ASK, "policy_approval", text, asking)
    text = f"{evidence.decided_by} approved what needs an approval by {_by(asking)}."
    return _finding(Action.ALLOW, _APPROVED, text, asking)


_APPROVED = "policy_approved"


def _to_report(step: IntendedStep, violated: Sequence[PolicyResult]) -> list[PolicyResult]:
    """Return what is an incident, without what a person was asked about already."""
    asked = step.approval is not None
    return [r for r in violated if not (asked and r.enforcement == "require_approval")]


def _finding(action: Action, code: str, message: str, results: Sequence[PolicyResult]) -> Finding:
    return Finding(
        check=PolicyCheck.name,
        action=action,
        code=code,
        message=message,
        details={"policies": [shown(result) for result in results]},
    )


def _by(results: Sequence[PolicyResult]) -> str:
    word = "the policy" if len(results) == 1 else "the policies"
    return f"{word} {sentence(results)}"


def _unreadable(policies: ProjectPolicies) -> Finding:
    names = ", ".join(policies.unreadable)
    return Finding(
        check=PolicyCheck.name,
        action=Action.BLOCK,
        code="policy_unreadable",
        message=f"This release cannot judge by {names}; change or disable them.",
    )
