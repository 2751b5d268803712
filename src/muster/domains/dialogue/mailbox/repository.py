"""Queries on messages."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, func, or_, select

from muster.domains.dialogue.mailbox.errors import MessageNotFound, MessageSent
from muster.domains.dialogue.mailbox.models import AgentMessage, MessageReading
from muster.domains.dialogue.mailbox.schemas import MessageList
from muster.kernel.db import Repository
from muster.kernel.paging import ListParams, Rows


class MessageRepository(Repository[AgentMessage]):
    """The messages of one project."""

    model, missing, taken = AgentMessage, MessageNotFound, MessageSent

    async def search(self, params: MessageList, agent_id: str | None) -> Rows[AgentMessage]:
        """Return messages that match the filters, newest first."""
        query = self.query()
        if agent_id:
            query = query.where(_of(agent_id, received_only=params.unread is True))
        if params.channel:
            query = query.where(AgentMessage.channel == params.channel.lower())
        if params.unread is not None:
            read = AgentMessage.read_at
            query = query.where(read.is_(None) if params.unread else read.is_not(None))
        if params.search:
            columns = (AgentMessage.subject, AgentMessage.body)
            text = params.search
            query = query.where(or_(*(c.icontains(text, autoescape=True) for c in columns)))
        return await self.page(query, params, (AgentMessage.created_at, True))

    async def find_origin(self, origin: str) -> AgentMessage | None:
        """Return the message that a step of a run has sent."""
        query = self.query().where(AgentMessage.origin == origin)
        found: AgentMessage | None = await self.session.scalar(query)
        return found

    async def held(self, id: str) -> AgentMessage:
        """Return a message that nobody else changes until the unit of work ends."""
        query = self.query().where(AgentMessage.id == id)
        held = query.with_for_update().execution_options(populate_existing=True)
        found: AgentMessage | None = await self.session.scalar(held)
        if found is None:
            raise MessageNotFound
        return found

    async def for_agent(
        self, agent_id: str, channel: str | None, *, unread: bool, origin: str | None, limit: int
    ) -> Sequence[AgentMessage]:
        """Return what an agent is to read, oldest first.

        Args:
            agent_id: The agent.
            channel: Read this channel in the place of what was sent to the agent.
            unread: Only what it has not read: the oldest of that; else the newest of all.
            origin: The step that reads; what it has read before is unread for it.
            limit: Most messages to return.
        """
        query = self.query()
        if channel is None:
            query = query.where(AgentMessage.recipient_agent_id == agent_id)
        else:
            query = query.where(AgentMessage.channel == channel)
        if not unread:
            newest = query.order_by(AgentMessage.created_at.desc(), AgentMessage.id.desc())
            return (await self.session.scalars(_kept(newest.limit(limit)))).all()[::-1]
        mine = select(MessageReading.message_id).where(MessageReading.agent_id == agent_id)
        before = mine.where(MessageReading.origin == origin) if origin else None
        if channel is None:
            fresh = AgentMessage.read_at.is_(None)
        else:
            of_others = or_(
                AgentMessage.sender_agent_id.is_(None), AgentMessage.sender_agent_id != agent_id
            )
            fresh = and_(of_others, AgentMessage.id.not_in(mine))
        wanted = fresh if before is None else or_(fresh, AgentMessage.id.in_(before))
        oldest = query.where(wanted).order_by(AgentMessage.created_at, AgentMessage.id)
        return (await self.session.scalars(_kept(oldest.limit(limit)))).all()

    async def note_reading(
        self, message: AgentMessage, agent_id: str, origin: str | None, moment: datetime
    ) -> bool:
        """Note that an agent has read a message; tell whether it had not."""
        if await self.session.get(MessageReading, (message.id, agent_id)) is not None:
            return False
        values = {"message_id": message.id, "agent_id": agent_id, "origin": origin}
        self.session.add(MessageReading(**values, read_at=moment))
        if message.recipient_agent_id == agent_id and message.read_at is None:
            message.read_at = moment
        await self.session.flush()
        return True

    async def channels(self, params: ListParams) -> Rows[Any]:
        """Return the channels with their counts, the one with the newest message first."""
        channel, last = AgentMessage.channel, func.max(AgentMessage.created_at)
        unread = func.count().filter(AgentMessage.read_at.is_(None))
        counted = (
            select(
                channel.label("name"),
                func.count().label("messages"),
                unread.label("unread"),
                last.label("last_message_at"),
            )
            .where(AgentMessage.project_id == self.project_id, channel.is_not(None))
            .group_by(channel)
        )
        total = await self.session.scalar(select(func.count()).select_from(counted.subquery())) or 0
        page = counted.order_by(last.desc(), channel).offset(params.offset).limit(params.limit)
        items = (await self.session.execute(page)).all()
        more = params.offset + len(items) < total
        return Rows(list(items), total, params.limit, params.offset, more)


def _kept(query: Select[Any]) -> Select[Any]:
    # Nobody deletes them before it is noted that they were read.
    return query.with_for_update(key_share=True)


def _of(agent_id: str, *, received_only: bool) -> Any:
    received = AgentMessage.recipient_agent_id == agent_id
    return received if received_only else or_(received, AgentMessage.sender_agent_id == agent_id)
