"""Request and response bodies of agent projects."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from muster.domains.work.agent_projects.models import AgentProject
from muster.kernel.paging import Page
from muster.kernel.schemas import In, Out, UtcTime

Reference = Annotated[str, Field(min_length=1, max_length=255)]
Text = Annotated[str, Field(max_length=20_000)]
_ACTIONS: dict[str, Any] = {
    "version": 2,
    "actions": [
        {
            "type": "get_user_input",
            "id": "ask",
            "prompt": "What is it about?",
            "variables": [{"name": "topic", "label": "Topic"}],
        },
        {"type": "send_output", "id": "tell", "prompt": "Noted:", "variable_refs": ["topic"]},
    ],
}


_KEPT = "Kept and given back; runs do not need it."


class AgentProjectSpec(In):
    """What is built: instructions, tools, and the actions that are followed."""

    name: Annotated[str, Field(min_length=1, max_length=255, examples=["Intake"])]
    description: Text | None = None
    instructions: Text | None = None
    runtime_prompts: Annotated[dict[str, Any], Field(description=_KEPT)] = Field(
        default_factory=dict[str, Any]
    )
    default_model_ref: Annotated[str | None, Field(max_length=255)] = None
    tool_refs: Annotated[list[Reference], Field(max_length=128)] = Field(default_factory=list[str])
    mcp_server_refs: Annotated[list[Reference], Field(max_length=128)] = Field(
        default_factory=list[str]
    )
    agent_domain: Annotated[str | None, Field(max_length=100, description=_KEPT)] = None
    agent_type: Annotated[str, Field(max_length=40, description="Only workflow.")] = "workflow"
    channel_type: Annotated[str, Field(max_length=40, description=_KEPT)] = "vanessa_webapp"
    interface_type: Annotated[str, Field(max_length=40, description=_KEPT)] = "chat"
    workflow_definition: Annotated[
        dict[str, Any],
        Field(description="version 2 with actions; see the notation actions.", examples=[_ACTIONS]),
    ] = Field(default_factory=dict[str, Any])
    workflow_execution_mode: Annotated[
        Literal["one_time", "loop"],
        Field(description="Kept for chats; a run goes through the actions once."),
    ] = "one_time"
    runtime_constraints: dict[str, bool] = Field(default_factory=dict[str, bool])
    tool_policy: Annotated[
        Any,
        Field(
            description="`allow` and `deny`: names of tools, with all their functions, or of "
            "functions. Without `allow` all that are named elsewhere may be had; `deny` wins.",
            examples=[{"allow": ["search__find", "calculator"], "deny": ["write_file"]}],
            json_schema_extra={"type": "object"},
        ),
    ] = Field(default_factory=dict[str, Any])


SPEC_FIELDS = frozenset(AgentProjectSpec.model_fields)
_SHOWN_ONLY = {
    "owner_user_id",
    "published_agent_id",
    "workflow_id",
    "current_version",
    "created_at",
    "updated_at",
    "published_at",
}


class _Flat(BaseModel):
    """Takes the fields of the specification flat or under `spec`."""

    @model_validator(mode="before")
    @classmethod
    def _flatten(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        values: dict[str, Any] = data  # pyright: ignore[reportUnknownVariableType]
        given = {k: v for k, v in values.items() if k not in _SHOWN_ONLY and k != "spec"}
        return {**values["spec"], **given} if isinstance(values.get("spec"), dict) else given


class AgentProjectCreate(_Flat, AgentProjectSpec):
    """A new agent project."""

    id: Annotated[
        str | None,
        Field(max_length=200, description="Chosen by the client; made where it is absent."),
    ] = None
    visibility: Annotated[str, Field(max_length=40, description="private, unlisted, public.")] = (
        "private"
    )


class AgentProjectChange(_Flat):
    """Any of the fields of an agent project; what is absent stays."""

    model_config = {"extra": "allow", "json_schema_extra": {"examples": [{"name": "Intake"}]}}

    def changes(self) -> dict[str, Any]:
        """Return the given fields."""
        return {name: v for name, v in (self.model_extra or {}).items() if name != "id"}


class AgentProjectOut(Out):
    """An agent project."""

    id: str
    owner_user_id: str
    published_agent_id: str | None
    workflow_id: Annotated[str | None, Field(description="The workflow that was published.")]
    current_version: int
    visibility: Literal["private", "unlisted", "public"]
    spec: dict[str, Any]
    created_at: UtcTime
    updated_at: UtcTime
    published_at: UtcTime | None

    @classmethod
    def of(cls, row: AgentProject) -> Self:
        """Return a stored agent project as it is shown."""
        return cls.model_validate(
            {
                "id": row.key,
                "owner_user_id": row.owner_id,
                "published_agent_id": agent_key(row.key) if row.agent_id else None,
                "workflow_id": row.workflow_id,
                "current_version": row.version,
                "visibility": row.visibility,
                "spec": row.spec,
                "created_at": row.created_at,
                "updated_at": row.updated_at,
                "published_at": row.published_at,
            }
        )


class AgentProjectEnvelope(Out):
    """One agent project."""

    agent_project: AgentProjectOut


class AgentProjectPage(Page[AgentProjectOut]):
    """One page of agent projects; `agent_projects` is the same as `items`."""

    agent_projects: list[AgentProjectOut]


class RuntimeRequirements(Out):
    """What running it needs."""

    internet_required: bool
    sandbox_required: bool


class AgentProjectValidation(Out):
    """Whether an agent project can be published and run."""

    valid: bool
    errors: list[dict[str, Any]]
    warnings: list[dict[str, Any]]
    resolved_tools: list[str]
    resolved_mcp_servers: list[str]
    derived_runtime_requirements: RuntimeRequirements


class ValidatedAgentProject(AgentProjectEnvelope):
    """An agent project and what is wrong with it."""

    validation: AgentProjectValidation


class PublishResult(Out):
    """What was published."""

    agent_id: Annotated[str, Field(description="Key of the agent.")]
    catalog_agent: dict[str, Any]
    workflow_id: str
    published_at: UtcTime


class PublishedAgentProject(AgentProjectEnvelope):
    """An agent project and what was published of it."""

    publish_result: PublishResult


def agent_key(key: str) -> str:
    """Return the key of the agent that an agent project is published as."""
    return f"agent.project.{key}"
