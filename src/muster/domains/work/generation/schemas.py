"""Request and response bodies of generation."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from muster.domains.work.plans import Process
from muster.kernel.schemas import In, JsonObject, Out

Reference = Annotated[str, Field(min_length=1, max_length=255)]


class ToolName(BaseModel):
    """A tool as lists of tools show it; one of the three is enough."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str | None, Field(max_length=255)] = None
    title: Annotated[str | None, Field(max_length=255)] = None
    id: Annotated[str | None, Field(max_length=255)] = None

    @property
    def reference(self) -> str:
        return self.name or self.title or self.id or ""


class Description(In):
    """What is wanted, in words."""

    description: Annotated[
        str,
        Field(
            min_length=1,
            max_length=20_000,
            pattern=r"\w",
            description="In words; may be called `prompt` or `text` as well.",
            validation_alias=AliasChoices("description", "prompt", "text"),
            examples=["A customer service agent that answers inquiries and escalates complex ones"],
        ),
    ]
    model: Annotated[
        Reference | None,
        Field(
            description="The model that writes it. Absent: the first enabled model of the project, "
            "else the first that a provider of the server lists, else builtin/extractive.",
            examples=["gpt-4"],
        ),
    ] = None
    tools: Annotated[
        list[Reference | ToolName] | None,
        Field(
            max_length=200,
            description="The only tools that it may name (`available_tools` as well). Absent: all "
            "of the project that can be used as they are.",
            validation_alias=AliasChoices("tools", "available_tools"),
        ),
    ] = None

    @property
    def wanted_tools(self) -> list[str] | None:
        """Return the names of the tools that may be named; None for all."""
        if self.tools is None:
            return None
        return [tool if isinstance(tool, str) else tool.reference for tool in self.tools]


class CrewDescription(Description):
    """What crew is wanted, in words."""

    save: Annotated[
        bool, Field(description="Store it as well; this needs the scope crews:write.")
    ] = False


class MemberIn(BaseModel):
    """The agent for whom a task is, as agents are shown; the rest is passed over."""

    model_config = ConfigDict(extra="ignore")

    id: Annotated[str | None, Field(max_length=255)] = None
    key: Annotated[str | None, Field(max_length=255)] = None
    name: Annotated[str | None, Field(max_length=255)] = None
    role: Annotated[str | None, Field(max_length=20_000)] = None
    goal: Annotated[str | None, Field(max_length=20_000)] = None
    backstory: Annotated[str | None, Field(max_length=20_000)] = None


class TaskDescription(Description):
    """What task is wanted, in words, and for whom."""

    agent: Annotated[
        Reference | MemberIn | None,
        Field(description="Who will do it: a reference, or the agent as it is shown."),
    ] = None
    markdown: Annotated[bool, Field(description="The output shall be Markdown.")] = False


class Tokens(Out):
    """Tokens that the model took, over all its answers."""

    input_tokens: int
    output_tokens: int


class Generated(Out):
    """How something was written. To keep it, send it on."""

    generator: Annotated[
        Literal["model", "builtin"],
        Field(description="`builtin`: by rules from the words of the description."),
    ]
    model: str
    warnings: Annotated[list[str], Field(description="What was left out, and why.")]
    usage: Tokens
    cost: Annotated[float | None, Field(description="US dollars; null: the price is not known.")]


class AgentConfig(Out):
    """Settings of an agent that have their defaults."""

    llm: str
    max_iter: int
    max_rpm: int | None
    max_execution_time: float | None


class GeneratedAgent(Generated):
    """An agent, as `POST /agents` takes it, and its fields beside."""

    agent: JsonObject
    name: str
    role: str
    goal: str
    backstory: str
    llm: str
    tools: list[str]
    advanced_config: AgentConfig


class GeneratedTask(Generated):
    """A task, as `POST /tasks` takes it, and its fields beside."""

    task: JsonObject
    name: str
    description: str
    expected_output: str
    tools: list[str]
    agent: str | None
    markdown: bool


class GeneratedCrew(Generated):
    """A crew: agents and tasks as lists, and by key as `/crews` and `/executions` take them."""

    name: str
    description: str | None
    process: Process
    agents: list[JsonObject]
    tasks: list[JsonObject]
    agents_yaml: dict[str, Any]
    tasks_yaml: dict[str, Any]
    crew_id: Annotated[str | None, Field(description="Of the stored crew; null: not stored.")]


class GeneratedWorkflow(Generated):
    """A workflow in the native notation."""

    workflow: JsonObject
