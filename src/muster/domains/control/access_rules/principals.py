"""Who somebody is in the eyes of access rules, with the roles of this moment."""

from typing import Any

from sqlalchemy import Select, String, and_, bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.access_rules.deciding import Principal
from muster.kernel.db import Database
from muster.platform.access import Caller, CallerKind
from muster.platform.identity import ApiKey, User
from muster.platform.projects import Membership

_STARTER = bindparam("starter_id", type_=String())
# Built once: to build a statement costs more than to execute it.
_QUERY: Select[*tuple[Any, ...]] = (
    select(User.id, User.role, Membership.role.label("project_role"))
    .outerjoin(
        Membership,
        and_(Membership.user_id == User.id, Membership.project_id == bindparam("project_id")),
    )
    .where(
        or_(
            User.id == _STARTER,
            User.id == select(ApiKey.user_id).where(ApiKey.id == _STARTER).scalar_subquery(),
        )
    )
)


def of_caller(caller: Caller) -> Principal:
    """Return who calls; the platform itself is nobody, and a key stands for its user."""
    if caller.kind is CallerKind.SYSTEM:
        return Principal(project_id=caller.project_id)
    roles = {caller.role.value}
    if caller.project_role is not None:
        roles.add(caller.project_role.value)
    return Principal(project_id=caller.project_id, user_id=caller.id, roles=roles)


async def of_starter(
    database: Database,
    starter_id: str | None,
    project_id: str,
    session: AsyncSession | None = None,
) -> Principal:
    """Return whom something that was started works for, by the id of the user or of the key."""
    if starter_id is None:
        return Principal(project_id=project_id)
    values = {"starter_id": starter_id, "project_id": project_id}
    if session is None:
        found = await database.peek(_QUERY, values)
    else:
        found = (await session.execute(_QUERY, values)).first()
    if found is None:
        return Principal(project_id=project_id)
    roles = {role for role in (found.role, found.project_role) if role is not None}
    return Principal(project_id=project_id, user_id=found.id, roles=roles)
