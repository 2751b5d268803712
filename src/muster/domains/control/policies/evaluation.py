"""Judging what somebody asks about: by stored policies and the record, or by given ones."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from muster.domains.catalogue.agents import Agent
from muster.domains.control.budgets import UsedUp
from muster.domains.control.policies import engine
from muster.domains.control.policies.compiled import CompiledPolicies
from muster.domains.control.policies.engine import (
    Action,
    Context,
    NormalStep,
    PolicySet,
    TaskMemory,
    Verdict,
    VocabularyError,
    normalise,
)
from muster.domains.control.policies.engine.context import ACTIONS
from muster.domains.control.policies.engine.vocabulary import MODEL
from muster.domains.control.policies.errors import PolicyTrialRefused, PolicyUnreadable
from muster.domains.control.policies.evaluation_schemas import (
    EvaluatedBudget,
    Evaluation,
    EvaluationRequest,
)
from muster.domains.control.policies.judging import TASK_END, counted, judge, judge_step, shown
from muster.domains.control.policies.memories import Memories
from muster.domains.control.policies.notation import read
from muster.domains.control.policies.subjects import context_of, find_subject, profile_of
from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.errors import FieldError, Invalid
from muster.platform.access import Caller, Scope

_END = NormalStep(kind=TASK_END)


class Budgets(Protocol):
    """Says which budgets are used up."""

    async def used_up(self, caller: Caller, agent_id: str, run_id: str | None) -> Sequence[UsedUp]:
        """Return the budgets in which nothing is left for an agent's next call of a model."""
        ...


class Evaluator:
    """Says what policies and budgets would do. Records nothing.

    Args:
        database: The database.
        policies: The stored policies.
        memories: What is remembered of runs.
        budgets: The budgets.
    """

    def __init__(
        self,
        database: Database,
        policies: CompiledPolicies,
        memories: Memories,
        budgets: Budgets,
    ) -> None:
        self._database, self._policies, self._memories = database, policies, memories
        self._budgets = budgets

    async def evaluate(self, caller: Caller, body: EvaluationRequest) -> Evaluation:
        """Judge what is asked about."""
        _check_shape(body)
        if body.policies is None:
            return await self._by_the_record(caller, body)
        if not (caller.may(Scope.POLICIES_WRITE) or caller.is_admin):
            raise PolicyTrialRefused(
                "Policies in the body can be tried by editors and owners of the project and by "
                "admins; leave `policies` out to judge by the stored ones."
            )
        return _shown(_by_given_policies(body, body.policies))

    async def _by_the_record(self, caller: Caller, body: EvaluationRequest) -> Evaluation:
        reference = body.agent if body.agent is not None else body.context.agent_id
        if not isinstance(reference, str):
            raise _refused("agent", "must be the id or the key of a registered agent")
        async with self._database.read() as session:
            agent = await find_subject(session, caller, reference)
        if body.scope != "agent_registration":
            _intended(body)
        stored = await self._policies.of(caller.project_id)
        task_id, run_id = body.context.task_id, None
        if task_id is not None and body.scope != "agent_registration":
            run_id = await self._memories.history.run_of(caller.project_id, agent.id, task_id)
        if stored is None:
            verdict = Verdict("allow", 0.0, [])
        elif stored.unreadable:
            raise PolicyUnreadable(f"This release cannot judge by {', '.join(stored.unreadable)}.")
        else:
            verdict = await self._judged(agent, stored.policies, body, run_id)
        costs = body.scope == "step_execution" and _intended(body).kind == MODEL
        over = await self._budgets.used_up(caller, agent.id, run_id) if costs else ()
        return _shown(verdict, over)

    async def _judged(
        self, agent: Agent, policies: PolicySet, body: EvaluationRequest, run_id: str | None
    ) -> Verdict:
        counts = await counted(self._memories.history, policies, agent.id)
        task_id = body.context.task_id
        context = context_of(agent.id, agent.spec, task_id=task_id, counts=counts)
        if body.scope == "agent_registration":
            return policies.evaluate(body.scope, profile_of(agent), None, context)
        step = _intended(body)
        if run_id is None:
            return _at(body, policies, policies.memory(), step, context)
        async with self._memories.up_to_date(run_id, policies) as past:
            if body.scope == "task_execution":
                return _at(body, policies, past.memory, step, context)
            return judge_step(past, step, context)


def _by_given_policies(body: EvaluationRequest, raw: Sequence[Mapping[str, Any]]) -> Verdict:
    policies = PolicySet(_given_policies(raw))
    context = _given_context(body)
    if body.scope == "agent_registration":
        if not isinstance(body.agent, dict):
            raise _refused("agent", "must be the profile of an agent, as an object")
        return policies.evaluate(body.scope, body.agent, None, context)
    history = [_step(raw, f"history.{n}.") for n, raw in enumerate(body.history or [])]
    return _at(body, policies, policies.memory(history), _intended(body), context)


def _at(
    body: EvaluationRequest,
    policies: PolicySet,
    memory: TaskMemory,
    step: NormalStep,
    context: Context,
) -> Verdict:
    if body.scope == "task_execution":
        return policies.evaluate(body.scope, step, memory, context)
    return judge(policies, memory, step, context)


def _check_shape(body: EvaluationRequest) -> None:
    if body.policies is None and body.history is not None:
        raise _refused("history", "is read only beside policies; a stored agent has its own")
    if body.scope == "step_execution" and body.step is None:
        raise _refused("step", "must be the intended step")
    if body.scope == "agent_registration" and body.step is not None:
        raise _refused("step", "must be null: a registration is judged by the agent's profile")


def _given_policies(raw: Sequence[Mapping[str, Any]]) -> list[engine.Policy]:
    # Where they have no id of their own they are known by their position.
    return [read({"id": str(n), **policy}, f"policies.{n}.") for n, policy in enumerate(raw)]


def _given_context(body: EvaluationRequest) -> Context:
    given = body.context
    agent_id = given.agent_id
    if agent_id is None and isinstance(body.agent, str):
        agent_id = body.agent
    return Context(
        agent_id=agent_id or "",
        now=given.now or clock.now(),
        task_id=given.task_id,
        environment=given.environment,
        risk_classification=given.risk_classification,
        agent_name=given.agent_name,
        purpose=given.purpose,
        owner=given.owner,
        declared_tools=given.declared_tools,
        project_root=given.project_root,
        cross_execution_counts=given.cross_execution_counts,
        metadata=given.metadata,
    )


def _intended(body: EvaluationRequest) -> NormalStep:
    return _END if body.step is None else _step(body.step, "step.")


def _step(raw: Mapping[str, Any], place: str) -> NormalStep:
    try:
        return normalise(raw)
    except VocabularyError as error:
        raise _refused(f"{place}{error.field}", error.message) from error


def _refused(field: str, message: str) -> Invalid:
    return Invalid(f"{field}: {message}", errors=[FieldError(field, message)])


def _shown(verdict: Verdict, over: Sequence[UsedUp] = ()) -> Evaluation:
    budgets = [EvaluatedBudget.of(budget) for budget in over]
    actions: list[Action] = [verdict.action, *(budget.action for budget in budgets)]
    return Evaluation.model_validate(
        {
            "action": max(actions, key=ACTIONS.index),
            "risk_score": verdict.risk_score,
            "policies": [shown(result) for result in verdict.results],
            "budgets": budgets,
        }
    )
