"""Queries on collaboration sessions."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, delete, or_, select
from sqlalchemy.orm import defer
from sqlalchemy.orm.attributes import flag_modified

from muster.domains.catalogue.agents import Agent
from muster.domains.dialogue.collaboration.errors import CollaborationNotFound
from muster.domains.dialogue.collaboration.models import (
    Collaboration,
    CollaborationMessage,
    CollaborationParticipant,
)
from muster.domains.dialogue.collaboration.schemas import CollaborationList
from muster.kernel.db import Repository
from muster.kernel.paging import ListParams, Rows, paginate

_Participant = CollaborationParticipant
_Message = CollaborationMessage


class CollaborationRepository(Repository[Collaboration]):
    """The sessions of one project."""

    model, missing = Collaboration, CollaborationNotFound

    async def search(self, params: CollaborationList, agent_id: str | None) -> Rows[Collaboration]:
        """Return sessions that match the filters, newest first, without their context."""
        query = self.query().options(defer(Collaboration.context))
        if params.status:
            query = query.where(Collaboration.status == params.status)
        if agent_id:
            query = query.where(Collaboration.id.in_(_sessions_of(agent_id)))
        if params.search:
            columns = (Collaboration.name, Collaboration.description)
            text = params.search
            query = query.where(or_(*(c.icontains(text, autoescape=True) for c in columns)))
        return await self.page(query, params, (Collaboration.created_at, True))

    async def held(self, id: str) -> Collaboration:
        """Return a session that nobody else changes until the unit of work ends."""
        query = self.query().where(Collaboration.id == id)
        held = query.with_for_update().execution_options(populate_existing=True)
        found: Collaboration | None = await self.session.scalar(held)
        if found is None:
            raise CollaborationNotFound
        return found

    async def share(self, collaboration: Collaboration, context: dict[str, Any]) -> bool:
        """Store a shared context; tell whether it differs from the one before."""
        # Python takes 1, 1.0 and true for equal.
        before, after = (
            msgspec.json.encode(c, order="sorted") for c in (collaboration.context, context)
        )
        if before == after:
            return False
        collaboration.context = context
        flag_modified(collaboration, "context")
        await self.flush()
        return True

    async def find_for(self, agent_id: str, reference: str) -> Collaboration | None:
        """Return the session of an agent with an id or name; of one name the newest open one."""
        named = or_(Collaboration.id == reference, Collaboration.name == reference)
        query = self.query().where(named, Collaboration.id.in_(_sessions_of(agent_id)))
        # "active" comes before "closed".
        order = query.order_by(Collaboration.status, Collaboration.created_at.desc()).limit(1)
        found: Collaboration | None = await self.session.scalar(order)
        return found

    async def open_of(self, agent_id: str, limit: int) -> Sequence[Collaboration]:
        """Return the open sessions of an agent, newest first."""
        query = self.query().where(
            Collaboration.status == "active", Collaboration.id.in_(_sessions_of(agent_id))
        )
        newest = query.order_by(Collaboration.created_at.desc(), Collaboration.id.desc())
        return (await self.session.scalars(newest.limit(limit))).all()

    async def participants(self, ids: Collection[str]) -> Mapping[str, list[Any]]:
        """Return by session who takes part, in the order of joining."""
        statement = (
            select(
                _Participant.collaboration_id,
                _Participant.agent_id,
                Agent.key,
                Agent.name,
                _Participant.joined_at,
            )
            .join(Agent, Agent.id == _Participant.agent_id)
            .where(_Participant.collaboration_id.in_(ids), Agent.project_id == self.project_id)
            .order_by(_Participant.joined_at, _Participant.agent_id)
        )
        found: defaultdict[str, list[Any]] = defaultdict(list)
        for row in (await self.session.execute(statement)).all():
            found[row.collaboration_id].append(row)
        return found

    async def join(self, collaboration: Collaboration, agent_id: str) -> bool:
        """Let an agent take part; tell whether it did not before. The session is held."""
        key = (collaboration.id, agent_id)
        if await self.session.get(_Participant, key) is not None:
            return False
        self.session.add(_Participant(collaboration_id=collaboration.id, agent_id=agent_id))
        await self.session.flush()
        return True

    async def leave(self, collaboration: Collaboration, agent_id: str) -> bool:
        """Let an agent take part no more; tell whether it did."""
        statement = (
            delete(_Participant)
            .where(
                _Participant.collaboration_id == collaboration.id,
                _Participant.agent_id == agent_id,
            )
            .returning(_Participant.agent_id)
        )
        return await self.session.scalar(statement) is not None

    async def takes_part(self, collaboration: Collaboration, agent_id: str) -> bool:
        """Tell whether an agent takes part."""
        return await self.session.get(_Participant, (collaboration.id, agent_id)) is not None

    async def said(self, collaboration: Collaboration, origin: str) -> _Message | None:
        """Return what a step of a run has said in a session."""
        query = _messages(collaboration).where(_Message.origin == origin)
        found: CollaborationMessage | None = await self.session.scalar(query)
        return found

    async def say(self, collaboration: Collaboration, **values: Any) -> CollaborationMessage:
        """Add a message to a session, which is held."""
        collaboration.message_count += 1
        message = CollaborationMessage(
            collaboration_id=collaboration.id, seq=collaboration.message_count, **values
        )
        self.session.add(message)
        await self.session.flush()
        return message

    async def latest(self, collaboration: Collaboration, limit: int) -> Sequence[_Message]:
        """Return the latest messages of a session, oldest first."""
        query = _messages(collaboration).order_by(_Message.seq.desc()).limit(limit)
        return (await self.session.scalars(query)).all()[::-1]

    async def messages(self, collaboration: Collaboration, params: ListParams) -> Rows[_Message]:
        """Return the messages of a session, oldest first."""
        query = _messages(collaboration)
        sort = (_Message.seq, False)
        return await paginate(self.session, query, params, sort=sort, tiebreak=_Message.id)


def _sessions_of(agent_id: str) -> Select[Any]:
    return select(_Participant.collaboration_id).where(_Participant.agent_id == agent_id)


def _messages(collaboration: Collaboration) -> Select[Any]:
    return select(_Message).where(_Message.collaboration_id == collaboration.id)
