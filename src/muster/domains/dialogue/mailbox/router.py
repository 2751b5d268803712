"""HTTP surface of messages between agents."""

from typing import Annotated

from fastapi import Depends, Query

from muster.domains.catalogue.agents import AgentAmbiguous, AgentNotFound
from muster.domains.dialogue.mailbox.errors import (
    MessageNotFound,
    MessageUnaddressed,
    ReplyUnknown,
)
from muster.domains.dialogue.mailbox.models import AgentMessage
from muster.domains.dialogue.mailbox.schemas import (
    ChannelOut,
    ChannelsOut,
    MessageList,
    MessageOut,
    MessageSend,
)
from muster.domains.dialogue.mailbox.service import MailboxService
from muster.kernel.http import Reading, Router, Writing, problems
from muster.kernel.paging import ListParams, Page, Rows
from muster.platform.access import Caller, Scope, requires

router = Router("/messages", tag="Messages")

CanRead = Annotated[Caller, requires(Scope.MESSAGES_READ)]
CanWrite = Annotated[Caller, requires(Scope.MESSAGES_WRITE)]


async def _reader(session: Reading, caller: CanRead) -> MailboxService:
    return MailboxService(session, caller)


async def _writer(caller: CanWrite, session: Writing) -> MailboxService:
    return MailboxService(session, caller)


Reader = Annotated[MailboxService, Depends(_reader)]
Writer = Annotated[MailboxService, Depends(_writer)]


@router.get("", response_model=Page[MessageOut], responses=problems(AgentNotFound, AgentAmbiguous))
async def list_messages(
    mailbox: Reader, params: Annotated[MessageList, Query()]
) -> Rows[AgentMessage]:
    """List the messages of the project, newest first."""
    return await mailbox.list(params)


@router.post(
    "/send",
    status_code=201,
    response_model=MessageOut,
    responses=problems(AgentNotFound, AgentAmbiguous, MessageUnaddressed, ReplyUnknown),
)
async def send_message(mailbox: Writer, body: MessageSend) -> AgentMessage:
    """Send a message to an agent, or post it in a channel, or both.

    An agent reads it with its tool `read_messages`, when it runs; nothing is started by a message.
    """
    return await mailbox.send(body)


@router.get("/channels")
async def list_channels(mailbox: Reader, params: Annotated[ListParams, Query()]) -> ChannelsOut:
    """List the channels and how much is in them, the one with the newest message first."""
    rows = await mailbox.channels(params)
    return ChannelsOut(
        channels=[ChannelOut.model_validate(row) for row in rows.items],
        total=rows.total or 0,
        limit=rows.limit,
        offset=rows.offset,
        has_more=rows.has_more,
    )


@router.get("/{message_id}", response_model=MessageOut, responses=problems(MessageNotFound))
async def get_message(mailbox: Reader, message_id: str) -> AgentMessage:
    """Get a message. Looking at it does not mark it as read."""
    return await mailbox.get(message_id)


@router.patch("/{message_id}/read", response_model=MessageOut, responses=problems(MessageNotFound))
async def read_message(mailbox: Writer, message_id: str) -> AgentMessage:
    """Mark a message as read: the agent that it was sent to does not get it as unread any more."""
    return await mailbox.mark_read(message_id)


@router.delete("/{message_id}", status_code=204, responses=problems(MessageNotFound))
async def delete_message(mailbox: Writer, message_id: str) -> None:
    """Delete a message. Answers to it stay."""
    await mailbox.delete(message_id)
