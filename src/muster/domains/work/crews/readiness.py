"""Whether a crew can run: its definitions read, its references looked up, its parts examined."""

from collections.abc import Mapping

from muster.domains.catalogue.models import ModelCatalogue
from muster.domains.catalogue.tools import ToolCatalogue
from muster.domains.work.crews.combining import CrewParts, StoredTasks, combine, read_beside
from muster.domains.work.crews.definitions import Definitions
from muster.domains.work.crews.errors import DefinitionsInvalid
from muster.domains.work.crews.exposure import exposed_secrets
from muster.domains.work.crews.known import read_known
from muster.domains.work.crews.problems import of_fault, problems_of
from muster.domains.work.crews.schemas import CrewStatus
from muster.domains.work.plans import CrewSpec, TaskSpec
from muster.kernel.db import Database


class CrewReadiness:
    """Says of a crew whether it can run, with the models and tools of this process."""

    def __init__(
        self,
        database: Database,
        models: ModelCatalogue,
        tools: ToolCatalogue,
        stored_tasks: StoredTasks,
    ) -> None:
        self._database, self._models, self._tools = database, models, tools
        self._stored_tasks = stored_tasks

    async def of(self, project_id: str, parts: CrewParts) -> CrewStatus:
        """Return what is wrong with a crew. Asks model servers: nothing is to be held meanwhile."""
        _, status = await self.examined(project_id, parts)
        return status

    async def saved(self, project_id: str, parts: CrewParts) -> CrewStatus:
        """Return the same of a crew that is to be saved; raises `DefinitionsInvalid`."""
        read = await read_beside(parts.agents_yaml, parts.tasks_yaml)
        if broken := [fault for fault in read.broken if not fault.bare]:
            raise DefinitionsInvalid(broken)
        return (await self._examine(project_id, parts, read))[1]

    async def examined(self, project_id: str, parts: CrewParts) -> tuple[CrewSpec, CrewStatus]:
        """Return a crew as far as it can be read, and what is wrong with it."""
        read = await read_beside(parts.agents_yaml, parts.tasks_yaml)
        return await self._examine(project_id, parts, read)

    async def _examine(
        self, project_id: str, parts: CrewParts, read: Definitions
    ) -> tuple[CrewSpec, CrewStatus]:
        stored: Mapping[str, TaskSpec] = {}
        if parts.task_ids:
            async with self._database.read() as session:
                stored = await self._stored_tasks(session, project_id, parts.task_ids)
        spec = combine(parts, read, stored)
        known = await read_known(
            self._database, project_id, spec, models=self._models, tools=self._tools
        )
        problems = [of_fault(fault) for fault in read.faults]
        problems += problems_of(spec, known, places=read.places)
        problems += exposed_secrets(read)
        ready = all(problem.severity != "error" for problem in problems)
        return spec, CrewStatus(is_ready=ready, problems=problems)
