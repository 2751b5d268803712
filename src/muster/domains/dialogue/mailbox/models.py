"""Tables of messages between agents."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel import clock
from muster.kernel.db import Base, ProjectRecord, UTCDateTime


class AgentMessage(ProjectRecord):
    """A message to an agent, or in a channel, or both. Without a sending agent a person sent it.

    `read_at` is when the agent that it is for, or somebody in its name, has read it. `origin` is
    the step of a run that sent it: the same step, tried again, sends no second one. The message
    that one answers may be gone, so no foreign key leads there.
    """

    __tablename__ = "agent_messages"
    __table_args__ = (
        UniqueConstraint("project_id", "origin"),
        Index("ix_agent_messages_project_id_created_at", "project_id", "created_at"),
        Index(
            "ix_agent_messages_project_id_channel_created_at", "project_id", "channel", "created_at"
        ),
        Index("ix_agent_messages_recipient_agent_id_read_at", "recipient_agent_id", "read_at"),
        Index("ix_agent_messages_sender_agent_id", "sender_agent_id"),
    )

    sender_agent_id: Mapped[str | None] = mapped_column(
        String(36), ForeignKey("agents.id", ondelete="CASCADE")
    )
    sender_name: Mapped[str] = mapped_column(String(255))
    sent_by_id: Mapped[str] = mapped_column(String(64))
    recipient_agent_id: Mapped[str | None] = mapped_column(
        String(36), ForeignKey("agents.id", ondelete="CASCADE")
    )
    channel: Mapped[str | None] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(255))
    body: Mapped[str] = mapped_column(Text)
    reply_to: Mapped[str | None] = mapped_column(String(36))
    run_id: Mapped[str | None] = mapped_column(String(36))
    origin: Mapped[str | None] = mapped_column(String(160))
    read_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    @property
    def is_read(self) -> bool:
        return self.read_at is not None


class MessageReading(Base):
    """That an agent has read a message, in its own mailbox or in a channel, and in which step."""

    __tablename__ = "message_readings"

    message_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("agent_messages.id", ondelete="CASCADE"), primary_key=True
    )
    agent_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True
    )
    origin: Mapped[str | None] = mapped_column(String(160))
    read_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)
