"""What policies say of an agent that registers: noted, never in the way."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import Agent
from muster.domains.control.policies.compiled import CompiledPolicies
from muster.domains.control.policies.judging import violations_of
from muster.domains.control.policies.reporting import report_and_tell
from muster.domains.control.policies.subjects import context_of, profile_of
from muster.kernel.logging import get_logger

logger = get_logger(__name__)


class RegistrationJudge:
    """Judges profiles by the policies of scope `agent_registration`; violations are incidents."""

    def __init__(self, policies: CompiledPolicies) -> None:
        self._policies = policies

    async def __call__(self, session: AsyncSession, agent: Agent) -> list[dict[str, Any]]:
        """Return what is violated, as the agent is told; incidents are part of the unit of work."""
        stored = await self._policies.of(agent.project_id, session)
        if stored is None:
            return []
        if stored.unreadable:
            logger.error("registration_not_judged", unreadable=len(stored.unreadable))
        context = context_of(agent.id, agent.spec)
        profile = profile_of(agent)
        verdict = stored.policies.evaluate("agent_registration", profile, None, context)
        if not verdict.violations:
            return []
        facts: dict[str, Any] = {
            "project_id": agent.project_id,
            "agent_id": agent.id,
            "environment": agent.environment,
            "task_id": None,
            "run_id": None,
            "step_name": None,
            "step_kind": None,
        }
        violations = violations_of(verdict.violations, observed=True, facts=facts)
        return await report_and_tell(session, agent.project_id, violations)
