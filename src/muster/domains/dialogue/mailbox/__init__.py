"""Mailbox: messages from agent to agent, and channels that all agents of a project read."""

from muster.domains.dialogue.mailbox.acts import mailbox_acts
from muster.domains.dialogue.mailbox.models import AgentMessage

__all__ = ["AgentMessage", "mailbox_acts"]
