"""Where the things of a bundle are kept: how each kind is found, made, compared and removed."""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from muster.domains.catalogue.agents import Agent, AgentService
from muster.domains.catalogue.prompts import PromptTemplate, PromptTemplateService
from muster.domains.work.crews import Crew, CrewService
from muster.domains.work.marketplace.bundles import Kind
from muster.domains.work.marketplace.rendering import Thing
from muster.domains.work.tasks import Task, TaskService, TaskStatus
from muster.domains.work.triggers import Trigger, TriggerService
from muster.domains.work.workflows import Workflow, WorkflowService
from muster.kernel.crypto import MasterKey
from muster.kernel.live import LiveBus
from muster.platform.access import Caller, Scope

_STATE = {
    "id",
    "project_id",
    "created_at",
    "updated_at",
    "version",
    "is_started",
    "status",
    "account_id",
    "deleted_at",
    "result",
    "error",
    "started_at",
    "completed_at",
    "last_run_id",
    "claimed_at",
    "run_inputs",
    "run_model",
    "acting_user_id",
    "acting_key_id",
    "created_by_id",
    "created_by_name",
    "enabled",
    "owner_id",
    "owner_name",
    "next_at",
    "last_at",
    "since_seq",
}
"""Columns that say who had to do with a thing and how it stands, not what it is."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """The table of a kind. `named` is the column that no two of a project may share."""

    model: Any
    named: str
    scope: Scope
    present: tuple[ColumnElement[bool], ...] = ()
    own: tuple[ColumnElement[bool], ...] = ()


SHELVES: dict[Kind, Shelf] = {
    "agent": Shelf(
        Agent,
        "key",
        Scope.AGENTS_WRITE,
        (Agent.deleted_at.is_(None),),
        (Agent.account_id.is_(None),),
    ),
    "prompt": Shelf(PromptTemplate, "name", Scope.TEMPLATES_WRITE),
    "task": Shelf(Task, "name", Scope.TASKS_WRITE),
    "crew": Shelf(Crew, "name", Scope.CREWS_WRITE),
    "workflow": Shelf(Workflow, "name", Scope.WORKFLOWS_WRITE),
    "trigger": Shelf(Trigger, "name", Scope.TRIGGERS_WRITE),
}


def fingerprint(row: Any) -> str:
    """Return a text that changes with what a thing says, and not with how it stands."""
    content = {
        column.key: getattr(row, column.key)
        for column in row.__table__.columns
        if column.key not in _STATE
    }
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


async def names_taken(
    session: AsyncSession, project_id: str, kind: Kind, names: Collection[str]
) -> Sequence[str]:
    """Return those of the names that something in the project has."""
    shelf = SHELVES[kind]
    named: InstrumentedAttribute[str] = getattr(shelf.model, shelf.named)
    query = select(named).where(
        shelf.model.project_id == project_id, named.in_(names), *shelf.present, *shelf.own
    )
    return sorted(set((await session.scalars(query)).all()))


async def rows_of(
    session: AsyncSession, project_id: str, kind: Kind, ids: Collection[str], *, hold: bool = False
) -> dict[str, Any]:
    """Return things by id; those that are gone are left out.

    Args:
        session: A session of the database.
        project_id: The project that they belong to.
        kind: Of what kind they are.
        ids: Which.
        hold: Nobody else changes them until the unit of work ends.
    """
    shelf = SHELVES[kind]
    query = select(shelf.model).where(
        shelf.model.project_id == project_id, shelf.model.id.in_(ids), *shelf.present
    )
    if hold:
        query = query.with_for_update().execution_options(populate_existing=True)
    return {row.id: row for row in (await session.scalars(query)).all()}


class Makers:
    """Makes and removes things of every kind, for one caller."""

    def __init__(
        self, session: AsyncSession, caller: Caller, master_key: MasterKey, live: LiveBus
    ) -> None:
        self._session = session
        self._agents = AgentService(session, caller, master_key)
        self._prompts = PromptTemplateService(session, caller)
        self._tasks = TaskService(session, caller, master_key)
        self._crews = CrewService(session, caller, master_key)
        self._workflows = WorkflowService(session, caller)
        self._triggers = TriggerService(session, caller, master_key, live)

    async def make(self, thing: Thing) -> Any:
        """Make a thing; returns its row, as the database has it."""
        match thing.kind:
            case "agent":
                made: Any = await self._agents.create(thing.body)
            case "prompt":
                made = await self._prompts.create(thing.body)
            case "task":
                made = await self._tasks.create(thing.body, TaskStatus.DRAFT)
            case "crew":
                made = await self._crews.create(thing.body)
            case "workflow":
                assert thing.read is not None  # noqa: S101 - what was rendered was read
                made = await self._workflows.create(thing.body, thing.read)
            case "trigger":
                made, _ = await self._triggers.create(thing.body)
        row: Any = await self._session.get(SHELVES[thing.kind].model, made.id)
        await self._session.refresh(row)
        return row

    async def remove(self, kind: Kind, id: str) -> None:
        """Remove a thing; its runs stay."""
        match kind:
            case "agent":
                await self._agents.delete(id)
            case "prompt":
                await self._prompts.delete(id)
            case "task":
                await self._tasks.delete(id)
            case "crew":
                await self._crews.delete(id)
            case "workflow":
                await self._workflows.delete(id)
            case "trigger":
                await self._triggers.delete(id)
