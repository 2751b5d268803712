"""Queries on workflows."""

from typing import Any

from sqlalchemy import bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from muster.domains.work.workflows.errors import (
    WorkflowNameTaken,
    WorkflowNotFound,
    WorkflowVersionNotFound,
)
from muster.domains.work.workflows.models import Workflow, WorkflowVersion
from muster.domains.work.workflows.schemas import WorkflowList
from muster.kernel.db import Repository
from muster.kernel.paging import ListParams, Rows, paginate

_HOLD = (
    select(Workflow)
    .where(Workflow.project_id == bindparam("of_project"), Workflow.id == bindparam("of_workflow"))
    .with_for_update(key_share=True)
    .execution_options(populate_existing=True)
)


class WorkflowRepository(Repository[Workflow]):
    """The workflows of one project."""

    model, missing, taken = Workflow, WorkflowNotFound, WorkflowNameTaken

    async def search(self, params: WorkflowList) -> Rows[Workflow]:
        """Return workflows that match the filters, newest first, without their definitions."""
        query = self.query().options(defer(Workflow.definition))
        if params.search:
            columns = (Workflow.name, Workflow.description)
            query = query.where(
                or_(*(c.icontains(params.search, autoescape=True) for c in columns))
            )
        if params.is_template is not None:
            query = query.where(Workflow.is_template.is_(params.is_template))
        return await self.page(query, params, (Workflow.created_at, True))

    async def held(self, workflow_id: str) -> Workflow:
        """Return a workflow that nobody else changes until the unit of work ends."""
        values = {"of_project": self.project_id, "of_workflow": workflow_id}
        workflow: Workflow | None = await self.session.scalar(_HOLD, values)
        if workflow is None:
            raise WorkflowNotFound
        return workflow

    async def versions(self, workflow: Workflow, params: ListParams) -> Rows[WorkflowVersion]:
        """Return the versions of a workflow, newest first."""
        return await paginate(
            self.session,
            select(WorkflowVersion).where(WorkflowVersion.workflow_id == workflow.id),
            params,
            sort=(WorkflowVersion.version, True),
            tiebreak=WorkflowVersion.workflow_id,
        )

    async def version(self, workflow: Workflow, number: int) -> WorkflowVersion:
        """Return one version of a workflow."""
        found = await self.session.get(WorkflowVersion, (workflow.id, number))
        if found is None:
            raise WorkflowVersionNotFound
        return found


async def find_workflow(session: AsyncSession, project_id: str, reference: str) -> Workflow:
    """Return a workflow by id or name, in this order; raises `WorkflowNotFound`."""
    query = select(Workflow).where(Workflow.project_id == project_id)
    for column in (Workflow.id, Workflow.name):
        found: Workflow | None = await session.scalar(query.where(column == reference))
        if found is not None:
            return found
    raise WorkflowNotFound(
        f"There is no workflow {reference[:100]!r} in the project; GET /workflows lists them."
    )


async def names_of_workflows(session: AsyncSession, project_id: str) -> set[str]:
    """Return the ids and names of the workflows of a project."""
    query = select(Workflow.id, Workflow.name).where(Workflow.project_id == project_id)
    rows: Any = await session.execute(query)
    return {reference for row in rows for reference in row}
