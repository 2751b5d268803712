"""What people and agents do with incidents. Knows nothing of HTTP."""

from collections.abc import Collection
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import AgentNotFound
from muster.domains.control.incidents.models import Incident, IncidentChange
from muster.domains.control.incidents.moves import IncidentStatus, Move
from muster.domains.control.incidents.reporting import report
from muster.domains.control.incidents.repository import IncidentRepository
from muster.domains.control.incidents.schemas import (
    IncidentChangeOut,
    IncidentDetail,
    IncidentFilter,
    IncidentList,
    IncidentOut,
    IncidentReceipt,
    IncidentReport,
    IncidentSummary,
    ReportedIncident,
)
from muster.domains.control.incidents.telling import tell
from muster.domains.control.incidents.violation import Violation
from muster.kernel import clock
from muster.kernel.paging import Rows
from muster.platform.access import Caller


class FindPolicies(Protocol):
    """Finds policies by name; the slice of policies stands above this one."""

    async def __call__(
        self, session: AsyncSession, project_id: str, agent_id: str, names: Collection[str]
    ) -> dict[str, str]:
        """Return ids by name without its case, of those that there are."""
        ...


class IncidentService:
    """Use cases of incidents, for one caller."""

    def __init__(self, session: AsyncSession, caller: Caller) -> None:
        self._session, self._caller = session, caller
        self._incidents = IncidentRepository(session, caller.project_id)

    async def list(self, params: IncidentList) -> Rows[Incident]:
        return await self._incidents.search(params)

    async def summary(self, params: IncidentFilter) -> IncidentSummary:
        """Count by status."""
        counts = await self._incidents.counts(params)
        return IncidentSummary(**counts, total=sum(counts.values()))

    async def get(self, incident_id: str) -> IncidentDetail:
        """Return an incident with the changes of its status."""
        incident = await self._incidents.get(incident_id)
        changes = await self._incidents.changes(incident)
        shown = IncidentOut.model_validate(incident)
        return IncidentDetail(
            **shown.model_dump(),
            changes=[IncidentChangeOut.model_validate(change) for change in changes],
        )

    async def report(self, body: IncidentReport, find_policies: FindPolicies) -> IncidentReceipt:
        """Take in what an agent has judged by itself; its own account answers for it.

        What it calls by the name of a policy of the project is an incident of that policy.
        """
        agent = await self._incidents.find_reporting_agent(self._caller, body.agent_id)
        if agent is None:
            raise AgentNotFound(
                "No agent with this id or key was registered by your account; register it with "
                "POST /agents."
            )
        told = body.model_dump(
            mode="json",
            include={"scope", "action_id", "risk_score", "timestamp"},
            exclude_none=True,
        )
        names = {found.policy_name for found in body.violations}
        known = await find_policies(self._session, self._caller.project_id, agent.id, names)
        violations = [
            Violation(
                project_id=self._caller.project_id,
                policy_id=known.get(found.policy_name.casefold()),
                policy_name=found.policy_name,
                rule_type=found.rule_type,
                severity=found.severity,
                agent_id=agent.id,
                environment=agent.environment,
                task_id=body.task_id,
                step_name=body.step_name,
                step_kind=body.step_kind,
                action=body.action,
                details={
                    **(
                        {"message": found.details}
                        if isinstance(found.details, str)
                        else found.details or {}
                    ),
                    "reported": told,
                },
            )
            for found in body.violations
        ]
        incidents = await report(self._session, self._caller, violations)
        return IncidentReceipt(
            incidents=[ReportedIncident.model_validate(incident) for incident in incidents]
        )

    async def move(self, incident_id: str, move: Move, reason: str | None) -> Incident:
        """Change the status of an incident; of many who do at once, one finds it as it was."""
        incident = await self._incidents.held(incident_id)
        move.check(incident.status)
        left, moment = incident.status, clock.now()
        await self._incidents.update(
            incident,
            status=move.target.value,
            notes=reason if move.target is IncidentStatus.RESOLVED else None,
            changed_by_id=self._caller.id,
            changed_by_name=self._caller.name,
            changed_at=moment,
        )
        change = IncidentChange(
            incident_id=incident.id,
            from_status=left,
            to_status=incident.status,
            reason=reason,
            by_id=self._caller.id,
            by_name=self._caller.name,
            at=moment,
        )
        self._session.add(change)
        fact = move.fact(
            incident_id=incident.id,
            severity=incident.severity,
            policy_id=incident.policy_id,
            policy_name=incident.policy_name,
            agent_id=incident.agent_id,
            from_status=left,
            reason=reason,
        )
        tell(self._session, self._caller, incident, fact)
        return incident
