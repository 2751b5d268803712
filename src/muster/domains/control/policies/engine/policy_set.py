"""Policies compiled together, and the judgement of a step, a profile or a task by all of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from muster.domains.control.policies.engine.context import (
    ACTIONS,
    SCOPES,
    SEVERITY_WEIGHTS,
    Context,
    PolicyResult,
    RateQuery,
    Scope,
    Verdict,
)
from muster.domains.control.policies.engine.errors import Unjudgeable
from muster.domains.control.policies.engine.memory import Binder, Ledger, TaskMemory
from muster.domains.control.policies.engine.policy import Policy
from muster.domains.control.policies.engine.rule import Judge, Judgement, Moment, Setup, violation
from muster.domains.control.policies.engine.rules import RULES
from muster.domains.control.policies.engine.vocabulary import KINDS, TASK_END, NormalStep

_MAX_PLANS: Final = 256
_NOBODY = NormalStep(kind="task.start")

_Judged = tuple[int, Judge, float, int]
"""The position of a policy, its judge, the weight of its severity, the rank of its action."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    policy: Policy
    judgement: Judgement
    passed: PolicyResult


@dataclass(frozen=True, slots=True)
class _Plan:
    """The policies that apply to one agent at one point, and who is asked about which kind."""

    results: list[PolicyResult]
    by_kind: Mapping[str, Sequence[_Judged]]
    everyone: Sequence[_Judged]


class PolicySet:
    """Policies compiled once, to judge many moments. Not changed afterwards.

    Safe to share between tasks; each task has its own `TaskMemory`.
    """

    def __init__(self, policies: Iterable[Policy]) -> None:
        self.policies = tuple(policies)
        binder = Binder()
        self._rates: dict[str, RateQuery] = {}
        self._compiled = [self._compile(policy, binder) for policy in self.policies]
        self._ledger = Ledger(binder)
        self._plans: dict[tuple[str | None, ...], _Plan] = {}

    @property
    def rate_queries(self) -> Sequence[RateQuery]:
        """The counts that `Context.cross_execution_counts` must hold."""
        return tuple(self._rates.values())

    def memory(self, history: Iterable[NormalStep] = ()) -> TaskMemory:
        """Return the memory of a task, with the steps that happened already, oldest first."""
        return TaskMemory(self._ledger).replay(history)

    def judges(self, point: Scope, context: Context) -> bool:
        """Tell whether any policy is about this agent at this point."""
        return bool(self._plan(point, context).results)

    def evaluate(
        self,
        point: Scope,
        subject: NormalStep | Mapping[str, Any],
        memory: TaskMemory | None,
        context: Context,
    ) -> Verdict:
        """Judge an intended step, a task at its end, or an agent's profile, by every policy.

        `memory` is the task's past without `subject`; None is an empty one. Nothing is recorded.
        Raises `MemoryOutdated` when the memory was kept for other policies, and `ValueError`
        when there is no such point or something else is judged there.
        """
        if point not in SCOPES:
            raise ValueError(f"point must be one of {', '.join(SCOPES)}")
        if isinstance(subject, NormalStep) is (point == "agent_registration"):
            raise ValueError("a profile is judged at agent_registration, a step elsewhere")
        if memory is None:
            memory = TaskMemory(self._ledger)
        memory.require(self._ledger)
        plan = self._plan(point, context)
        if isinstance(subject, NormalStep):
            moment = Moment(point, subject, None, memory, context)
            judges = plan.by_kind[subject.kind]
        else:
            moment = Moment(point, _NOBODY, subject, memory, context)
            judges = plan.everyone
        return _judge(plan, judges, moment)

    def _compile(self, policy: Policy, binder: Binder) -> _Compiled:
        setup = Setup(
            _with_defaults(policy.rule_type, policy.params),
            schema=policy.schema,
            scope=policy.scope,
            binder=binder,
            rates=self._rates,
            compile_condition=_compile_condition,
        )
        passed = PolicyResult(
            policy_id=policy.id,
            name=policy.name,
            rule_type=policy.rule_type,
            severity=policy.severity,
            violated=False,
            violation_details=None,
            enforcement=policy.effective_enforcement,
        )
        return _Compiled(policy, RULES[policy.rule_type].compile(setup), passed)

    def _plan(self, point: Scope, context: Context) -> _Plan:
        key = (point, context.agent_id, context.environment, context.risk_classification)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= _MAX_PLANS:
                self._plans.clear()
            plan = self._plans[key] = self._make_plan(point, context)
        return plan

    def _make_plan(self, point: Scope, context: Context) -> _Plan:
        found = [
            compiled
            for compiled in self._compiled
            if compiled.policy.scope == point and compiled.policy.applies_to(context)
        ]
        second = [compiled for compiled in found if compiled.policy.schema == "2"]
        third = [compiled for compiled in found if compiled.policy.schema == "3"]
        if context.risk_classification:
            second.sort(key=lambda compiled: compiled.policy.risk_classification is None)
        third.sort(key=lambda compiled: (*_natural(compiled.policy.id), compiled.policy.name))
        ordered = [*second, *third]
        everyone = [_judged(position, compiled) for position, compiled in enumerate(ordered)]
        by_kind = {
            kind: tuple(
                judged
                for judged, compiled in zip(everyone, ordered, strict=True)
                if compiled.judgement.kinds is None or kind in compiled.judgement.kinds
            )
            for kind in KINDS
        }
        return _Plan([compiled.passed for compiled in ordered], by_kind, everyone)


def simulate(
    policies: Iterable[Policy] | PolicySet,
    history: Iterable[NormalStep],
    step: NormalStep,
    context: Context,
) -> Verdict:
    """Judge a step as if `history` had happened; the end of a task is judged as a whole too."""
    compiled = policies if isinstance(policies, PolicySet) else PolicySet(policies)
    memory = compiled.memory(history)
    verdict = compiled.evaluate("step_execution", step, memory, context)
    if step.kind != TASK_END:
        return verdict
    return verdict.merge(compiled.evaluate("task_execution", step, memory, context))


def _judge(plan: _Plan, judges: Sequence[_Judged], moment: Moment) -> Verdict:
    results = plan.results.copy()
    score, hardest = 0.0, 0
    for position, judge, weight, rank in judges:
        try:
            details = judge(moment)
        except Unjudgeable as error:
            # Neither yes nor no: inside of a `not`, either would open what the policy closes.
            details = violation(str(error))
        if details is None:
            continue
        policy_id, name, rule_type, severity, _, _, enforcement = results[position]
        results[position] = PolicyResult(
            policy_id, name, rule_type, severity, True, details, enforcement
        )
        score = max(score, weight)
        hardest = max(hardest, rank)
    return Verdict(ACTIONS[hardest], score, results)


def _judged(position: int, compiled: _Compiled) -> _Judged:
    passed = compiled.passed
    weight, rank = SEVERITY_WEIGHTS[passed.severity], ACTIONS.index(passed.enforcement)
    return position, compiled.judgement.judge, weight, rank


def _compile_condition(raw: Mapping[str, Any], outer: Setup) -> Judgement:
    params = _with_defaults(raw["rule_type"], raw["params"])
    return RULES[raw["rule_type"]].compile(outer.nested(params))


def _with_defaults(rule_type: str, params: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {p.name: p.default for p in RULES[rule_type].params if p.default is not None}
    return {**defaults, **params}


def _natural(identifier: str) -> tuple[bool, int, str]:
    is_number = identifier.isdecimal()
    return (not is_number, int(identifier) if is_number else 0, identifier)
