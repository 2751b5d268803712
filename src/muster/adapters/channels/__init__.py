"""Channels: ways out to people and other systems, by webhook, e-mail and chat."""

from muster.adapters.channels.answers import Sent
from muster.adapters.channels.chat import ChatSender, ChatTarget
from muster.adapters.channels.errors import ChannelError, SendFailed, SendRefused
from muster.adapters.channels.mail import Letter, MailSender
from muster.adapters.channels.webhook import (
    Signing,
    WebhookSender,
    WebhookTarget,
    new_signing_secret,
    sign,
)

__all__ = [
    "ChannelError",
    "ChatSender",
    "ChatTarget",
    "Letter",
    "MailSender",
    "SendFailed",
    "SendRefused",
    "Sent",
    "Signing",
    "WebhookSender",
    "WebhookTarget",
    "new_signing_secret",
    "sign",
]
