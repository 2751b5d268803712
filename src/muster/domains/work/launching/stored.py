"""Finding stored tasks, crews and workflows, for plans that name them."""

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work import crews, tasks, workflows
from muster.domains.work.plans import CrewSpec, TaskSpec, WorkflowSpec
from muster.kernel.db import Database


class StoredDefinitions:
    """What is stored, as plans are made of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def task(self, project_id: str, reference: str) -> tuple[str, TaskSpec]:
        """Return a task by id or name."""
        async with self._database.read() as session:
            task = await tasks.find_task(session, project_id, reference)
            return task.id, tasks.spec_of(task)

    async def crew(self, project_id: str, reference: str) -> tuple[str, CrewSpec]:
        """Return a crew by id or name, with its stored tasks in it."""
        async with self._database.read() as session:
            crew = await crews.find_crew(session, project_id, reference)
            return crew.id, await crews.spec_of(session, crew, stored_tasks=tasks_of)

    async def workflow(self, project_id: str, reference: str) -> tuple[str, WorkflowSpec]:
        """Return a workflow by id or name."""
        async with self._database.read() as session:
            workflow = await workflows.find_workflow(session, project_id, reference)
            return workflow.id, workflows.spec_of(workflow)


async def tasks_of(
    session: AsyncSession, project_id: str, ids: Sequence[str]
) -> Mapping[str, TaskSpec]:
    """Return stored tasks by their ids; those that are not there are left out."""
    repository = tasks.TaskRepository(session, project_id)
    return {task.id: tasks.spec_of(task) for task in await repository.by_ids(ids)}
