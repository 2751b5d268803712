"""For whom a trigger starts things: a person, with what this person may do at that moment."""

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.triggers.errors import TriggerNotAllowed
from muster.platform.access import Caller, CallerKind, PlatformRole, ProjectRole, Scope, scopes_of
from muster.platform.identity import User
from muster.platform.projects import Membership

_MAY_NOT = (
    "The person for whom it starts things may not start runs in this project any more; somebody "
    "who may has to save the trigger again."
)


async def caller_of(session: AsyncSession, user_id: str, project_id: str) -> Caller:
    """Return a person as who a run is started; raises `TriggerNotAllowed`."""
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
        raise TriggerNotAllowed(_MAY_NOT)
    role, in_project = PlatformRole(found.role), ProjectRole(found.in_project)
    scopes = scopes_of(role, in_project)
    if Scope.RUNS_EXECUTE not in scopes:
        raise TriggerNotAllowed(_MAY_NOT)
    return Caller(
        kind=CallerKind.USER,
        id=found.id,
        name=found.name,
        role=role,
        project_id=project_id,
        project_role=in_project,
        scopes=scopes,
    )
