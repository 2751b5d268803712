"""Facts about messages. What they say stays in the message: an event may travel far."""

from typing import ClassVar

from muster.platform.events import Event


class _MessageFact(Event, frozen=True, kw_only=True):
    subject: ClassVar[str] = "message"
    message_id: str
    sender_agent_id: str | None
    recipient_agent_id: str | None
    channel: str | None


class MessageNew(_MessageFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "message.new"
    message_subject: str
    reply_to: str | None
    run_id: str | None


class MessageRead(_MessageFact, frozen=True, kw_only=True):
    """`reader_agent_id` is null where somebody marked it as read."""

    type: ClassVar[str] = "message.read"
    reader_agent_id: str | None


class MessageDeleted(_MessageFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "message.deleted"
