"""Stored tasks, for crews that name them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncSession

if TYPE_CHECKING:
    from muster.domains.work.plans import TaskSpec


async def tasks_of(
    session: AsyncSession, project_id: str, ids: Sequence[str]
) -> "Mapping[str, TaskSpec]":
    """Return stored tasks by their ids; those that are not there are left out."""
    # No start is to wait for the tasks.
    from muster.domains.work import tasks

    repository = tasks.TaskRepository(session, project_id)
    return {task.id: tasks.spec_of(task) for task in await repository.by_ids(ids)}
