"""Queries on access rules, and on whom they are about."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.access_rules.errors import AccessRuleNotFound, AccessRuleTaken
from muster.domains.control.access_rules.models import AccessRule
from muster.domains.control.access_rules.schemas import AccessRuleList
from muster.kernel.db import is_unique_violation
from muster.kernel.paging import Rows, paginate
from muster.platform.identity import User
from muster.platform.projects import Project

_FILTERS = ("scope_type", "scope_id", "resource_type", "resource_id", "effect", "action")


class AccessRuleRepository:
    """The access rules of the platform."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def search(self, params: AccessRuleList) -> Rows[AccessRule]:
        """Return rules that match the filters, newest first."""
        query = select(AccessRule)
        for name in _FILTERS:
            wanted: Any = getattr(params, name)
            if wanted is not None:
                query = query.where(getattr(AccessRule, name) == wanted)
        sort = (AccessRule.created_at, True)
        return await paginate(self._session, query, params, sort=sort, tiebreak=AccessRule.id)

    async def get(self, rule_id: str) -> AccessRule:
        """Return a rule."""
        row = await self._session.get(AccessRule, rule_id)
        if row is None:
            raise AccessRuleNotFound
        return row

    async def add(self, row: AccessRule) -> None:
        """Insert a rule."""
        self._session.add(row)
        await self.flush()

    async def delete(self, row: AccessRule) -> None:
        """Delete a rule."""
        await self._session.delete(row)
        await self._session.flush()

    async def flush(self) -> None:
        """Send the pending changes; a rule that says the same is a conflict."""
        try:
            await self._session.flush()
        except IntegrityError as error:
            if is_unique_violation(error):
                raise AccessRuleTaken from error
            raise

    async def user_exists(self, user_id: str) -> bool:
        """Tell whether an account exists and was not deleted."""
        query = select(User.id).where(User.id == user_id, User.deleted_at.is_(None))
        return await self._session.scalar(query) is not None

    async def project_exists(self, project_id: str) -> bool:
        """Tell whether a project exists."""
        query = select(Project.id).where(Project.id == project_id)
        return await self._session.scalar(query) is not None
