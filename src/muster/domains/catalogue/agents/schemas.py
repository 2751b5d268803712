"""Request and response bodies of agents."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from muster.domains.catalogue.agents.readiness import ConfigurationStatus
from muster.domains.catalogue.agents.spec import AgentSpec, Environment
from muster.kernel.paging import ListParams
from muster.kernel.schemas import Out, UtcTime

_SHOWN_ONLY = {
    "id",
    "agent_id",
    "status",
    "is_started",
    "active",
    "version",
    "account_id",
    "registration_status",
    "configuration_status",
    "created_at",
    "updated_at",
    "group_id",
    "project_id",
}


class AgentCreate(AgentSpec):
    """A new agent. Fields that answers only show (id, status, version, ...) are passed over, so
    that what was read can be sent back.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True, str_strip_whitespace=True)

    store_metadata: Annotated[
        bool | None,
        Field(exclude=True, description="False: what `metadata` says is not kept."),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _drop_shown(cls, data: Any) -> Any:
        return without_shown(data)

    @model_validator(mode="after")
    def _forget_metadata(self) -> Self:
        if self.store_metadata is False:
            self.metadata = {}
        return self


class AgentReplace(AgentCreate):
    """The whole definition; what is left out gets its default."""


class AgentPatch(BaseModel):
    """Any of the fields of an agent; those that are left out keep their values.

    Null clears a field, or gives it its default.
    """

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={"examples": [{"goal": "Answer with citations.", "max_iter": 10}]},
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_shown(cls, data: Any) -> Any:
        return without_shown(data)

    def changes(self) -> dict[str, Any]:
        """Return the given fields, as they were spelled."""
        return dict(self.model_extra or {})


def without_shown(data: Any) -> Any:
    """Drop the fields that answers show and requests cannot set."""
    if not isinstance(data, dict):
        return data
    values: dict[str, Any] = data  # pyright: ignore[reportUnknownVariableType]
    return {name: value for name, value in values.items() if name not in _SHOWN_ONLY}


class AgentOut(Out):
    """An agent, under every documented spelling of its fields."""

    model_config = ConfigDict(extra="allow")

    id: str
    agent_id: str
    key: str
    agent_key: str
    name: str
    description: str | None
    role: str | None
    goal: str | None
    backstory: str | None
    instructions: str | None
    system_prompt: str | None
    llm: str | None
    llm_provider: str | None
    llm_model: str | None
    tools: list[str]
    enabled_tools: list[str]
    status: Annotated[str, Field(description="offline, idle, running or error.")]
    is_started: Annotated[bool, Field(description="Whether it takes tasks from its queue.")]
    account_id: Annotated[
        str | None, Field(description="The user by whose key it registered; null for others.")
    ]
    active: Annotated[bool, Field(description="False when deleted.")]
    version: int
    configuration_status: ConfigurationStatus | None
    group_id: str
    created_at: UtcTime
    updated_at: UtcTime


class RegisteredAgent(AgentOut):
    """An agent, and what its registration did."""

    registration_status: Annotated[
        Literal["created", "updated"], Field(description="updated: it was known already.")
    ]
    incidents: Annotated[
        list[dict[str, Any]],
        Field(
            default_factory=list[dict[str, Any]],
            description="Policies that the profile of an agent that registers violates.",
        ),
    ]


class AgentList(ListParams):
    """Filters of the list of agents."""

    status_filter: Annotated[
        Literal["offline", "idle", "running", "error"] | None, Field(description="Status.")
    ] = None
    role: Annotated[str | None, Field(max_length=200, description="Role contains.")] = None
    environment: Annotated[Environment | None, Field(description="Only of this environment.")] = (
        None
    )
    include_inactive: Annotated[bool, Field(description="Deleted ones too.")] = False
    search: Annotated[
        str | None, Field(max_length=200, description="Name, key or role contains.")
    ] = None


class AgentVersionOut(Out):
    """One state of an agent's definition."""

    agent_id: str
    version: int
    note: str | None
    created_by_id: str
    created_by_name: str
    created_at: UtcTime
    spec: dict[str, Any]


class FieldChange(BaseModel):
    """One field that differs."""

    field: str
    before: Any
    after: Any


class AgentDiff(BaseModel):
    """What differs between two versions."""

    agent_id: str
    from_version: int
    to_version: int
    changes: list[FieldChange]


class DiffParams(BaseModel):
    """Which versions to compare."""

    from_version: Annotated[int, Field(ge=1, le=2**31 - 1, description="The earlier one.")]
    to_version: Annotated[int, Field(ge=1, le=2**31 - 1, description="The later one.")]


class AgentImport(BaseModel):
    """An agent file."""

    model_config = ConfigDict(extra="forbid")

    yaml: Annotated[
        str,
        Field(
            min_length=1,
            max_length=500_000,
            description="The agent as YAML.",
            examples=["name: Document analyst\nllm: builtin/extractive\n"],
        ),
    ]
    overwrite: Annotated[
        bool, Field(description="Change the agent with this key, if there is one.")
    ] = False
