"""What a workflow is: nodes and how one leads to the next."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from muster.domains.work.plans.tasks import Reference, TaskSpec, Text

NodeType = Literal[
    "start",
    "end",
    "input",
    "agent",
    "task",
    "crew",
    "llm",
    "tool",
    "retrieval",
    "if",
    "switch",
    "parallel",
    "map",
    "loop",
    "approval",
    "delay",
    "transform",
    "subworkflow",
    "output",
]

SEARCH_FILES = "search_files"
"""The tool by which nodes of type retrieval look into the files of the project and the run."""

NodeName = Annotated[str, Field(min_length=1, max_length=100)]
Condition = Annotated[str, Field(max_length=5_000)]


class Retry(BaseModel):
    """How often a node is tried again after it failed, and how long it waits before each."""

    attempts: Annotated[int, Field(ge=0, le=10)] = 0
    wait_s: Annotated[float, Field(ge=0, le=3_600)] = 1.0
    backoff: Annotated[float, Field(ge=1, le=10, description="Factor between two waits.")] = 2.0


class Variable(BaseModel):
    """Something that a person is asked for."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    label: Annotated[str | None, Field(max_length=255)] = None
    type: Literal["text", "number", "boolean", "json"] = "text"
    required: bool = True
    guidance: Annotated[str | None, Field(max_length=2_000)] = None


class NodeSpec(BaseModel):
    """One node.

    Texts are templates: `{{ expression }}` is replaced by its value over the variables of the run.
    `output` names the variable that the node's result is kept in, besides `nodes.<name>`.

    In a flow `next` names the node that follows; in a graph `depends_on` names those that come
    before. `if` and `switch` name their successors in `then`, `otherwise`, `cases` and `default` in
    a flow; in a graph the steps that depend on them name the branch in `when`.
    """

    model_config = ConfigDict(extra="ignore")

    name: NodeName
    type: NodeType | Annotated[str, Field(max_length=40)]
    description: Text | None = None
    next: NodeName | None = None
    depends_on: Annotated[list[NodeName], Field(max_length=500)] = []
    when: Annotated[
        Condition | None, Field(description="In a graph: skipped where this does not hold.")
    ] = None
    output: Annotated[str | None, Field(max_length=100)] = None
    inputs: Annotated[
        dict[str, Any], Field(description="Values that the node is given; texts are templates.")
    ] = {}

    # agent, llm
    agent: Reference | None = None
    model: Annotated[str | None, Field(max_length=255)] = None
    model_settings: dict[str, Any] = {}
    instructions: Text | None = None
    prompt: Text | None = None
    tools: Annotated[list[Reference], Field(max_length=128)] = []
    max_steps: Annotated[int | None, Field(ge=1, le=1000)] = None
    output_schema: dict[str, Any] | None = None
    # task, crew, subworkflow
    task: TaskSpec | Reference | None = None
    crew: Reference | None = None
    workflow: Reference | None = None
    # tool
    tool: Reference | None = None
    arguments: dict[str, Any] = {}
    # retrieval
    query: Text | None = None
    top_k: Annotated[int, Field(ge=1, le=50, description="Most passages.")] = 5
    glob: Annotated[
        str | None, Field(max_length=200, description="Only files whose path matches.")
    ] = None
    store: Annotated[
        Literal["results", "content"], Field(description="The passages, or only their text.")
    ] = "results"
    # if, switch
    condition: Condition | None = None
    then: NodeName | None = None
    otherwise: NodeName | None = None
    expression: Condition | None = None
    cases: dict[str, NodeName] = {}
    default: NodeName | None = None
    # parallel: each branch is walked until `next`; map and loop walk `body` until they come back
    branches: Annotated[list[NodeName], Field(max_length=100)] = []
    max_concurrency: Annotated[int | None, Field(ge=1, le=100)] = None
    items: Annotated[Condition | None, Field(description="map: expression of the list.")] = None
    item: Annotated[str, Field(max_length=100, description="map: variable of one item.")] = "item"
    body: NodeName | None = None
    max_iterations: Annotated[int | None, Field(ge=1, le=1000)] = None
    # approval, input
    title: Annotated[str | None, Field(max_length=255)] = None
    message: Text | None = None
    variables: Annotated[list[Variable], Field(max_length=50)] = []
    # delay
    delay_s: Annotated[float | None, Field(ge=0, le=31_536_000)] = None
    until: Annotated[str | None, Field(max_length=5_000, description="ISO 8601, a template.")] = (
        None
    )
    # transform: variable -> expression
    assign: dict[str, Condition] = {}

    retry: Retry = Retry()
    timeout_s: Annotated[float | None, Field(gt=0, le=604_800)] = None
    on_error: Annotated[NodeName | None, Field(description="Node that follows a failure.")] = None
    fallback: Annotated[
        Any, Field(description="Result in place of a failure, where it is not null.")
    ] = None


class WorkflowSpec(BaseModel):
    """A workflow, whatever notation it was written in.

    `flow`: it begins at the one `start` node and follows `next`. `graph`: every node begins as soon
    as all that it depends on have ended; what no path leads to any more is skipped.
    """

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, Field(min_length=1, max_length=255)] = "Workflow"
    description: Text | None = None
    mode: Literal["flow", "graph"] = "flow"
    model: Annotated[str | None, Field(max_length=255)] = None
    nodes: Annotated[list[NodeSpec], Field(max_length=500)] = []
    inputs: Annotated[dict[str, Any], Field(description="Defaults of the variables.")] = {}
    templates: Annotated[
        dict[str, str], Field(description="Texts that prompts name `templates.x`.")
    ] = {}
    result: Annotated[
        str | None, Field(description="Variable that is the result; else that of the end node.")
    ] = None
