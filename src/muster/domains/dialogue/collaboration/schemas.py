"""Request and response bodies of collaboration sessions."""

from typing import Annotated, Any, Literal

from pydantic import MISSING, AliasChoices, BaseModel, ConfigDict, Field

from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, Out, RecordOut, UtcTime

MAX_PARTICIPANTS = 50
MAX_MESSAGES = 10_000
MAX_KEYS = 200
LONGEST_KEY = 200
CONTEXT_BYTES = 256 * 1024
LONGEST_MESSAGE = 20_000

Status = Literal["active", "closed"]
Reference = Annotated[
    str, Field(min_length=1, max_length=255, description="Id, key or name of an agent.")
]
Name = Annotated[str, Field(min_length=1, max_length=255, examples=["Launch of the new site"])]
Description = Annotated[str, Field(max_length=10_000, description="What it is about.")]


class CollaborationCreate(In):
    """A new session."""

    name: Name
    description: Description = ""
    participants: Annotated[
        list[Reference],
        Field(max_length=MAX_PARTICIPANTS, description="Ids, keys or names of agents."),
    ] = []  # noqa: RUF012 - Pydantic copies it
    initial_context: Annotated[
        dict[str, Any],
        Field(
            description="What all who take part share from the beginning.",
            validation_alias=AliasChoices("initial_context", "context", "shared_context"),
            examples=[{"deadline": "2027-01-31"}],
        ),
    ] = {}  # noqa: RUF012 - Pydantic copies it


class CollaborationPatch(In):
    """Changes of a session; what is absent stays."""

    name: Name | MISSING = MISSING
    description: Description | MISSING = MISSING


class ContextChange(BaseModel):
    """Values to set in the shared context, by key. Null removes a key; the others stay."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={"examples": [{"decision": "blue", "open_question": None}]},
    )

    def changes(self) -> dict[str, Any]:
        """Return the given values."""
        return dict(self.model_extra or {})


class CollaborationSay(In):
    """Something to say in a session."""

    agent_id: Annotated[
        str | None,
        Field(
            max_length=255,
            description="Id, key or name of the agent that says it; null: yourself.",
            validation_alias=AliasChoices("agent_id", "agent"),
        ),
    ] = None
    message: Annotated[
        str,
        Field(
            min_length=1,
            max_length=LONGEST_MESSAGE,
            examples=["Who takes the pricing page?"],
            validation_alias=AliasChoices("message", "content", "body"),
        ),
    ]
    message_type: Annotated[
        str,
        Field(
            max_length=40,
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
            description="Of which kind it is, such as question, answer or decision.",
        ),
    ] = "message"


class ParticipantAdd(In):
    """An agent that is to take part."""

    agent_id: Annotated[
        str,
        Field(
            min_length=1,
            max_length=255,
            description="Id, key or name of the agent.",
            validation_alias=AliasChoices("agent_id", "agent"),
            examples=["writer"],
        ),
    ]


class CollaborationList(ListParams):
    """Filters of the list of sessions."""

    status: Annotated[Status | None, Field(description="Only active or closed ones.")] = None
    agent_id: Annotated[
        str | None, Field(max_length=255, description="In which this agent takes part.")
    ] = None
    search: Annotated[
        str | None, Field(max_length=200, description="Name or description contains this.")
    ] = None


class LatestMessages(BaseModel):
    """How much of what was said to show."""

    messages_limit: Annotated[
        int, Field(ge=1, le=200, description="How many of the latest messages to show.")
    ] = 50


class ParticipantOut(Out):
    """An agent that takes part."""

    agent_id: str
    key: str
    name: str
    joined_at: UtcTime


class CollaborationBrief(RecordOut):
    """A session, without what is said and shared in it."""

    name: str
    description: str
    status: Status
    participants: list[ParticipantOut]
    message_count: int
    created_by_id: str
    created_by_name: str
    closed_at: UtcTime | None
    closed_by_name: str | None


class CollaborationOut(CollaborationBrief):
    """A session and its shared context."""

    context: dict[str, Any]


class CollaborationMessageOut(Out):
    """What was said in a session."""

    id: str
    seq: Annotated[int, Field(description="Number in the session, from 1.")]
    agent_id: str | None
    author_id: Annotated[str, Field(description="The user who said it, or `system` for a run.")]
    author_name: str
    message: str
    message_type: str
    run_id: Annotated[str | None, Field(description="The run in which an agent said it.")]
    created_at: UtcTime


class CollaborationDetail(CollaborationOut):
    """A session, its shared context and the latest messages, oldest first."""

    messages: list[CollaborationMessageOut]
