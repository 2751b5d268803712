"""HTTP surface of collaboration sessions."""

from typing import Annotated

from fastapi import Depends, Query

from muster.domains.catalogue.agents import AgentAmbiguous, AgentNotFound
from muster.domains.dialogue.collaboration.errors import (
    CollaborationClosed,
    CollaborationFull,
    CollaborationNotFound,
    ContextTooLarge,
    NotParticipant,
    ParticipantNotFound,
)
from muster.domains.dialogue.collaboration.models import CollaborationMessage
from muster.domains.dialogue.collaboration.presenting import brief, detail, whole
from muster.domains.dialogue.collaboration.schemas import (
    CollaborationBrief,
    CollaborationCreate,
    CollaborationDetail,
    CollaborationList,
    CollaborationMessageOut,
    CollaborationOut,
    CollaborationPatch,
    CollaborationSay,
    ContextChange,
    LatestMessages,
    ParticipantAdd,
)
from muster.domains.dialogue.collaboration.service import CollaborationService
from muster.kernel.http import Reading, Router, Writing, problems
from muster.kernel.paging import ListParams, Page, Rows
from muster.platform.access import Caller, Scope, requires

router = Router("/collaboration", tag="Collaboration")

CanRead = Annotated[Caller, requires(Scope.COLLABORATION_READ)]
CanWrite = Annotated[Caller, requires(Scope.COLLABORATION_WRITE)]


async def _reader(session: Reading, caller: CanRead) -> CollaborationService:
    return CollaborationService(session, caller)


async def _writer(caller: CanWrite, session: Writing) -> CollaborationService:
    return CollaborationService(session, caller)


Reader = Annotated[CollaborationService, Depends(_reader)]
Writer = Annotated[CollaborationService, Depends(_writer)]

_CHANGES = problems(CollaborationNotFound, CollaborationClosed)


@router.get(
    "",
    response_model=Page[CollaborationBrief],
    responses=problems(AgentNotFound, AgentAmbiguous),
)
async def list_collaborations(
    sessions: Reader, params: Annotated[CollaborationList, Query()]
) -> Rows[CollaborationBrief]:
    """List collaboration sessions, newest first, without their context and messages."""
    rows = await sessions.list(params)
    joined = await sessions.participants(rows.items)
    items = [brief(row, joined[row.id]) for row in rows.items]
    return Rows(items, rows.total, rows.limit, rows.offset, rows.has_more)


@router.post(
    "",
    status_code=201,
    responses=problems(AgentNotFound, AgentAmbiguous, ContextTooLarge),
)
async def create_collaboration(sessions: Writer, body: CollaborationCreate) -> CollaborationOut:
    """Open a session in which agents work together.

    Those that take part read it and add to it with their tools `read_collaboration` and
    `contribute`, when they run; nothing is started by this.
    """
    return await whole(sessions, await sessions.create(body))


@router.get("/{collaboration_id}", responses=problems(CollaborationNotFound))
async def get_collaboration(
    sessions: Reader, collaboration_id: str, params: Annotated[LatestMessages, Query()]
) -> CollaborationDetail:
    """Get a session with its shared context and its latest messages."""
    row = await sessions.get(collaboration_id)
    return await detail(sessions, row, params.messages_limit)


@router.put("/{collaboration_id}", responses=_CHANGES)
async def update_collaboration(
    sessions: Writer, collaboration_id: str, body: CollaborationPatch
) -> CollaborationOut:
    """Change the name or description of a session; what is left out stays."""
    return await whole(sessions, await sessions.update(collaboration_id, body))


@router.patch("/{collaboration_id}", responses=_CHANGES)
async def patch_collaboration(
    sessions: Writer, collaboration_id: str, body: CollaborationPatch
) -> CollaborationOut:
    """Change the name or description of a session; what is left out stays."""
    return await whole(sessions, await sessions.update(collaboration_id, body))


@router.delete("/{collaboration_id}", status_code=204, responses=problems(CollaborationNotFound))
async def delete_collaboration(sessions: Writer, collaboration_id: str) -> None:
    """Delete a session with everything that was said in it."""
    await sessions.delete(collaboration_id)


@router.get(
    "/{collaboration_id}/messages",
    response_model=Page[CollaborationMessageOut],
    responses=problems(CollaborationNotFound),
)
async def list_collaboration_messages(
    sessions: Reader, collaboration_id: str, params: Annotated[ListParams, Query()]
) -> Rows[CollaborationMessage]:
    """List what was said in a session, oldest first."""
    return await sessions.messages(collaboration_id, params)


@router.post(
    "/{collaboration_id}/messages",
    status_code=201,
    response_model=CollaborationMessageOut,
    responses=problems(
        CollaborationNotFound,
        CollaborationClosed,
        CollaborationFull,
        NotParticipant,
        AgentNotFound,
        AgentAmbiguous,
    ),
)
async def add_collaboration_message(
    sessions: Writer, collaboration_id: str, body: CollaborationSay
) -> CollaborationMessage:
    """Say something in a session, as an agent that takes part or as yourself."""
    return await sessions.say(collaboration_id, body)


@router.post(
    "/{collaboration_id}/context",
    responses=problems(CollaborationNotFound, CollaborationClosed, ContextTooLarge),
)
async def update_collaboration_context(
    sessions: Writer, collaboration_id: str, body: ContextChange
) -> CollaborationOut:
    """Set values of the shared context. Keys that are not named stay; null removes one.

    Of changes that are made at once none is lost, unless they set the same key.
    """
    return await whole(sessions, await sessions.share(collaboration_id, body.changes()))


@router.post(
    "/{collaboration_id}/participants",
    status_code=201,
    responses=problems(
        CollaborationNotFound,
        CollaborationClosed,
        CollaborationFull,
        AgentNotFound,
        AgentAmbiguous,
    ),
)
async def add_participant(
    sessions: Writer, collaboration_id: str, body: ParticipantAdd
) -> CollaborationOut:
    """Let an agent take part in a session; one that does stays."""
    return await whole(sessions, await sessions.add_participant(collaboration_id, body.agent_id))


@router.delete(
    "/{collaboration_id}/participants/{agent_id}",
    status_code=204,
    responses=problems(CollaborationNotFound, CollaborationClosed, ParticipantNotFound),
)
async def remove_participant(sessions: Writer, collaboration_id: str, agent_id: str) -> None:
    """Let an agent take part in a session no more; what it has said stays."""
    await sessions.remove_participant(collaboration_id, agent_id)


@router.post("/{collaboration_id}/close", responses=_CHANGES)
async def close_collaboration(sessions: Writer, collaboration_id: str) -> CollaborationOut:
    """Close a session. It can be read from then on, and not be changed."""
    return await whole(sessions, await sessions.close(collaboration_id))
