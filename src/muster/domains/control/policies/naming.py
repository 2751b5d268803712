"""Policies of a project for others: by their name, and all of them."""

from collections.abc import Collection, Sequence

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.policies.models import Policy
from muster.domains.control.policies.repository import PolicyRepository
from muster.platform.access import Caller


async def policies_named(
    session: AsyncSession, project_id: str, agent_id: str, names: Collection[str]
) -> dict[str, str]:
    """Return the ids of a project's policies with these names, by name without its case.

    Policies of other agents are not looked at. Of several with one name it is the agent's own,
    then one that is enabled, then the newest.
    """
    lowered = {name.lower() for name in names}
    query = (
        select(Policy.id, Policy.name)
        .where(
            Policy.project_id == project_id,
            Policy.deleted_at.is_(None),
            or_(Policy.agent_id.is_(None), Policy.agent_id == agent_id),
            # SQLite knows the case of ASCII letters only.
            or_(Policy.name.in_(names), func.lower(Policy.name).in_(lowered)),
        )
        .order_by(Policy.agent_id.is_(None), Policy.enabled.desc(), Policy.created_at.desc())
    )
    found: dict[str, str] = {}
    for policy_id, name in (await session.execute(query)).all():
        found.setdefault(name.casefold(), policy_id)
    return found


async def policies_of(session: AsyncSession, project_id: str) -> Sequence[Policy]:
    """Return all policies of a project, those that are disabled too, oldest first."""
    return await PolicyRepository(session, Caller.system(project_id)).all()
