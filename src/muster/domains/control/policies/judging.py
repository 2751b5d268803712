"""Judging steps by what the journal tells of their run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.incidents import Violation
from muster.domains.control.policies.engine import (
    Context,
    NormalStep,
    PolicyResult,
    PolicySet,
    RateQuery,
    TaskMemory,
    Verdict,
)
from muster.domains.control.policies.engine.matching import Matcher
from muster.domains.control.policies.memories import History, Past, as_if

TASK_END = "task.end"
_MOST_NAMED = 3


async def counted(
    history: History,
    policies: PolicySet,
    agent_id: str | None,
    session: AsyncSession | None = None,
) -> dict[str, int] | None:
    """Return the counts that rate limits ask for; without any it costs nothing."""
    queries = policies.rate_queries
    if not queries or agent_id is None:
        return None
    return await history.counts(agent_id, queries, session=session)


def counts_for(query: RateQuery) -> Callable[[NormalStep], bool]:
    """Return the test of a step that a rate limit counts."""
    return Matcher.of(query.kind, properties=query.property_filter).compile()


def judge_step(past: Past, step: NormalStep, context: Context) -> Verdict:
    """Judge an intended step, with those of its run that are under way at the same time.

    Whether they will be in the journal before it or after nobody knows: the step must be allowed
    in both cases.
    """
    verdict = judge(past.policies, past.memory, step, context)
    if not past.under_way:
        return verdict
    with_others = as_if(past.memory, past.under_way.values())
    return stricter(verdict, judge(past.policies, with_others, step, context))


def judge(policies: PolicySet, memory: TaskMemory, step: NormalStep, context: Context) -> Verdict:
    """Judge a step; the one that ends a task brings the judgement of the whole task with it."""
    verdict = policies.evaluate("step_execution", step, memory, context)
    if step.kind != TASK_END:
        return verdict
    return verdict.merge(judge_end(policies, memory, step, context))


def judge_end(
    policies: PolicySet, memory: TaskMemory, step: NormalStep, context: Context
) -> Verdict:
    """Judge a whole task by the step that ended it, whether well or badly."""
    if step.kind != TASK_END:
        step = replace(step, kind=TASK_END)
    return policies.evaluate("task_execution", step, memory, context)


def stricter(one: Verdict, other: Verdict) -> Verdict:
    """Join two verdicts of the same policies about the same step."""
    joined = one.merge(other)
    results = [b if b.violated else a for a, b in zip(one.results, other.results, strict=True)]
    return Verdict(joined.action, joined.risk_score, results)


def shown(result: PolicyResult) -> dict[str, Any]:
    """Return what a policy says as answers and the journal show it."""
    return {
        "policy_id": result.policy_id,
        "name": result.name,
        "rule_type": result.rule_type,
        "severity": result.severity,
        "violated": result.violated,
        "violation_details": dict(result.violation_details) if result.violation_details else None,
    }


def sentence(results: Sequence[PolicyResult]) -> str:
    """Return one sentence that names policies and what they say."""
    told = [
        f'"{result.name}" ({(result.violation_details or {}).get("message", "violated")})'
        for result in results[:_MOST_NAMED]
    ]
    more = len(results) - len(told)
    return "; ".join(told) + (f" and {more} more" if more else "")


def violations_of(
    violated: Iterable[PolicyResult], *, observed: bool = False, facts: Mapping[str, Any]
) -> list[Violation]:
    """Return what is to be reported; `facts` are the other fields of the incidents."""
    return [_violation(result, facts, observed=observed) for result in violated]


def _violation(result: PolicyResult, facts: Mapping[str, Any], *, observed: bool) -> Violation:
    done = "observed" if observed else result.enforcement
    return Violation(
        policy_id=result.policy_id,
        policy_name=result.name,
        rule_type=result.rule_type,
        severity=result.severity,
        action=done,
        details=dict(result.violation_details or {}),
        **facts,
    )


def only(violated: Iterable[PolicyResult], enforcement: str) -> list[PolicyResult]:
    """Return those of the violated policies that do this."""
    return [result for result in violated if result.enforcement == enforcement]
