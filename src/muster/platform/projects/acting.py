"""Acting for a person who is not there: with what this person may do in that moment."""

from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel import clock
from muster.platform.access import Caller, CallerKind, PlatformRole, ProjectRole, Scope, scopes_of
from muster.platform.identity import ApiKey, User
from muster.platform.projects.models import Membership


async def acting_caller(
    session: AsyncSession, project_id: str, user_id: str, key_id: str | None = None
) -> Caller | None:
    """Return the caller as whom runs are started for a user, who may have left a key for that.

    None where the account is closed, is no member any more or may not run anything there, and
    where the key was revoked or has expired.
    """
    statement = (
        select(User.name, User.role, Membership.role.label("project_role"))
        .join(Membership, and_(Membership.user_id == User.id, Membership.project_id == project_id))
        .where(User.id == user_id, User.is_active)
    )
    found: Any = (await session.execute(statement)).first()
    if found is None:
        return None
    role, project_role = PlatformRole(found.role), ProjectRole(found.project_role)
    scopes = scopes_of(role, project_role)
    if key_id is not None:
        key = await session.get(ApiKey, key_id)
        if key is None or key.revoked_at is not None:
            return None
        if key.expires_at is not None and key.expires_at <= clock.now():
            return None
        if key.scopes is not None:
            scopes &= frozenset(scope for scope in Scope if scope.value in key.scopes)
    if Scope.RUNS_EXECUTE not in scopes:
        return None
    return Caller(
        kind=CallerKind.USER if key_id is None else CallerKind.USER_KEY,
        id=user_id,
        name=found.name,
        role=role,
        project_id=project_id,
        project_role=project_role,
        scopes=scopes,
        key_id=key_id,
    )
