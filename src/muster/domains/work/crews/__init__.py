"""Crews: agents and tasks that belong together, in every notation that they are written in."""

from muster.domains.work.crews.combining import StoredTasks, no_stored_tasks, spec_of
from muster.domains.work.crews.definitions import read_definitions, write_definitions
from muster.domains.work.crews.errors import CrewNameTaken, CrewNotFound, DefinitionsInvalid
from muster.domains.work.crews.known import Known, read_known
from muster.domains.work.crews.models import Crew
from muster.domains.work.crews.problems import problems_of
from muster.domains.work.crews.repository import find_crew
from muster.domains.work.crews.schemas import CrewCreate
from muster.domains.work.crews.service import CrewService

__all__ = [
    "Crew",
    "CrewCreate",
    "CrewNameTaken",
    "CrewNotFound",
    "CrewService",
    "DefinitionsInvalid",
    "Known",
    "StoredTasks",
    "find_crew",
    "no_stored_tasks",
    "problems_of",
    "read_definitions",
    "read_known",
    "spec_of",
    "write_definitions",
]
