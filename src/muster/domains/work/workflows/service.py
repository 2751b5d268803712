"""What one can do with workflows. Knows nothing of HTTP."""

from collections.abc import Callable
from typing import Any

from pydantic import MISSING
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.workflows import changing
from muster.domains.work.workflows.changing import Steps
from muster.domains.work.workflows.errors import WorkflowInvalid
from muster.domains.work.workflows.events import (
    WorkflowCreated,
    WorkflowDeleted,
    WorkflowUpdated,
)
from muster.domains.work.workflows.models import Workflow, WorkflowVersion
from muster.domains.work.workflows.notations import Read
from muster.domains.work.workflows.presenting import present_steps, read_stored
from muster.domains.work.workflows.repository import WorkflowRepository
from muster.domains.work.workflows.schemas import (
    ChangedStep,
    StepCreate,
    StepPatch,
    WorkflowCreate,
    WorkflowList,
    WorkflowPatch,
)
from muster.kernel.paging import ListParams, Rows
from muster.platform import events
from muster.platform.access import Caller

_CONTENT = ("name", "description", "is_template", "notation", "definition", "config")


class WorkflowService:
    """Use cases of workflows, for one caller. What was written is read before it comes here."""

    def __init__(self, session: AsyncSession, caller: Caller) -> None:
        self._session, self._caller = session, caller
        self._workflows = WorkflowRepository(session, caller.project_id)

    async def list(self, params: WorkflowList) -> Rows[Workflow]:
        return await self._workflows.search(params)

    async def get(self, workflow_id: str) -> Workflow:
        return await self._workflows.get(workflow_id)

    async def create(self, body: WorkflowCreate, read: Read) -> Workflow:
        """Make a workflow; it may be saved half-finished."""
        name = body.name or read.document.get("name")
        if not isinstance(name, str) or not name.strip():
            raise WorkflowInvalid("The workflow needs a name.")
        workflow = await self._workflows.add(
            name=read.spec.name if body.name is None else body.name,
            description=body.description or read.spec.description,
            is_template=body.is_template,
            config=body.config,
            **_columns(read),
            version=1,
        )
        self._keep_version(workflow, None)
        fact = WorkflowCreated(workflow_id=workflow.id, name=workflow.name)
        events.record(self._session, self._caller, fact)
        return workflow

    async def change(self, workflow_id: str, body: WorkflowPatch, read: Read | None) -> Workflow:
        """Change the given fields; a change of any makes a new version."""
        workflow = await self._workflows.held(workflow_id)
        given = {
            name: getattr(body, name) for name in ("name", "description", "is_template", "config")
        }
        values = {name: value for name, value in given.items() if value is not MISSING}
        return await self._store(workflow, {**values, **(_columns(read) if read else {})}, None)

    async def delete(self, workflow_id: str) -> None:
        """Delete a workflow; its runs keep what they were ruled by."""
        workflow = await self._workflows.held(workflow_id)
        fact = WorkflowDeleted(workflow_id=workflow.id, name=workflow.name)
        await self._workflows.delete(workflow)
        events.record(self._session, self._caller, fact)

    async def add_step(self, workflow_id: str, body: StepCreate) -> ChangedStep:
        """Add a step to a workflow that is written as steps, or is empty."""

        def add(steps: Steps) -> int:
            return changing.add_step(steps, body.model_dump())

        return await self._change_steps(workflow_id, add)

    async def change_step(self, workflow_id: str, reference: str, body: StepPatch) -> ChangedStep:
        """Change the given fields of a step."""

        def change(steps: Steps) -> int:
            return changing.change_step(steps, reference, body.model_dump(exclude_unset=True))

        return await self._change_steps(workflow_id, change)

    async def remove_step(self, workflow_id: str, reference: str) -> None:
        """Remove a step."""
        workflow = await self._workflows.held(workflow_id)
        read = read_stored(workflow)
        steps = changing.steps_of(read)
        changing.remove_step(steps, reference)
        await self._store_steps(workflow, read, steps)

    async def _change_steps(self, workflow_id: str, change: Callable[[Steps], int]) -> ChangedStep:
        workflow = await self._workflows.held(workflow_id)
        read = read_stored(workflow)
        steps = changing.steps_of(read)
        index = change(steps)
        changed = await self._store_steps(workflow, read, steps)
        shown = present_steps(changed)[index].model_dump()
        return ChangedStep(**shown, workflow_id=workflow.id, version=workflow.version)

    async def _store_steps(self, workflow: Workflow, read: Read, steps: Steps) -> Read:
        changed = read_stored(
            Workflow(definition=changing.with_steps(read, steps), notation="steps")
        )
        await self._store(workflow, _columns(changed), None)
        return changed

    async def _store(
        self, workflow: Workflow, values: dict[str, Any], note: str | None
    ) -> Workflow:
        changed = sorted(k for k, v in values.items() if getattr(workflow, k) != v)
        if not changed:
            return workflow
        await self._workflows.update(workflow, **values, version=workflow.version + 1)
        self._keep_version(workflow, note)
        fact = WorkflowUpdated(
            workflow_id=workflow.id,
            name=workflow.name,
            version=workflow.version,
            changed=[name for name in changed if name in _CONTENT],
        )
        events.record(self._session, self._caller, fact)
        return workflow

    def _keep_version(self, workflow: Workflow, note: str | None) -> None:
        self._session.add(
            WorkflowVersion(
                workflow_id=workflow.id,
                version=workflow.version,
                content={name: getattr(workflow, name) for name in _CONTENT},
                note=note,
                created_by_id=self._caller.key_id or self._caller.id,
                created_by_name=self._caller.name,
            )
        )

    async def versions(self, workflow_id: str, params: ListParams) -> Rows[WorkflowVersion]:
        return await self._workflows.versions(await self._workflows.get(workflow_id), params)

    async def version(self, workflow_id: str, number: int) -> WorkflowVersion:
        return await self._workflows.version(await self._workflows.get(workflow_id), number)

    async def restore(self, workflow_id: str, number: int) -> Workflow:
        """Make an earlier version the present one, as a new version."""
        workflow = await self._workflows.held(workflow_id)
        content = (await self._workflows.version(workflow, number)).content
        count = len(
            read_stored(
                Workflow(definition=content["definition"], notation=content["notation"])
            ).spec.nodes
        )
        note = f"Restored from version {number}"
        return await self._store(workflow, {**content, "node_count": count}, note)


def _columns(read: Read) -> dict[str, Any]:
    return {
        "notation": read.notation,
        "definition": read.document,
        "node_count": len(read.spec.nodes),
    }
