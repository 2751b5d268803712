"""What policies say of steps that agents have logged: noted, never in the way."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import Agent
from muster.domains.control.incidents import Violation
from muster.domains.control.policies import (
    CompiledPolicies,
    Memories,
    Past,
    PolicySet,
    TaskMemory,
    as_if,
    context_of,
    counted,
    counts_for,
    judge,
    report_and_tell,
    violations_of,
)
from muster.domains.work.journal import Line, Place
from muster.domains.work.logs import Foresight, LogAgent, LoggedStep
from muster.kernel.db import Database, after_commit
from muster.kernel.logging import get_logger

_MAX_AGENTS = 1_000
Numbered = Sequence[tuple[int, LoggedStep]]

logger = get_logger(__name__)


class _Ahead(NamedTuple):
    """What will be known of a run when the steps that wait for the journal are in it."""

    past: Past
    memory: TaskMemory
    seq: int
    line: Line


class PolicyObserver:
    """Judges logged steps by the policies of their agent; what is violated becomes an incident.

    The step that ends a task brings the judgement of the whole task with it. A step and what is
    said of it are one commit: whoever reads the journal need not ask whether it was judged.
    """

    def __init__(self, database: Database, policies: CompiledPolicies, memories: Memories) -> None:
        self._database, self._policies, self._memories = database, policies, memories
        self._specs: OrderedDict[tuple[str, int], Mapping[str, Any]] = OrderedDict()
        self._ahead: dict[str, _Ahead] = {}

    async def foresee(
        self, agent: LogAgent, run_id: str, task_id: str | None, steps: Sequence[LoggedStep]
    ) -> Foresight | None:
        """Judge steps by what is known of their run; None where they violate something.

        Limits of the steps of all tasks are for the unit of work to judge, where nobody else counts
        at the same time.
        """
        policies = await self._policies_of(agent, run_id)
        if policies is None:
            return Foresight()
        if _are_limited(policies, steps):
            return None
        context = context_of(agent.id, await self._spec(agent, None), task_id=task_id)
        past = self._memories.past(run_id, policies)
        if not past.seq:
            async with self._memories.up_to_date(run_id, policies) as past:
                pass
        # From here to the queue of the journal nothing is awaited: who is judged next comes next.
        before = self._ahead.get(run_id)
        if before is None or before.past is not past:
            before = _Ahead(past, past.memory, past.seq, Line())
        memory = as_if(before.memory, ())
        for logged in steps:
            if judge(policies, memory, logged.normal, context).violations:
                return None
            memory.record(logged.normal)
        ahead = _Ahead(past, memory, before.seq + len(steps), before.line)
        self._ahead[run_id] = ahead

        def settle(held: bool) -> None:
            if held:
                past.advance(before.seq, memory, ahead.seq)
            if not held or self._ahead.get(run_id) is ahead:
                self._ahead.pop(run_id, None)

        return Foresight(Place(before.line, before.seq), settle)

    async def observe(
        self,
        agent: LogAgent,
        run_id: str,
        task_id: str | None,
        steps: Numbered,
        session: AsyncSession,
    ) -> list[dict[str, Any]]:
        """Return what is violated by steps that the unit of work holds, as the agent is told."""
        policies = await self._policies_of(agent, run_id, session)
        if policies is None:
            return []
        violations = await self._judged(agent, run_id, task_id, steps, policies, session)
        return await report_and_tell(session, agent.project_id, violations) if violations else []

    async def _policies_of(
        self, agent: LogAgent, run_id: str, session: AsyncSession | None = None
    ) -> PolicySet | None:
        stored = await self._policies.of(agent.project_id, session)
        if stored is None:
            return None
        if stored.unreadable:
            logger.error("steps_not_judged", run_id=run_id, unreadable=len(stored.unreadable))
        return stored.policies

    async def _judged(
        self,
        agent: LogAgent,
        run_id: str,
        task_id: str | None,
        steps: Numbered,
        policies: PolicySet,
        session: AsyncSession,
    ) -> list[Violation]:
        spec = await self._spec(agent, session)
        rates = await self._rates(agent, policies, steps, session)
        context = context_of(agent.id, spec, task_id=task_id)
        facts = {
            "project_id": agent.project_id,
            "agent_id": agent.id,
            "environment": agent.environment,
            "task_id": task_id,
            "run_id": run_id,
        }
        past = self._memories.past(run_id, policies)
        memory, known = as_if(past.memory, ()), past.seq
        first, last = steps[0][0], steps[-1][0]
        if known < first - 1:
            earlier = await self._memories.history.steps(run_id, after=known, session=session)
            memory.replay(recorded.step for recorded in earlier if recorded.seq < first)
        found: list[Violation] = []
        for seq, logged in steps:
            step = logged.normal
            verdict = judge(policies, memory, step, replace(context, **rates.at(seq)))
            told = {"step_name": step.name, "step_kind": step.kind, "step_seq": seq}
            found += violations_of(verdict.violations, observed=True, facts={**facts, **told})
            memory.record(step)

        async def advance() -> None:
            past.advance(known, memory, last)

        after_commit(session, advance)
        return found

    async def _rates(
        self, agent: LogAgent, policies: PolicySet, steps: Numbered, session: AsyncSession
    ) -> "_Rates":
        counts = None
        if _are_limited(policies, [logged for _, logged in steps]):
            # Whoever counts at the same time waits, and counts these steps too.
            held = select(Agent.id).where(Agent.id == agent.id).with_for_update(key_share=True)
            await session.execute(held)
            counts = await counted(self._memories.history, policies, agent.id, session)
        return _Rates(policies, counts, steps)

    async def _spec(self, agent: LogAgent, session: AsyncSession | None) -> Mapping[str, Any]:
        key = agent.id, agent.version
        spec = self._specs.get(key)
        if spec is not None:
            self._specs.move_to_end(key)
            return spec
        query = select(Agent.spec).where(Agent.id == agent.id)
        if session is None:
            async with self._database.read() as unit:
                return self._keep(key, (await unit.scalar(query)) or {})
        found: Mapping[str, Any] = (await session.scalar(query)) or {}

        async def keep() -> None:
            self._keep(key, found)

        # Not before: an agent that is made or changed here may yet be as it was.
        after_commit(session, keep)
        return found

    def _keep(self, key: tuple[str, int], spec: Mapping[str, Any]) -> Mapping[str, Any]:
        self._specs[key] = spec
        while len(self._specs) > _MAX_AGENTS:
            self._specs.popitem(last=False)
        return spec


def _are_limited(policies: PolicySet, steps: Sequence[LoggedStep]) -> bool:
    """Tell whether any of the steps is counted over all tasks of its agent."""
    tests = [counts_for(query) for query in policies.rate_queries]
    return any(test(logged.normal) for test in tests for logged in steps)


class _Rates:
    """What rate limits ask for, as it was before each of the steps.

    Args:
        policies: The policies.
        counts: The counts of the journal, which has these steps already; None where none of them
            is counted.
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
        for query in policies.rate_queries if counts is not None else ():
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
