"""What others do with incidents: report what broke a policy."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.incidents.events import IncidentOpened, IncidentRepeated
from muster.domains.control.incidents.models import UNRESOLVED, Incident, IncidentChange
from muster.domains.control.incidents.telling import tell
from muster.domains.control.incidents.violation import Violation
from muster.kernel import clock
from muster.kernel.ids import new_id
from muster.platform.access import Caller

_DONE = {
    "warn": "It was let through with a warning.",
    "block": "It was blocked.",
    "require_approval": "A person has to approve it.",
    "observed": "It had happened already when it was judged.",
}


async def report(
    session: AsyncSession, caller: Caller, violations: Sequence[Violation]
) -> list[Incident]:
    """Open incidents for violations, or count them on those that are not resolved.

    Returns the incident of each violation, in the order of `violations`; those of one policy and
    agent share one. All have to be of the caller's project.
    """
    grouped: dict[str, list[Violation]] = {}
    for violation in violations:
        if violation.project_id != caller.project_id:
            raise ValueError("a violation of another project")
        grouped.setdefault(_repeat_key(violation), []).append(violation)
    found: dict[str, Incident] = {}
    # In one order everywhere: two units of work with the same incidents cannot wait for each other.
    for key in sorted(grouped):
        found[key] = await _count(session, caller, key, grouped[key][-1], len(grouped[key]))
    return [found[_repeat_key(violation)] for violation in violations]


async def _count(
    session: AsyncSession, caller: Caller, key: str, violation: Violation, times: int
) -> Incident:
    incident = await _upsert(session, key, violation, times)
    before = incident.count - times
    if before == 0:
        _tell_opened(session, caller, incident)
    elif incident.status != "ignored" and len(str(before)) < len(str(incident.count)):
        fact = IncidentRepeated(
            incident_id=incident.id,
            severity=incident.severity,
            policy_id=incident.policy_id,
            policy_name=incident.policy_name,
            agent_id=incident.agent_id,
            count=incident.count,
        )
        tell(session, caller, incident, fact)
    return incident


async def _upsert(session: AsyncSession, key: str, violation: Violation, times: int) -> Incident:
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as upsert
    else:
        from sqlalchemy.dialects.sqlite import insert as upsert
    moment = clock.now()
    of_the_last_time = {**_columns(violation), "last_occurrence": moment, "updated_at": moment}
    values = {
        **of_the_last_time,
        "id": new_id(),
        "project_id": violation.project_id,
        "repeat_key": key,
        "policy_id": violation.policy_id,
        "agent_id": violation.agent_id,
        "status": "open",
        "count": times,
        "first_occurrence": moment,
        "created_at": moment,
    }
    statement = (
        upsert(Incident)
        .values(values)
        .on_conflict_do_update(
            index_elements=["project_id", "repeat_key"],
            index_where=text(UNRESOLVED),
            set_={**of_the_last_time, "count": Incident.count + times},
        )
        .returning(Incident)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(statement)).one()


def _columns(violation: Violation) -> dict[str, Any]:
    return {
        "policy_name": violation.policy_name[:255],
        "rule_type": violation.rule_type,
        "environment": violation.environment,
        "severity": violation.severity,
        "title": f"Policy {violation.policy_name[:255]} was broken",
        "description": _description(violation),
        "action": violation.action,
        "details": violation.details,
        "task_id": violation.task_id,
        "run_id": violation.run_id,
        "step_name": violation.step_name and violation.step_name[:255],
        "step_kind": violation.step_kind,
        "step_seq": violation.step_seq,
    }


def _description(violation: Violation) -> str:
    broken_by = "An agent's registration"
    if violation.step_kind or violation.step_name:
        broken_by = f"The step {violation.step_name or violation.step_kind}"
        if violation.task_id:
            broken_by += f" of the task {violation.task_id}"
    rule = f", rule {violation.rule_type}" if violation.rule_type else ""
    policy = f"the policy {violation.policy_name}{rule}"
    return f"{broken_by} does not keep to {policy}. {_DONE[violation.action]}"


def _repeat_key(violation: Violation) -> str:
    policy = violation.policy_id or f"name:{violation.policy_name.casefold()}"
    return sha256(f"{policy}\n{violation.agent_id or ''}".encode()).hexdigest()


def _tell_opened(session: AsyncSession, caller: Caller, incident: Incident) -> None:
    change = IncidentChange(
        incident_id=incident.id,
        from_status=None,
        to_status=incident.status,
        reason=None,
        by_id=caller.key_id or caller.id,
        by_name=caller.name,
    )
    session.add(change)
    fact = IncidentOpened(
        incident_id=incident.id,
        title=incident.title,
        severity=incident.severity,
        action=incident.action,
        policy_id=incident.policy_id,
        policy_name=incident.policy_name,
        rule_type=incident.rule_type,
        agent_id=incident.agent_id,
        environment=incident.environment,
        task_id=incident.task_id,
        run_id=incident.run_id,
    )
    tell(session, caller, incident, fact)
