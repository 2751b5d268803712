"""For whom a trigger starts things: a person, with what this person may do at that moment."""

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.platform.access import Caller, CallerKind, PlatformRole, ProjectRole, Scope, scopes_of
from muster.platform.identity import User
from muster.platform.projects import Membership


async def caller_of(session: AsyncSession, user_id: str, project_id: str) -> Caller | None:
    """Return a person as who runs are started, or None for one who may not start any."""
    query = (
        select(User.id, User.name, User.role, User.is_active, Membership.role.label("in_project"))
        .join(
            Membership,
            and_(Membership.user_id == User.id, Membership.project_id == project_id),
        )
        .where(User.id == user_id)
    )
    found = (await session.execute(query)).one_or_none()
    if found is None or not found.is_active:
        return None
    role, in_project = PlatformRole(found.role), ProjectRole(found.in_project)
    scopes = scopes_of(role, in_project)
    if Scope.RUNS_EXECUTE not in scopes:
        return None
    return Caller(
        kind=CallerKind.USER,
        id=found.id,
        name=found.name,
        role=role,
        project_id=project_id,
        project_role=in_project,
        scopes=scopes,
    )
