"""What policies say of whole runs of the platform: judged at their end, never in its way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.incidents import Violation
from muster.domains.control.policies import (
    CompiledPolicies,
    History,
    Memories,
    PolicySet,
    TaskMemory,
    as_if,
    context_of,
    counted,
    judge_end,
    report_and_tell,
    violations_of,
)
from muster.domains.work.journal import Run
from muster.kernel.logging import get_logger

logger = get_logger(__name__)


class PolicyEndings:
    """Judges runs by the policies of scope `task_execution`; what is violated is an incident."""

    def __init__(self, policies: CompiledPolicies, memories: Memories) -> None:
        self._policies, self._memories = policies, memories

    async def prepare(self, run: Run) -> "PolicyEnding | None":
        """Return what judges the end of a run, or None where nothing is about it.

        Most of its past is read here, before the unit of work that ends the run takes its locks.
        """
        try:
            return await self._prepared(run)
        except Exception:
            logger.exception("run_end_not_judged", run_id=run.id)
            return None

    async def _prepared(self, run: Run) -> "PolicyEnding | None":
        stored = await self._policies.of(run.project_id)
        if stored is None:
            return None
        if stored.unreadable:
            logger.error("run_end_not_judged", run_id=run.id, unreadable=len(stored.unreadable))
        policies, agent = stored.policies, run.snapshot["agent"]
        if not policies.judges("task_execution", context_of(run.agent_id, agent)):
            return None
        history = self._memories.history
        counts = await counted(history, policies, run.agent_id)
        async with self._memories.up_to_date(run.id, policies) as past:
            memory, seq = as_if(past.memory, ()), past.seq
        return PolicyEnding(policies, history, run, memory, seq, counts)


@dataclass(slots=True)
class PolicyEnding:
    """The judgement of one run, with its past up to the step `seq`."""

    policies: PolicySet
    history: History
    run: Run
    memory: TaskMemory
    seq: int
    counts: Mapping[str, int] | None

    async def report(self, session: AsyncSession) -> None:
        """Judge the run, whose last step is written in this unit of work, with its incidents."""
        try:
            violations = await self._violations(session)
        except SQLAlchemyError:
            raise  # of the unit of work, which is broken by it
        except Exception:
            logger.exception("run_end_not_judged", run_id=self.run.id)
            return
        if violations:
            await report_and_tell(session, self.run.project_id, violations)

    async def _violations(self, session: AsyncSession) -> Sequence[Violation]:
        run, agent = self.run, self.run.snapshot["agent"]
        *before, end = await self.history.steps(run.id, after=self.seq, session=session)
        memory = self.memory.replay(recorded.step for recorded in before)
        context = context_of(run.agent_id, agent, task_id=run.id, counts=self.counts)
        verdict = judge_end(self.policies, memory, end.step, context)
        facts: dict[str, Any] = {
            "project_id": run.project_id,
            "agent_id": run.agent_id,
            "environment": agent.get("environment"),
            "task_id": run.id,
            "run_id": run.id,
            "step_name": end.step.name,
            "step_kind": end.step.kind,
            "step_seq": end.seq,
        }
        return violations_of(verdict.violations, observed=True, facts=facts)
