"""Request and response bodies of actions."""

from typing import Annotated, Any, Literal

from pydantic import MISSING, Field

from muster.domains.control.incidents import Severity
from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, Out, RecordOut

Kind = Literal["webhook", "email", "chat", "pause_agent", "open_approval"]
EventType = Literal[
    "incident.opened",
    "incident.repeated",
    "incident.acknowledged",
    "incident.resolved",
    "incident.ignored",
    "incident.reactivated",
]
Name = Annotated[str, Field(min_length=1, max_length=255, examples=["Tell the on-call team"])]
Description = Annotated[str, Field(max_length=4000)]
Ids = Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(max_length=200)]
Mail = Annotated[
    str,
    Field(
        max_length=254,
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$",
    ),
]


class ActionOn(In):
    """When an action acts: every condition that is given must hold. An empty list is no condition.

    Conditions are compared with the incident as it is at that moment.
    """

    events: Annotated[
        list[EventType], Field(min_length=1, max_length=6, description="What happened.")
    ] = ["incident.opened"]  # noqa: RUF012 - Pydantic copies it
    severities: Annotated[list[Severity], Field(max_length=4, description="Any of these.")] = []  # noqa: RUF012
    min_severity: Annotated[Severity | None, Field(description="This or above.")] = None
    policy_ids: Annotated[Ids, Field(description="Any of these policies.")] = []  # noqa: RUF012
    agent_ids: Annotated[Ids, Field(description="Any of these agents.")] = []  # noqa: RUF012
    environments: Annotated[Ids, Field(description="Agents of any of these environments.")] = []  # noqa: RUF012


class ActionConfig(In):
    """How an action acts; which fields it takes depends on its kind.

    `webhook`: `url`, `headers`, `secret`. `email`: `to`, `subject`. `chat`: `url`. `open_approval`:
    `pause`, `instructions`. `pause_agent` takes none.
    """

    url: Annotated[
        str | MISSING,
        Field(
            description="Of a webhook, `https://…`; of a chat service as Apprise writes it, such "
            "as `slack://…`, `discord://…`, `mmosts://…`. Kept in the vault, shown masked.",
            examples=["https://hooks.example.com/muster"],
        ),
    ] = MISSING
    headers: Annotated[
        dict[str, str] | MISSING,
        Field(description="Sent with a webhook. Values are kept in the vault and never shown."),
    ] = MISSING
    secret: Annotated[
        str | MISSING,
        Field(description="`whsec_…` to sign webhooks with; absent: one is made and shown once."),
    ] = MISSING
    to: Annotated[
        Annotated[list[Mail], Field(min_length=1, max_length=20)] | MISSING,
        Field(description="Who gets the e-mail.", examples=[["security@example.com"]]),
    ] = MISSING
    subject: Annotated[
        Annotated[str, Field(max_length=200)] | MISSING,
        Field(description="Of the e-mail; absent: what happened, with the incident's title."),
    ] = MISSING
    pause: Annotated[
        bool | MISSING, Field(description="Deactivate the agent until somebody has decided.")
    ] = MISSING
    instructions: Annotated[
        Annotated[str, Field(max_length=4000)] | MISSING,
        Field(description="For whoever decides about the agent."),
    ] = MISSING

    def given(self) -> dict[str, Any]:
        """Return the fields that were sent."""
        return {
            name: value
            for name in type(self).model_fields
            if (value := getattr(self, name)) is not MISSING
        }


class ActionCreate(In):
    """A response to incidents."""

    name: Name
    description: Description = ""
    enabled: bool = True
    kind: Annotated[Kind, Field(description="What is done.")]
    on: Annotated[ActionOn, Field(description="When; absent: whenever an incident is opened.")] = (
        ActionOn()
    )
    config: ActionConfig = ActionConfig()


class ActionUpdate(In):
    """What is to change; what is left away stays. The kind of an action cannot be changed."""

    name: Name | MISSING = MISSING
    description: Description | MISSING = MISSING
    enabled: bool | MISSING = MISSING
    kind: Annotated[
        Kind | MISSING, Field(description="May be sent along as it is; another one is refused.")
    ] = MISSING
    on: Annotated[ActionOn | MISSING, Field(description="Replaces all conditions.")] = MISSING
    config: Annotated[
        ActionConfig | MISSING, Field(description="Replaces the fields that are given.")
    ] = MISSING


class ActionList(ListParams):
    """Filters of the list of actions."""

    kind: Annotated[Kind | None, Field(description="Only of this kind.")] = None
    enabled: Annotated[bool | None, Field(description="Only those that act, or do not.")] = None
    search: Annotated[
        str | None, Field(max_length=255, description="Text in the name or the description.")
    ] = None


class ShownOn(Out):
    """When an action acts."""

    events: list[EventType]
    severities: list[Severity]
    min_severity: Severity | None
    policy_ids: list[str]
    agent_ids: list[str]
    environments: list[str]


class ActionOut(RecordOut):
    """A response to incidents. What is secret in `config` is masked."""

    name: str
    description: str
    enabled: bool
    kind: Kind
    on: Annotated[ShownOn, Field(validation_alias="criteria")]
    config: dict[str, Any]


class ActionWithSecret(ActionOut):
    """An action, and once its signing secret."""

    secret: Annotated[
        str | None,
        Field(description="What webhooks are signed with. Keep it: it is not shown again."),
    ] = None


class TestOutcome(Out):
    """What became of a sample message."""

    delivered: bool
    message_id: str
    status_code: Annotated[int | None, Field(description="That the receiver answered.")]
    duration_ms: int
    error: str | None
