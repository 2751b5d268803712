"""Keeping a crew that was generated, under a name that no other crew has."""

from collections.abc import Iterator

from muster.domains.work.crews import CrewCreate, CrewNameTaken, CrewService
from muster.domains.work.generation.errors import SavingRefused
from muster.domains.work.generation.schemas import GeneratedCrew
from muster.kernel.crypto import MasterKey
from muster.kernel.db import Database
from muster.kernel.ids import new_id
from muster.platform.access import Caller, Scope

_NUMBERED = 20
_LONGEST = 255


def require_saving(caller: Caller) -> None:
    """Raise `SavingRefused` unless the caller may store crews: before a model is paid for one."""
    if not caller.may(Scope.CREWS_WRITE):
        raise SavingRefused(
            f"This needs the scope {Scope.CREWS_WRITE}; leave out save, or ask an editor."
        )


async def store_crew(
    database: Database, master_key: MasterKey, caller: Caller, crew: GeneratedCrew
) -> GeneratedCrew:
    """Store a crew; it was paid for, so a name that is taken gets a number instead of a refusal."""
    async with database.write() as session:
        crews = CrewService(session, caller, master_key)
        for name in _names(crew.name):
            body = CrewCreate(
                name=name,
                description=crew.description,
                process=crew.process,
                agents_yaml=crew.agents_yaml,
                tasks_yaml=crew.tasks_yaml,
            )
            try:
                stored = await crews.create(body)
            except CrewNameTaken:
                continue
            return crew.model_copy(update={"name": stored.name, "crew_id": stored.id})
    raise CrewNameTaken(f"There are too many crews of the name {crew.name!r}; rename one.")


def _names(name: str) -> Iterator[str]:
    yield name
    for suffix in (*(str(number) for number in range(2, _NUMBERED)), new_id()):
        yield f"{name[: _LONGEST - len(suffix) - 1]} {suffix}"
