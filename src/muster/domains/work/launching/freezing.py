"""Freezing what tasks, crews and workflows are made of, as it is now."""

from typing import Any

from muster.domains.work.crews import read_definitions
from muster.domains.work.launching.stored import StoredDefinitions
from muster.domains.work.launching.strictness import require_sound_crew, require_sound_workflow
from muster.domains.work.plans import Freezer, Shelf
from muster.domains.work.runs import ExecutionCreate, Frozen, RunParts, RunTargetMissing
from muster.domains.work.tasks import find_task, spec_of
from muster.domains.work.workflows import read_workflow


async def freeze_plan(parts: RunParts, project_id: str, body: ExecutionCreate) -> Frozen:
    """Return the plan that the body names; what it lacks is told all at once."""
    stored = StoredDefinitions(parts)
    shelf = Shelf(
        reading=parts.database.read, models=parts.models, tools=parts.tools, stored=stored
    )
    freezer = Freezer(shelf, project_id, body.model)
    if body.task_id:
        async with parts.database.read() as session:
            task = await find_task(session, project_id, body.task_id)
        body = body.model_copy(update={"inputs": {**task.inputs, **body.inputs}})
        return _frozen("task", task.id, await freezer.task(spec_of(task)), body)
    if body.crew_id:
        crew_id, crew = await stored.crew(project_id, body.crew_id, body.model)
        return _frozen("crew", crew_id, await freezer.crew(crew), body)
    if body.workflow_id:
        workflow_id, workflow = await stored.workflow(project_id, body.workflow_id)
        return _frozen("workflow", workflow_id, await freezer.workflow(workflow), body)
    if body.workflow is not None:
        read = read_workflow(body.workflow)
        await require_sound_workflow(read.spec.name, read)
        return _frozen("workflow", None, await freezer.workflow(read.spec), body)
    if body.tasks_yaml is None:
        raise RunTargetMissing
    crew = read_definitions(
        body.agents_yaml,
        body.tasks_yaml,
        name=body.crew_name or "Crew",
        process=body.process,
        model=body.model,
        manager_llm=body.manager_llm,
    )
    await require_sound_crew(parts, project_id, crew)
    return _frozen("crew", None, await freezer.crew(crew), body)


def _frozen(
    kind: str, target_id: str | None, snapshot: dict[str, Any], body: ExecutionCreate
) -> Frozen:
    agents = {
        frozen["agent_id"]
        for frozen in [*snapshot["agents"].values(), snapshot.get("manager")]
        if frozen and frozen["agent_id"]
    }
    return Frozen(
        kind=kind,
        name=snapshot["agent"]["name"],
        snapshot=snapshot,
        inputs=body.inputs,
        target_id=target_id,
        agent_id=None,
        agent_ids=frozenset(agents),
    )
