"""HTTP surface of workflows."""

import asyncio
import json
from typing import Annotated, Any

import yaml
from fastapi import Depends, Path, Query
from pydantic import MISSING
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response

from muster.domains.work.workflows.checking import References
from muster.domains.work.workflows.drawing import draw
from muster.domains.work.workflows.errors import (
    StepNameTaken,
    StepNotFound,
    WorkflowInvalid,
    WorkflowNameTaken,
    WorkflowNotExpressible,
    WorkflowNotFound,
    WorkflowNotOfSteps,
    WorkflowUnrenderable,
    WorkflowVersionNotFound,
)
from muster.domains.work.workflows.models import Workflow, WorkflowVersion
from muster.domains.work.workflows.notations import read_workflow, readable, write_workflow
from muster.domains.work.workflows.presenting import (
    present,
    present_summary,
    read_checked,
    read_stored,
    spec_of,
)
from muster.domains.work.workflows.schemas import (
    ChangedStep,
    DrawParams,
    ExportParams,
    StepCreate,
    StepPatch,
    Validity,
    WorkflowBody,
    WorkflowCreate,
    WorkflowList,
    WorkflowOut,
    WorkflowPatch,
    WorkflowSummary,
    WorkflowVersionOut,
)
from muster.domains.work.workflows.service import WorkflowService
from muster.kernel.http import Db, Reading, Router, Writing, problems
from muster.kernel.paging import ListParams, Page, Rows
from muster.platform.access import Caller, Scope, requires

router = Router("/workflows", tag="Workflows")

CanRead = Annotated[Caller, requires(Scope.WORKFLOWS_READ)]
CanWrite = Annotated[Caller, requires(Scope.WORKFLOWS_WRITE)]

_OBJECT: dict[str, Any] = {"schema": {"type": "object", "additionalProperties": True}}
_SVG = "image/svg+xml"
_PICTURE: dict[int | str, Any] = {
    200: {"description": "The picture.", "content": {_SVG: {"schema": {"type": "string"}}}}
}


async def _reader(session: Reading, caller: CanRead) -> WorkflowService:
    return WorkflowService(session, caller)


async def _writer(caller: CanWrite, session: Writing) -> WorkflowService:
    return WorkflowService(session, caller)


async def _references(connection: HTTPConnection) -> References:
    state = connection.app.state
    return References(state.database, state.models, state.tools)


async def _workflow(database: Db, caller: CanRead, workflow_id: str) -> Workflow:
    """Return a workflow of which no session is held any more."""
    async with database.read() as session:
        return await WorkflowService(session, caller).get(workflow_id)


Reader = Annotated[WorkflowService, Depends(_reader)]
Writer = Annotated[WorkflowService, Depends(_writer)]
Checks = Annotated[References, Depends(_references)]
Found = Annotated[Workflow, Depends(_workflow)]
Version = Annotated[int, Path(ge=1, le=2**31 - 1, description="Number of the version.")]
StepName = Annotated[str, Path(description="Name or id of the step.")]

_CHANGES = problems(WorkflowNotFound, WorkflowNameTaken, WorkflowInvalid)
_STEPS = problems(WorkflowNotFound, StepNotFound, StepNameTaken, WorkflowNotOfSteps)


@router.get("", response_model=Page[WorkflowSummary])
async def list_workflows(
    workflows: Reader, params: Annotated[WorkflowList, Query()]
) -> Rows[WorkflowSummary]:
    """List the workflows of the project, newest first, without their definitions."""
    rows = await workflows.list(params)
    shown = [present_summary(workflow) for workflow in rows.items]
    return Rows(shown, rows.total, rows.limit, rows.offset, rows.has_more)


@router.post("", status_code=201, responses=problems(WorkflowNameTaken, WorkflowInvalid))
async def create_workflow(workflows: Writer, body: WorkflowCreate) -> WorkflowOut:
    """Create a workflow, in any notation.

    The definition can be steps that depend on one another, a document of nodes that follow one
    another, the actions of an agent project, or what the product itself writes; as an object or as
    YAML or JSON text. A half-finished one is saved all the same: `problems` says what is wrong, and
    running it is refused until that is put right.
    """
    # Before the first statement: no connection is taken while it is read and looked at.
    read, found = await read_checked(body.definition)
    return await present(await workflows.create(body, read), found)


@router.post("/validate", responses=problems(WorkflowInvalid))
async def validate_workflow(caller: CanRead, checks: Checks, body: WorkflowBody) -> Validity:
    """Say what is wrong with a workflow that is not stored, with paths, lines and suggestions."""
    read = await asyncio.to_thread(read_workflow, body.given)
    found = await checks.check(caller.project_id, read)
    return Validity.of(found)


@router.post(
    "/render-svg",
    response_class=Response,
    responses={**_PICTURE, **problems(WorkflowUnrenderable)},
)
async def workflows_render_svg(
    caller: CanRead,  # noqa: ARG001 - any member may
    body: WorkflowBody,
    params: Annotated[DrawParams, Query()],
) -> Response:
    """Draw a workflow that is not stored, in any notation, half-edited as it may be.

    Edges to nodes that do not exist are left out, nodes of unknown types are grey, and an empty
    workflow is an empty canvas. Only a text that is neither YAML nor JSON is refused.
    """
    return await _picture(body.given, params)


@router.get("/{workflow_id}", responses=problems(WorkflowNotFound))
async def get_workflow(workflow: Found) -> WorkflowOut:
    """Get a workflow with all its steps and with what is wrong with it."""
    return await present(workflow)


@router.put("/{workflow_id}", responses=_CHANGES)
async def update_workflow(workflows: Writer, workflow_id: str, body: WorkflowPatch) -> WorkflowOut:
    """Change the given fields of a workflow; the others keep their values."""
    return await _change(workflows, workflow_id, body)


@router.patch("/{workflow_id}", responses=_CHANGES)
async def patch_workflow(workflows: Writer, workflow_id: str, body: WorkflowPatch) -> WorkflowOut:
    """Change the given fields of a workflow; the others keep their values."""
    return await _change(workflows, workflow_id, body)


@router.delete("/{workflow_id}", status_code=204, responses=problems(WorkflowNotFound))
async def delete_workflow(workflows: Writer, workflow_id: str) -> None:
    """Delete a workflow with its versions. Its runs keep what they were ruled by."""
    await workflows.delete(workflow_id)


@router.post("/{workflow_id}/steps", status_code=201, responses=_STEPS)
async def add_workflow_step(workflows: Writer, workflow_id: str, body: StepCreate) -> ChangedStep:
    """Add a step to a workflow that is written as steps, or that is still empty.

    Steps begin as soon as all that they depend on have ended; where no step depends on any, they
    run in their order. A step may depend on one that is added later.
    """
    return await workflows.add_step(workflow_id, body)


@router.put("/{workflow_id}/steps/{step}", responses=_STEPS)
async def update_workflow_step(
    workflows: Writer, workflow_id: str, step: StepName, body: StepPatch
) -> ChangedStep:
    """Change the given fields of a step; steps that depend on it learn its new name."""
    return await workflows.change_step(workflow_id, step, body)


@router.delete("/{workflow_id}/steps/{step}", status_code=204, responses=_STEPS)
async def delete_workflow_step(workflows: Writer, workflow_id: str, step: StepName) -> None:
    """Remove a step; what depended on it depends on what it depended on."""
    await workflows.remove_step(workflow_id, step)


@router.post("/{workflow_id}/validate", responses=problems(WorkflowNotFound))
async def validate_stored_workflow(workflow: Found, checks: Checks) -> Validity:
    """Say what is wrong with a workflow, and with the agents, tools and models that it names."""
    found = await checks.check(workflow.project_id, read_stored(workflow))
    return Validity.of(found)


@router.get(
    "/{workflow_id}/svg",
    response_class=Response,
    responses={**_PICTURE, **problems(WorkflowNotFound)},
)
async def draw_workflow(workflow: Found, params: Annotated[DrawParams, Query()]) -> Response:
    """Draw a workflow."""
    return await _picture(workflow.definition, params)


@router.get(
    "/{workflow_id}/export",
    response_class=PlainTextResponse,
    responses={
        200: {"content": {"application/yaml": {}, "application/json": _OBJECT}},
        **problems(WorkflowNotFound, WorkflowNotExpressible),
    },
)
async def export_workflow(
    workflow: Found, params: Annotated[ExportParams, Query()]
) -> PlainTextResponse:
    """Get a workflow as a file, in the notation that it was written in or in another one.

    What another notation has no words for is refused, with the name of the node.
    """
    if params.notation in {None, workflow.notation}:
        # The name goes first; it may have been changed since the definition was written.
        written = {"name": workflow.name} | workflow.definition | {"name": workflow.name}
    else:
        written = write_workflow(spec_of(workflow), params.notation)  # pyright: ignore[reportArgumentType]
    if params.format == "json":
        text = json.dumps(written, indent=2, ensure_ascii=False)
        return PlainTextResponse(text, media_type="application/json")
    text = yaml.safe_dump(written, sort_keys=False, allow_unicode=True, width=100)
    return PlainTextResponse(text, media_type="application/yaml")


@router.get(
    "/{workflow_id}/versions",
    response_model=Page[WorkflowVersionOut],
    responses=problems(WorkflowNotFound),
)
async def list_workflow_versions(
    workflows: Reader, workflow_id: str, params: Annotated[ListParams, Query()]
) -> Rows[WorkflowVersion]:
    """List the versions of a workflow, newest first."""
    return await workflows.versions(workflow_id, params)


@router.get(
    "/{workflow_id}/versions/{version}",
    response_model=WorkflowVersionOut,
    responses=problems(WorkflowNotFound, WorkflowVersionNotFound),
)
async def get_workflow_version(
    workflows: Reader, workflow_id: str, version: Version
) -> WorkflowVersion:
    """Get one version of a workflow."""
    return await workflows.version(workflow_id, version)


@router.post(
    "/{workflow_id}/versions/{version}/restore",
    responses=problems(WorkflowNotFound, WorkflowVersionNotFound, WorkflowNameTaken),
)
async def restore_workflow_version(
    workflows: Writer, workflow_id: str, version: Version
) -> WorkflowOut:
    """Make an earlier version the present one; it becomes a new version."""
    return await present(await workflows.restore(workflow_id, version))


async def _change(workflows: WorkflowService, workflow_id: str, body: WorkflowPatch) -> WorkflowOut:
    read = found = None
    if body.definition is not MISSING:
        read, found = await read_checked(body.definition)
    return await present(await workflows.change(workflow_id, body, read), found)


async def _picture(given: Any, params: DrawParams) -> Response:
    try:
        svg = await asyncio.to_thread(lambda: draw(readable(given), theme=params.theme))
    except WorkflowInvalid as error:
        raise WorkflowUnrenderable(
            f"Could not render workflow: {error.detail}", details=error.details
        ) from error
    return Response(svg, media_type=_SVG)
