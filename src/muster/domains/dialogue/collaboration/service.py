"""What one can do with collaboration sessions. Knows nothing of HTTP."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import Agent, find_agent
from muster.domains.dialogue.collaboration.errors import (
    CollaborationClosed,
    CollaborationFull,
    ContextTooLarge,
    NotParticipant,
    ParticipantNotFound,
)
from muster.domains.dialogue.collaboration.events import (
    CollaborationClosedFact,
    CollaborationCreated,
    CollaborationDeleted,
    CollaborationMessageAdded,
    CollaborationUpdated,
)
from muster.domains.dialogue.collaboration.models import Collaboration, CollaborationMessage
from muster.domains.dialogue.collaboration.repository import CollaborationRepository
from muster.domains.dialogue.collaboration.schemas import (
    CONTEXT_BYTES,
    LONGEST_KEY,
    MAX_KEYS,
    MAX_MESSAGES,
    MAX_PARTICIPANTS,
    CollaborationCreate,
    CollaborationList,
    CollaborationPatch,
    CollaborationSay,
)
from muster.kernel import clock
from muster.kernel.paging import ListParams, Rows
from muster.platform import events
from muster.platform.access import Caller


class CollaborationService:
    """Use cases of collaboration sessions, for one caller."""

    def __init__(self, session: AsyncSession, caller: Caller) -> None:
        self._session, self._caller = session, caller
        self._sessions = CollaborationRepository(session, caller.project_id)

    async def list(self, params: CollaborationList) -> Rows[Collaboration]:
        agent_id = None
        if params.agent_id:
            project_id = self._caller.project_id
            agent = await find_agent(self._session, project_id, params.agent_id, deleted=True)
            agent_id = agent.id
        return await self._sessions.search(params, agent_id)

    async def get(self, id: str) -> Collaboration:
        return await self._sessions.get(id)

    async def participants(self, rows: Sequence[Collaboration]) -> Mapping[str, Sequence[Any]]:
        """Return by session who takes part in it."""
        return await self._sessions.participants([row.id for row in rows])

    async def latest(self, row: Collaboration, limit: int) -> Sequence[CollaborationMessage]:
        return await self._sessions.latest(row, limit)

    async def messages(self, id: str, params: ListParams) -> Rows[CollaborationMessage]:
        return await self._sessions.messages(await self._sessions.get(id), params)

    async def create(self, body: CollaborationCreate) -> Collaboration:
        """Open a session."""
        agents = {agent.id: agent for agent in [await self._agent(r) for r in body.participants]}
        row = await self._sessions.add(
            name=body.name,
            description=body.description,
            context=merged({}, body.initial_context),
            created_by_id=self._caller.id,
            created_by_name=self._caller.name,
        )
        for agent in agents.values():
            await self._sessions.join(row, agent.id)
        fact = CollaborationCreated(**_about(row), participants=list(agents))
        events.record(self._session, self._caller, fact)
        return row

    async def update(self, id: str, body: CollaborationPatch) -> Collaboration:
        """Change the given fields of a session."""
        row = await self._open(id)
        values = body.model_dump()
        changed = sorted(name for name, value in values.items() if getattr(row, name) != value)
        if changed:
            await self._sessions.update(row, **{name: values[name] for name in changed})
            self._tell(row, *changed)
        return row

    async def share(self, id: str, changes: dict[str, Any]) -> Collaboration:
        """Set values of the shared context; null removes one, and what is not named stays."""
        row = await self._open(id)
        context = merged(row.context, changes)
        if await self._sessions.share(row, context):
            self._tell(row, "context", keys=sorted(changes))
        return row

    async def say(
        self,
        id: str,
        body: CollaborationSay,
        *,
        run_id: str | None = None,
        origin: str | None = None,
    ) -> CollaborationMessage:
        """Say something, as an agent that takes part or as oneself.

        What a step of a run has said already is returned.
        """
        row = await self._sessions.held(id)
        if origin and (known := await self._sessions.said(row, origin)):
            return known
        _require_open(row)
        agent = await self._agent(body.agent_id) if body.agent_id else None
        if agent is not None and not await self._sessions.takes_part(row, agent.id):
            raise NotParticipant(
                f"The agent {agent.name} takes no part in {row.name}; add it with "
                f"POST /collaboration/{row.id}/participants."
            )
        if row.message_count >= MAX_MESSAGES:
            raise CollaborationFull(
                f"A session holds {MAX_MESSAGES} messages; close it and open another."
            )
        message = await self._sessions.say(
            row,
            agent_id=agent.id if agent else None,
            author_id=self._caller.id,
            author_name=agent.name if agent else self._caller.name,
            message=body.message,
            message_type=body.message_type,
            run_id=run_id,
            origin=origin,
        )
        fact = CollaborationMessageAdded(
            **_about(row),
            message_id=message.id,
            seq=message.seq,
            agent_id=message.agent_id,
            message_type=message.message_type,
        )
        events.record(self._session, self._caller, fact)
        return message

    async def close(self, id: str) -> Collaboration:
        """Close a session: it can be read and not be changed."""
        row = await self._open(id)
        await self._sessions.update(
            row, status="closed", closed_at=clock.now(), closed_by_name=self._caller.name
        )
        events.record(self._session, self._caller, CollaborationClosedFact(**_about(row)))
        return row

    async def delete(self, id: str) -> None:
        row = await self._sessions.held(id)
        await self._sessions.delete(row)
        events.record(self._session, self._caller, CollaborationDeleted(**_about(row)))

    async def add_participant(self, id: str, reference: str) -> Collaboration:
        """Let an agent take part; one that does stays."""
        row = await self._open(id)
        agent = await self._agent(reference)
        known = await self._sessions.participants([row.id])
        if len(known[row.id]) >= MAX_PARTICIPANTS:
            raise CollaborationFull(
                f"At most {MAX_PARTICIPANTS} agents can take part; remove one first."
            )
        if await self._sessions.join(row, agent.id):
            self._tell(row, "participants", agent_id=agent.id)
        return row

    async def remove_participant(self, id: str, agent_id: str) -> None:
        """Let an agent take part no more; what it has said stays."""
        row = await self._open(id)
        if not await self._sessions.leave(row, agent_id):
            raise ParticipantNotFound
        self._tell(row, "participants", agent_id=agent_id)

    async def _open(self, id: str) -> Collaboration:
        row = await self._sessions.held(id)
        _require_open(row)
        return row

    async def _agent(self, reference: str) -> Agent:
        return await find_agent(self._session, self._caller.project_id, reference)

    def _tell(
        self,
        row: Collaboration,
        *changed: str,
        keys: Sequence[str] = (),
        agent_id: str | None = None,
    ) -> None:
        fact = CollaborationUpdated(
            **_about(row), changed=list(changed), keys=[*keys], agent_id=agent_id
        )
        events.record(self._session, self._caller, fact)


def _require_open(row: Collaboration) -> None:
    if row.status == "closed":
        raise CollaborationClosed(
            f"{row.name} is closed and can only be read; open another session."
        )


def merged(context: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a shared context with changes over it; raises `ContextTooLarge`."""
    found = {k: v for k, v in {**context, **changes}.items() if v is not None}
    if len(found) > MAX_KEYS or any(len(key) > LONGEST_KEY for key in found):
        raise ContextTooLarge(
            f"The shared context holds at most {MAX_KEYS} keys of at most {LONGEST_KEY} "
            "characters; remove some by setting them to null."
        )
    if len(msgspec.json.encode(found)) > CONTEXT_BYTES:
        raise ContextTooLarge(
            f"The shared context holds at most {CONTEXT_BYTES // 1024} KB; remove keys by setting "
            "them to null, or keep large texts elsewhere."
        )
    return found


def _about(row: Collaboration) -> dict[str, Any]:
    return {"collaboration_id": row.id, "name": row.name}
