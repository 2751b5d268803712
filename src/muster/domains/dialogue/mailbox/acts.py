"""What the tools do by which agents send and read messages."""

from typing import Any

from pydantic import ValidationError

from muster.adapters.tools.base import ToolInputInvalid, ToolOutcome
from muster.domains.catalogue.agents import find_agent
from muster.domains.catalogue.tools import Call, ToolContext
from muster.domains.dialogue.mailbox.models import AgentMessage
from muster.domains.dialogue.mailbox.schemas import MessageSend, without_mark
from muster.domains.dialogue.mailbox.service import MailboxService
from muster.kernel import clock
from muster.kernel.db import Database
from muster.platform.access import Caller


def mailbox_acts(database: Database) -> dict[str, Call]:
    """Return the tools of this slice, by name."""

    async def send(arguments: dict[str, Any], context: ToolContext) -> ToolOutcome:
        agent_id = context.require_agent()
        try:
            body = MessageSend(
                sender_agent_id=agent_id,
                recipient_agent_id=arguments.get("to"),
                channel=arguments.get("channel"),
                subject=arguments["subject"],
                body=arguments["body"],
                reply_to=arguments.get("reply_to"),
            )
        except ValidationError as error:
            names = ", ".join(sorted({str(fault["loc"][0]) for fault in error.errors()}))
            raise ToolInputInvalid(
                f"These are not valid: {names}. A channel is one word of letters, digits, '.', '_' "
                "and '-'; the body must say something."
            ) from None
        async with database.write() as session:
            agent = await find_agent(session, context.project_id, agent_id)
            mailbox = MailboxService(session, Caller.system(context.project_id, agent.name))
            message = await mailbox.send(
                body, run_id=context.run_id, origin=context.idempotency_key
            )
        return ToolOutcome(
            content={"message_id": message.id},
            properties={"target": {"to": message.recipient_agent_id, "channel": message.channel}},
        )

    async def read(arguments: dict[str, Any], context: ToolContext) -> ToolOutcome:
        agent_id = context.require_agent()
        channel: str = without_mark(arguments.get("channel") or "").lower()
        async with database.write() as session:
            agent = await find_agent(session, context.project_id, agent_id)
            mailbox = MailboxService(session, Caller.system(context.project_id, agent.name))
            found = await mailbox.read_as(
                agent_id,
                channel or None,
                unread=arguments["unread_only"],
                limit=arguments["limit"],
                origin=context.idempotency_key,
            )
        return ToolOutcome(content={"messages": [_shown(message) for message in found]})

    return {"send_message": send, "read_messages": read}


def _shown(message: AgentMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "from": message.sender_name,
        "from_agent_id": message.sender_agent_id,
        "channel": message.channel,
        "subject": message.subject,
        "body": message.body,
        "reply_to": message.reply_to,
        "sent_at": clock.iso(message.created_at),
    }
