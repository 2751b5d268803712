"""What a task and a crew are: the definitions that plans are compiled from."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from muster.domains.catalogue.agents import AgentSpec

Process = Literal["sequential", "hierarchical"]

Text = Annotated[str, Field(max_length=50_000)]
Reference = Annotated[str, Field(min_length=1, max_length=255)]
Expression = Annotated[str, Field(max_length=5_000)]
Key = Annotated[str, Field(min_length=1, max_length=255)]


def _empty_is_none(value: Any) -> Any:
    return None if value in ("", {}, []) else value


class Guardian(BaseModel):
    """A guardrail that a model judges: what the output must be, in words."""

    model_config = ConfigDict(extra="ignore")

    description: Annotated[str, Field(min_length=1, max_length=5_000)]
    llm_model: Annotated[str | None, Field(max_length=255)] = None


class TaskSpec(BaseModel):
    """A piece of work: what is to be done, by whom, from what, and what must come of it.

    `context` names the tasks whose outputs it is given: keys within its crew, or ids.
    """

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    key: Annotated[Key | None, Field(description="Name within its crew; `context` uses it.")] = None
    name: Annotated[
        str | None,
        Field(max_length=255, validation_alias=AliasChoices("name", "title")),
    ] = None
    description: Annotated[Text, Field(description="What is to be done; `{placeholders}`.")] = ""
    instructions: Annotated[Text | None, Field(description="How it is to be done.")] = None
    expected_output: Annotated[Text | None, Field(description="What must come of it.")] = None
    agent: Annotated[
        Reference | None,
        BeforeValidator(_empty_is_none),
        Field(
            description="Who does it: id, key or name of an agent.",
            validation_alias=AliasChoices("agent", "agent_id"),
        ),
    ] = None
    tools: Annotated[
        list[Reference],
        Field(
            max_length=128,
            description="Tools besides those of the agent.",
            validation_alias=AliasChoices("tools", "required_tools"),
        ),
    ] = []
    tool_configs: dict[str, dict[str, Any]] = {}
    context: Annotated[list[Reference], Field(max_length=128)] = []
    async_execution: Annotated[
        bool,
        Field(
            description="Done at the same time as the tasks with this mark that come right before "
            "and after it, where they are not its context; the next task without it waits for all."
        ),
    ] = False
    output_schema: Annotated[
        dict[str, Any] | None,
        BeforeValidator(_empty_is_none),
        Field(
            description="JSON Schema that the output must fit.",
            validation_alias=AliasChoices("output_schema", "output_json", "output_pydantic"),
        ),
    ] = None
    output_file: Annotated[
        str | None, Field(max_length=200, description="Workspace file that gets the output.")
    ] = None
    markdown: Annotated[bool, Field(description="Ask for Markdown.")] = False
    guardrail: Annotated[
        Expression | None,
        BeforeValidator(_empty_is_none),
        Field(description="Condition on `output` that must hold."),
    ] = None
    llm_guardrail: Annotated[Guardian | None, BeforeValidator(_empty_is_none)] = None
    guardrail_max_retries: Annotated[int, Field(ge=0, le=10)] = 2
    human_input: Annotated[
        bool, Field(description="A person looks at the output before it counts.")
    ] = False
    retry_on_fail: Annotated[int, Field(ge=0, le=10, description="Attempts after a failure.")] = 0
    timeout_s: Annotated[
        float | None,
        Field(gt=0, le=604_800, validation_alias=AliasChoices("timeout_s", "timeout")),
    ] = None
    condition: Annotated[
        Expression | None,
        BeforeValidator(_empty_is_none),
        Field(description="Skipped where this does not hold."),
    ] = None


class CrewMember(BaseModel):
    """An agent of a crew: one of the catalogue, or one that is defined in place."""

    key: Key
    reference: Annotated[
        Reference | None, Field(description="Id, key or name of a stored agent.")
    ] = None
    definition: Annotated[AgentSpec | None, Field(description="An agent defined in place.")] = None


class CrewSpec(BaseModel):
    """Agents, tasks, and the way they work together."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, Field(min_length=1, max_length=255)] = "Crew"
    description: Text | None = None
    process: Process = "sequential"
    agents: Annotated[list[CrewMember], Field(max_length=100)] = []
    tasks: Annotated[list[TaskSpec], Field(max_length=500)] = []
    model: Annotated[
        str | None, Field(max_length=255, description="For agents that name no model.")
    ] = None
    manager_llm: Annotated[str | None, Field(max_length=255)] = None
    manager_agent: Annotated[
        Reference | None, Field(description="The manager of a hierarchical crew.")
    ] = None
    max_rpm: Annotated[int | None, Field(ge=1, le=100_000)] = None
    memory: Annotated[bool, Field(description="Its agents use what they remember.")] = True
    inputs: Annotated[dict[str, Any], Field(description="Defaults of the placeholders.")] = {}
