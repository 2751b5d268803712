"""What the tools do by which agents take part in collaboration sessions."""

from typing import Any

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from muster.adapters.tools.base import ToolInputInvalid, ToolOutcome
from muster.domains.catalogue.agents import find_agent
from muster.domains.catalogue.tools import Call, ToolContext
from muster.domains.dialogue.collaboration.errors import CollaborationNotFound
from muster.domains.dialogue.collaboration.models import Collaboration, CollaborationMessage
from muster.domains.dialogue.collaboration.repository import CollaborationRepository
from muster.domains.dialogue.collaboration.schemas import CollaborationSay
from muster.domains.dialogue.collaboration.service import CollaborationService
from muster.kernel import clock
from muster.kernel.db import Database
from muster.platform.access import Caller

_LISTED = 50


def collaboration_acts(database: Database) -> dict[str, Call]:
    """Return the tools of this slice, by name."""

    async def read(arguments: dict[str, Any], context: ToolContext) -> ToolOutcome:
        agent_id, reference = context.require_agent(), arguments.get("session")
        async with database.read() as session:
            sessions = CollaborationRepository(session, context.project_id)
            if reference is None:
                rows = await sessions.open_of(agent_id, _LISTED)
                listed = [
                    {"id": row.id, "name": row.name, "description": row.description} for row in rows
                ]
                return ToolOutcome(content={"sessions": listed})
            row = await _find(sessions, agent_id, reference)
            participants = await sessions.participants([row.id])
            messages = await sessions.latest(row, arguments["limit"])
        return ToolOutcome(
            content={
                "id": row.id,
                "name": row.name,
                "description": row.description,
                "status": row.status,
                "context": row.context,
                "participants": [{"key": p.key, "name": p.name} for p in participants[row.id]],
                "messages": [_shown(message) for message in messages],
            }
        )

    async def contribute(arguments: dict[str, Any], context: ToolContext) -> ToolOutcome:
        agent_id = context.require_agent()
        text, shared = arguments.get("message"), arguments.get("context")
        if not text and not shared:
            raise ToolInputInvalid("Give a message to say, or values of the context to set.")
        async with database.write() as session:
            sessions = CollaborationRepository(session, context.project_id)
            row = await _find(sessions, agent_id, arguments["session"])
            service = await _service(session, context, agent_id)
            seq = None
            if text:
                say = _say(agent_id, text, arguments["message_type"])
                origin = context.idempotency_key
                message = await service.say(row.id, say, run_id=context.run_id, origin=origin)
                seq = message.seq
            if shared:
                row = await service.share(row.id, shared)
        return ToolOutcome(content={"session": row.id, "message_number": seq})

    return {"read_collaboration": read, "contribute": contribute}


async def _find(sessions: CollaborationRepository, agent_id: str, reference: str) -> Collaboration:
    row = await sessions.find_for(agent_id, reference)
    if row is None:
        raise CollaborationNotFound(
            "You take part in no session with this id or name; use read_collaboration without a "
            "session to see yours."
        )
    return row


async def _service(
    session: AsyncSession, context: ToolContext, agent_id: str
) -> CollaborationService:
    agent = await find_agent(session, context.project_id, agent_id)
    return CollaborationService(session, Caller.system(context.project_id, agent.name))


def _say(agent_id: str, text: str, message_type: str) -> CollaborationSay:
    try:
        return CollaborationSay(agent_id=agent_id, message=text, message_type=message_type)
    except ValidationError:
        raise ToolInputInvalid("The message is empty; say something.") from None


def _shown(message: CollaborationMessage) -> dict[str, Any]:
    return {
        "number": message.seq,
        "from": message.author_name,
        "type": message.message_type,
        "message": message.message,
        "said_at": clock.iso(message.created_at),
    }
