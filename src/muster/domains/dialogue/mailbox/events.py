"""Facts about messages. What they say stays in the message: an event may travel far."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class _MessageFact(Event):
    subject: ClassVar[str] = "message"
    message_id: str
    sender_agent_id: str | None
    recipient_agent_id: str | None
    channel: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageNew(_MessageFact):
    type: ClassVar[str] = "message.new"
    message_subject: str
    reply_to: str | None
    run_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRead(_MessageFact):
    """`reader_agent_id` is null where somebody marked it as read."""

    type: ClassVar[str] = "message.read"
    reader_agent_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDeleted(_MessageFact):
    type: ClassVar[str] = "message.deleted"
