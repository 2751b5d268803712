"""The moves of an incident, one table."""

from dataclasses import dataclass
from enum import StrEnum

from muster.domains.control.incidents.errors import IncidentMoveIllegal
from muster.domains.control.incidents.events import (
    IncidentAcknowledged,
    IncidentIgnored,
    IncidentMoved,
    IncidentReactivated,
    IncidentResolved,
)


class IncidentStatus(StrEnum):
    """`open` has been seen by nobody, `active` is worked on; `ignored` ones are counted only."""

    OPEN = "open"
    ACTIVE = "active"
    RESOLVED = "resolved"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Move:
    """A move: what people call it, from where, to where, and the fact that tells of it."""

    name: str
    sources: frozenset[IncidentStatus]
    target: IncidentStatus
    fact: type[IncidentMoved]

    def check(self, status: str) -> None:
        """Raise `IncidentMoveIllegal`, saying what is allowed, where the status does not fit."""
        if status in self.sources:
            return
        allowed = " or ".join(move.name for move in MOVES if status in move.sources)
        raise IncidentMoveIllegal(
            f"The incident is {status}, so {self.name} is not possible; {allowed} is.",
        )


_S = IncidentStatus

ACKNOWLEDGE = Move("acknowledge", frozenset({_S.OPEN}), _S.ACTIVE, IncidentAcknowledged)
RESOLVE = Move(
    "resolve", frozenset({_S.OPEN, _S.ACTIVE, _S.IGNORED}), _S.RESOLVED, IncidentResolved
)
IGNORE = Move("ignore", frozenset({_S.OPEN, _S.ACTIVE}), _S.IGNORED, IncidentIgnored)
REACTIVATE = Move(
    "reactivate", frozenset({_S.RESOLVED, _S.IGNORED}), _S.ACTIVE, IncidentReactivated
)

MOVES = (ACKNOWLEDGE, RESOLVE, IGNORE, REACTIVATE)
