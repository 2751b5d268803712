"""Violations of agents that run elsewhere: made incidents, and told to the agent."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control import incidents
from muster.domains.control.incidents import Violation
from muster.platform.access import Caller


async def report_and_tell(
    session: AsyncSession, project_id: str, violations: Sequence[Violation]
) -> list[dict[str, Any]]:
    """Open or count the incidents of violations; return them as the agent is told."""
    opened = await incidents.report(session, Caller.system(project_id), violations)
    return [
        {
            "incident_id": incident.id,
            "policy_id": violation.policy_id,
            "policy_name": violation.policy_name,
            "rule_type": violation.rule_type,
            "severity": violation.severity,
            "seq": violation.step_seq,
            "message": violation.details.get("message"),
        }
        for incident, violation in zip(opened, violations, strict=True)
    ]
