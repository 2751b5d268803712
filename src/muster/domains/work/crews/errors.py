"""What can go wrong with crews."""

from collections.abc import Sequence

from muster.domains.work.crews.faults import Fault
from muster.kernel.errors import Conflict, FieldError, Forbidden, Invalid, NotFound

_SHOWN = 5


class CrewNotFound(NotFound):
    code, title = "crew_not_found", "No such crew in this project"


class CrewNameTaken(Conflict):
    code, title = "crew_name_taken", "A crew with this name exists in the project"


class CrewSecretsRefused(Forbidden):
    code, title = "crew_secrets_refused", "Your role may not store the secrets of tools"


class DefinitionsInvalid(Invalid):
    """`agents_yaml` or `tasks_yaml` cannot be read; `faults` tell where."""

    code, title = "definitions_invalid", "The definitions of agents or tasks cannot be read"

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        shown = "; ".join(f"{fault.field}: {fault.text}" for fault in faults[:_SHOWN])
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        super().__init__(
            f"{shown}{more}" if shown else None,
            errors=[FieldError(fault.field, fault.text) for fault in faults],
            details={"problems": [fault.facts() for fault in faults]},
        )
        self.faults = list(faults)
