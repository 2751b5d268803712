"""Workflows that are made of something else, and made anew when that changes."""

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.workflows.errors import WorkflowNotFound
from muster.domains.work.workflows.models import Workflow
from muster.domains.work.workflows.notations import Read
from muster.domains.work.workflows.repository import find_workflow
from muster.domains.work.workflows.schemas import WorkflowCreate, WorkflowPatch
from muster.domains.work.workflows.service import WorkflowService
from muster.platform.access import Caller


async def publish_workflow(
    session: AsyncSession, caller: Caller, name: str, read: Read
) -> Workflow:
    """Store a workflow under a name, as a new version of the one that has it."""
    workflows = WorkflowService(session, caller)
    try:
        known = await find_workflow(session, caller.project_id, name)
    except WorkflowNotFound:
        return await workflows.create(WorkflowCreate(name=name), read)
    return await workflows.change(known.id, WorkflowPatch(), read)
