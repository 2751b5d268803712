"""Request and response bodies of messages."""

from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field

from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, Out, RecordOut, UtcTime

LONGEST_BODY = 20_000
_REFERENCE = 255


def without_mark(value: Any) -> Any:
    """Return the name of a channel without the `#` that people write before it."""
    return value.strip().removeprefix("#") if isinstance(value, str) else value


Channel = Annotated[
    str,
    BeforeValidator(without_mark),
    Field(
        max_length=64,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Name of a channel; it is there as soon as something is posted in it.",
        examples=["general"],
    ),
    AfterValidator(str.lower),
]


class MessageSend(In):
    """A message to an agent, or in a channel, or both."""

    sender_agent_id: Annotated[
        str | None,
        Field(
            max_length=_REFERENCE,
            description="Id, key or name of the agent in whose name it is sent; null: yourself.",
            validation_alias=AliasChoices("sender_agent_id", "sender", "from_agent_id"),
        ),
    ] = None
    recipient_agent_id: Annotated[
        str | None,
        Field(
            max_length=_REFERENCE,
            description="Id, key or name of the agent that it is for.",
            validation_alias=AliasChoices("recipient_agent_id", "recipient", "to_agent_id"),
        ),
    ] = None
    channel: Channel | None = None
    subject: Annotated[str, Field(max_length=255, examples=["Order 1042"])] = ""
    body: Annotated[
        str,
        Field(
            min_length=1,
            max_length=LONGEST_BODY,
            examples=["The customer has paid."],
            validation_alias=AliasChoices("body", "content", "message"),
        ),
    ]
    reply_to: Annotated[
        str | None,
        Field(
            max_length=36,
            description="Id of the message that this answers; it goes where that came from, "
            "unless another recipient or channel is named.",
        ),
    ] = None


class MessageList(ListParams):
    """Filters of the list of messages."""

    agent_id: Annotated[
        str | None,
        Field(
            max_length=_REFERENCE,
            description="Sent to or by this agent; with `unread` only those that were sent to it.",
        ),
    ] = None
    channel: Annotated[
        str | None,
        BeforeValidator(without_mark),
        Field(max_length=64, description="In this channel."),
    ] = None
    unread: Annotated[
        bool | None, Field(description="Only those that are, or are not, marked as read.")
    ] = None
    search: Annotated[
        str | None, Field(max_length=200, description="Subject or body contains this.")
    ] = None


class MessageOut(RecordOut):
    """A message."""

    sender_agent_id: str | None
    sender_name: Annotated[str, Field(description="The agent, or the person who sent it.")]
    sent_by_id: Annotated[str, Field(description="The user who sent it, or `system` for a run.")]
    recipient_agent_id: str | None
    channel: str | None
    subject: str
    body: str
    reply_to: str | None
    run_id: Annotated[str | None, Field(description="The run in which an agent sent it.")]
    is_read: bool
    read_at: UtcTime | None


class ChannelOut(Out):
    """A channel, and what is in it."""

    name: str
    messages: int
    unread: Annotated[int, Field(description="Those that nobody marked as read.")]
    last_message_at: UtcTime


class ChannelsOut(Out):
    """The channels of the project, the one with the newest message first."""

    channels: list[ChannelOut]
    total: int
    limit: int
    offset: int
    has_more: bool
