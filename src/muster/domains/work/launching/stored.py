"""Finding stored tasks, crews and workflows for plans that name them; only sound ones are used."""

from muster.domains.work import crews, tasks, workflows
from muster.domains.work.launching.stored_tasks import tasks_of
from muster.domains.work.launching.strictness import require_sound_crew, require_sound_workflow
from muster.domains.work.plans import CrewSpec, TaskSpec, WorkflowSpec
from muster.domains.work.runs import RunParts


class StoredDefinitions:
    """What is stored, as plans are made of it."""

    def __init__(self, parts: RunParts) -> None:
        self._parts = parts

    async def task(self, project_id: str, reference: str) -> tuple[str, TaskSpec]:
        """Return a task by id or name."""
        async with self._parts.database.read() as session:
            task = await tasks.find_task(session, project_id, reference)
            return task.id, tasks.spec_of(task)

    async def crew(
        self, project_id: str, reference: str, model: str | None
    ) -> tuple[str, CrewSpec]:
        """Return a crew by id or name, with its stored tasks; the model is for one without."""
        async with self._parts.database.read() as session:
            crew = await crews.find_crew(session, project_id, reference)
            spec = await crews.spec_of(session, crew, stored_tasks=tasks_of)
        spec = spec.model_copy(update={"model": spec.model or model})
        await require_sound_crew(self._parts, project_id, spec)
        return crew.id, spec

    async def workflow(self, project_id: str, reference: str) -> tuple[str, WorkflowSpec]:
        """Return a workflow by id or name."""
        async with self._parts.database.read() as session:
            workflow = await workflows.find_workflow(session, project_id, reference)
        await require_sound_workflow(workflow.name, workflows.read_stored(workflow))
        return workflow.id, workflows.spec_of(workflow)
