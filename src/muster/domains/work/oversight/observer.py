"""What policies say of steps that agents have logged: noted, never in the way."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import Agent
from muster.domains.control.incidents import Violation
from muster.domains.control.policies import (
    CompiledPolicies,
    Memories,
    Past,
    PolicySet,
    RecordedStep,
    TaskMemory,
    as_if,
    context_of,
    counted,
    counts_for,
    judge,
    report_and_tell,
    violations_of,
)
from muster.domains.work.logs import ExternalTask, LogAgent, LoggedStep
from muster.kernel.db import Database
from muster.kernel.logging import get_logger

_MAX_AGENTS = 1_000
Numbered = Sequence[tuple[int, LoggedStep]]

logger = get_logger(__name__)


class PolicyObserver:
    """Judges logged steps by the policies of their agent; what is violated becomes an incident.

    The step that ends a task brings the judgement of the whole task with it.
    """

    def __init__(self, database: Database, policies: CompiledPolicies, memories: Memories) -> None:
        self._database, self._policies, self._memories = database, policies, memories
        self._specs: OrderedDict[tuple[str, int], Mapping[str, Any]] = OrderedDict()

    async def observe(
        self, agent: LogAgent, run_id: str, steps: Numbered, session: AsyncSession | None
    ) -> list[dict[str, Any]]:
        """Return what is violated, as the agent is told."""
        stored = await self._policies.of(agent.project_id, session)
        if stored is None:
            return []
        if stored.unreadable:
            logger.error("steps_not_judged", run_id=run_id, unreadable=len(stored.unreadable))
        violations = await self._judged(agent, run_id, steps, stored.policies, session)
        if not violations:
            return []
        if session is not None:
            return await report_and_tell(session, agent.project_id, violations)
        async with self._database.write() as unit:
            return await report_and_tell(unit, agent.project_id, violations)

    async def _judged(
        self,
        agent: LogAgent,
        run_id: str,
        steps: Numbered,
        policies: PolicySet,
        session: AsyncSession | None,
    ) -> list[Violation]:
        first, spec = steps[0][0], await self._spec(agent, session)
        counts = await counted(self._memories.history, policies, agent.id, session)
        rates = _Rates(policies, counts, steps)
        task_id = await self._task_id(run_id, steps, session)
        context = context_of(agent.id, spec, task_id=task_id)
        facts = {
            "project_id": agent.project_id,
            "agent_id": agent.id,
            "environment": agent.environment,
            "task_id": task_id,
            "run_id": run_id,
        }
        found: list[Violation] = []
        async with self._memories.of(run_id, policies) as past:
            if past.seq < first - 1:
                earlier = await self._steps(run_id, past.seq, session)
                past.record(step for step in earlier if step.seq < first)
            memory = past.memory
            if session is not None or past.seq >= first:
                # Steps that are not committed may never be; and later ones are no past of these.
                memory = await self._before(run_id, past, first, session)
            for seq, logged in steps:
                step = logged.normal
                verdict = judge(policies, memory, step, replace(context, **rates.at(seq)))
                told = {"step_name": step.name, "step_kind": step.kind, "step_seq": seq}
                found += violations_of(verdict.violations, observed=True, facts={**facts, **told})
                memory.record(step)
            if memory is past.memory:
                past.seq = steps[-1][0]
        return found

    async def _before(
        self, run_id: str, past: Past, first: int, session: AsyncSession | None
    ) -> TaskMemory:
        """Return a memory of its own of what was before the step `first`."""
        if past.seq < first:
            return as_if(past.memory, ())
        earlier = await self._steps(run_id, 0, session)
        return past.policies.memory(step.step for step in earlier if step.seq < first)

    async def _steps(
        self, run_id: str, after: int, session: AsyncSession | None
    ) -> Sequence[RecordedStep]:
        return await self._memories.history.steps(run_id, after=after, session=session)

    async def _spec(self, agent: LogAgent, session: AsyncSession | None) -> Mapping[str, Any]:
        key = agent.id, agent.version
        spec = self._specs.get(key)
        if spec is None:
            query = select(Agent.spec).where(Agent.id == agent.id)
            if session is not None:
                return (await session.scalar(query)) or {}
            async with self._database.read() as unit:
                spec = self._specs[key] = (await unit.scalar(query)) or {}
        self._specs.move_to_end(key)
        while len(self._specs) > _MAX_AGENTS:
            self._specs.popitem(last=False)
        return spec

    async def _task_id(
        self, run_id: str, steps: Numbered, session: AsyncSession | None
    ) -> str | None:
        named = steps[0][1].normal.task_id
        if named is not None:
            return named
        query = select(ExternalTask.task_id).where(ExternalTask.run_id == run_id)
        if session is not None:
            return await session.scalar(query)
        async with self._database.read() as unit:
            return await unit.scalar(query)


class _Rates:
    """What rate limits ask for, as it was before each of the steps.

    Args:
        policies: The policies.
        counts: The counts of the journal, which has these steps already.
        steps: The steps.
    """

    def __init__(
        self,
        policies: PolicySet,
        counts: Mapping[str, int] | None,
        steps: Numbered,
    ) -> None:
        self._counts: dict[str, int] = dict(counts or {})
        self._counted: dict[str, set[int]] = {}
        for query in policies.rate_queries:
            test = counts_for(query)
            numbers = {seq for seq, logged in steps if test(logged.normal)}
            self._counted[query.key] = numbers
            self._counts[query.key] = max(0, self._counts[query.key] - len(numbers))

    def at(self, seq: int) -> dict[str, Any]:
        """Return the part of the context that says how many there were before a step."""
        if not self._counted:
            return {}
        counts = {
            key: self._counts[key] + sum(number < seq for number in numbers)
            for key, numbers in self._counted.items()
        }
        return {"cross_execution_counts": counts}
