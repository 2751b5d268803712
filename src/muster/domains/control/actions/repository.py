"""Queries on actions."""

from typing import TYPE_CHECKING

from sqlalchemy import or_

from muster.domains.control.actions.errors import ActionNameTaken, ActionNotFound
from muster.domains.control.actions.models import Action
from muster.kernel.db import Repository
from muster.kernel.paging import Rows

if TYPE_CHECKING:
    from muster.domains.control.actions.schemas import ActionList


class ActionRepository(Repository[Action]):
    """The actions of one project."""

    model, missing, taken = Action, ActionNotFound, ActionNameTaken

    async def search(self, params: "ActionList") -> Rows[Action]:
        """Return actions that match the filters, newest first."""
        query = self.query()
        if params.kind is not None:
            query = query.where(Action.kind == params.kind)
        if params.enabled is not None:
            query = query.where(Action.enabled == params.enabled)
        if text := params.search:
            columns = (Action.name, Action.description)
            query = query.where(or_(*(c.icontains(text, autoescape=True) for c in columns)))
        return await self.page(query, params, (Action.created_at, True))

    async def held(self, action_id: str) -> Action:
        """Return an action that nobody else changes until the unit of work ends."""
        query = self.query().where(Action.id == action_id).with_for_update()
        found: Action | None = await self.session.scalar(query)
        if found is None:
            raise ActionNotFound
        return found
