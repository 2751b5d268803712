"""From the rows of a collaboration session to what the API shows."""

from collections.abc import Sequence
from typing import Any

from muster.domains.dialogue.collaboration.models import Collaboration
from muster.domains.dialogue.collaboration.schemas import (
    CollaborationBrief,
    CollaborationDetail,
    CollaborationMessageOut,
    CollaborationOut,
    ParticipantOut,
)
from muster.domains.dialogue.collaboration.service import CollaborationService


def brief(row: Collaboration, participants: Sequence[Any]) -> CollaborationBrief:
    """Return a session as lists show it."""
    return CollaborationBrief.model_validate(_values(row, participants))


async def whole(sessions: CollaborationService, row: Collaboration) -> CollaborationOut:
    """Return a session with its context."""
    joined = await sessions.participants([row])
    return CollaborationOut.model_validate({**_values(row, joined[row.id]), "context": row.context})


async def detail(
    sessions: CollaborationService, row: Collaboration, limit: int
) -> CollaborationDetail:
    """Return a session with its context and latest messages."""
    shown = await whole(sessions, row)
    messages = [
        CollaborationMessageOut.model_validate(message)
        for message in await sessions.latest(row, limit)
    ]
    return CollaborationDetail(**shown.model_dump(), messages=messages)


def _values(row: Collaboration, participants: Sequence[Any]) -> dict[str, Any]:
    names = set(CollaborationBrief.model_fields) - {"participants"}
    values = {name: getattr(row, name) for name in names}
    return {**values, "participants": [ParticipantOut.model_validate(p) for p in participants]}
