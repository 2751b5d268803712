"""What one can do with messages. Knows nothing of HTTP."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import find_agent, hold_agent
from muster.domains.dialogue.mailbox.errors import MessageUnaddressed, ReplyUnknown
from muster.domains.dialogue.mailbox.events import MessageDeleted, MessageNew, MessageRead
from muster.domains.dialogue.mailbox.models import AgentMessage
from muster.domains.dialogue.mailbox.repository import MessageRepository
from muster.domains.dialogue.mailbox.schemas import MessageList, MessageSend
from muster.kernel import clock
from muster.kernel.errors import FieldError
from muster.kernel.paging import ListParams, Rows
from muster.platform import events
from muster.platform.access import Caller


class MailboxService:
    """Use cases of messages, for one caller."""

    def __init__(self, session: AsyncSession, caller: Caller) -> None:
        self._session, self._caller = session, caller
        self._messages = MessageRepository(session, caller.project_id)

    async def list(self, params: MessageList) -> Rows[AgentMessage]:
        agent_id = await self._agent_id(params.agent_id, deleted=True)
        return await self._messages.search(params, agent_id)

    async def channels(self, params: ListParams) -> Rows[Any]:
        return await self._messages.channels(params)

    async def get(self, message_id: str) -> AgentMessage:
        return await self._messages.get(message_id)

    async def send(
        self, body: MessageSend, *, run_id: str | None = None, origin: str | None = None
    ) -> AgentMessage:
        """Send a message; what a step of a run has sent already is returned."""
        if origin and (known := await self._messages.find_origin(origin)):
            return known
        answered = await self._answered(body.reply_to)
        recipient_id = await self._agent_id(body.recipient_agent_id)
        channel = body.channel
        if recipient_id is None and channel is None and answered is not None:
            channel = answered.channel
            recipient_id = await self._agent_id(answered.sender_agent_id)
        if recipient_id is None and channel is None:
            raise MessageUnaddressed(
                "Name the agent that the message is for, or a channel to post it in.",
                errors=[FieldError("recipient_agent_id", "is needed where there is no channel")],
            )
        sender_id, sender_name = None, self._caller.name
        if body.sender_agent_id is not None:
            sender = await find_agent(self._session, self._caller.project_id, body.sender_agent_id)
            sender_id, sender_name = sender.id, sender.name
        message = await self._messages.add(
            sender_agent_id=sender_id,
            sender_name=sender_name,
            sent_by_id=self._caller.id,
            recipient_agent_id=recipient_id,
            channel=channel,
            subject=body.subject,
            body=body.body,
            reply_to=answered.id if answered else None,
            run_id=run_id,
            origin=origin,
        )
        fact = MessageNew(
            **_about(message),
            message_subject=message.subject,
            reply_to=message.reply_to,
            run_id=run_id,
        )
        events.record(self._session, self._caller, fact)
        return message

    async def mark_read(self, message_id: str) -> AgentMessage:
        """Mark a message as read; one that is stays as it is."""
        message = await self._messages.held(message_id)
        if message.read_at is None:
            await self._messages.update(message, read_at=clock.now())
            fact = MessageRead(**_about(message), reader_agent_id=None)
            events.record(self._session, self._caller, fact)
        return message

    async def delete(self, message_id: str) -> None:
        message = await self._messages.held(message_id)
        await self._messages.delete(message)
        events.record(self._session, self._caller, MessageDeleted(**_about(message)))

    async def read_as(
        self, agent_id: str, channel: str | None, *, unread: bool, limit: int, origin: str | None
    ) -> Sequence[AgentMessage]:
        """Return what an agent is to read, which counts as read then.

        A step of a run that reads again after the process died gets the same messages.
        """
        await hold_agent(self._session, agent_id)
        found = await self._messages.for_agent(
            agent_id, channel, unread=unread, origin=origin, limit=limit
        )
        moment = clock.now()
        for message in found:
            if await self._messages.note_reading(message, agent_id, origin, moment):
                fact = MessageRead(**_about(message), reader_agent_id=agent_id)
                events.record(self._session, self._caller, fact)
        return found

    async def _agent_id(self, reference: str | None, *, deleted: bool = False) -> str | None:
        if reference is None:
            return None
        project_id = self._caller.project_id
        return (await find_agent(self._session, project_id, reference, deleted=deleted)).id

    async def _answered(self, message_id: str | None) -> AgentMessage | None:
        if message_id is None:
            return None
        found = await self._messages.find(message_id)
        if found is None:
            text = "names no message of this project"
            raise ReplyUnknown(f"reply_to {text}.", errors=[FieldError("reply_to", text)])
        return found


def _about(message: AgentMessage) -> dict[str, Any]:
    return {
        "message_id": message.id,
        "sender_agent_id": message.sender_agent_id,
        "recipient_agent_id": message.recipient_agent_id,
        "channel": message.channel,
    }
