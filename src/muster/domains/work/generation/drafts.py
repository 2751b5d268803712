"""What a model is asked to write: the shapes of its answers, before anything is checked."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=255)]
Short = Annotated[str, Field(min_length=1, max_length=2_000)]
Long = Annotated[str, Field(min_length=1, max_length=20_000)]
Reference = Annotated[str, Field(min_length=1, max_length=255)]
References = Annotated[list[Reference], Field(max_length=128)]
Expression = Annotated[str, Field(max_length=5_000)]

MOST_AGENTS = 20
MOST_TASKS = 50
MOST_NODES = 100


class Draft(BaseModel):
    """An answer of a model; what was not asked for is passed over."""

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)


class AgentDraft(Draft):
    """An agent as a model wrote it."""

    name: Name
    role: Annotated[Short, Field(description="What it is, in a few words.")]
    goal: Annotated[Long, Field(description="What it shall achieve, in one or two sentences.")]
    backstory: Annotated[Long, Field(description="What it knows and how it works.")]
    tools: Annotated[References, Field(description="Names of tools from the given list.")] = []
    llm: Annotated[
        str | None,
        Field(max_length=255, description="Null, unless a model is asked for by name."),
    ] = None


class TaskDraft(Draft):
    """A task as a model wrote it."""

    name: Name
    description: Annotated[Long, Field(description="What is to be done, step by step.")]
    expected_output: Annotated[Long, Field(description="What must come of it.")]
    tools: Annotated[References, Field(description="Names of tools from the given list.")] = []


class MemberDraft(AgentDraft):
    """An agent of a crew as a model wrote it."""

    key: Annotated[Reference, Field(description="Short name, such as researcher.")]


class CrewTaskDraft(TaskDraft):
    """A task of a crew as a model wrote it."""

    key: Annotated[Reference, Field(description="Short name, such as write_article.")]
    agent: Annotated[Reference, Field(description="Key of the agent that does it.")]
    context: Annotated[
        References, Field(description="Keys of the earlier tasks whose results it needs.")
    ] = []


class CrewDraft(Draft):
    """A crew as a model wrote it."""

    name: Name
    description: Annotated[str, Field(max_length=5_000)] = ""
    process: Literal["sequential", "hierarchical"] = "sequential"
    agents: Annotated[list[MemberDraft], Field(min_length=1, max_length=MOST_AGENTS)]
    tasks: Annotated[list[CrewTaskDraft], Field(min_length=1, max_length=MOST_TASKS)]


class NodeDraft(Draft):
    """A node of a workflow as a model wrote it."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,99}$")]
    type: Literal["start", "llm", "tool", "if", "approval", "transform", "end"]
    description: Annotated[str | None, Field(max_length=5_000)] = None
    next: Annotated[str | None, Field(description="Node that follows; none for if and end.")] = None
    output: Annotated[
        str | None, Field(pattern=r"^[a-z][a-z0-9_]{0,99}$", description="Variable of the result.")
    ] = None
    prompt: Annotated[str | None, Field(max_length=20_000, description="llm")] = None
    tools: Annotated[References, Field(description="llm: tools from the given list.")] = []
    tool: Annotated[str | None, Field(max_length=255, description="tool: its name.")] = None
    arguments: Annotated[dict[str, Any], Field(description="tool: its arguments.")] = {}
    condition: Annotated[Expression | None, Field(description="if")] = None
    then: Annotated[str | None, Field(description="if: node that follows when it holds.")] = None
    otherwise: Annotated[str | None, Field(description="if: node that follows otherwise.")] = None
    title: Annotated[str | None, Field(max_length=255, description="approval")] = None
    message: Annotated[str | None, Field(max_length=20_000, description="approval")] = None
    assign: Annotated[
        dict[str, Expression], Field(description="transform: variable and its expression.")
    ] = {}


class WorkflowDraft(Draft):
    """A workflow as a model wrote it."""

    name: Name
    description: Annotated[str, Field(max_length=5_000)] = ""
    inputs: Annotated[
        list[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]],
        Field(max_length=100, description="Variables that are given at the start."),
    ] = []
    result: Annotated[str | None, Field(description="Variable that is the result.")] = None
    nodes: Annotated[list[NodeDraft], Field(min_length=2, max_length=MOST_NODES)]
