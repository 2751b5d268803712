"""Request and response bodies of workflows."""

from typing import Annotated, Any, Literal, Self

from pydantic import MISSING, BaseModel, ConfigDict, Field, model_validator

from muster.domains.work.plans import PlanProblem
from muster.domains.work.workflows.notations import Notation
from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, Out, RecordOut, UtcTime

_EXAMPLE: dict[str, Any] = {
    "nodes": [
        {"name": "start", "type": "start", "next": "answer"},
        {"name": "answer", "type": "llm", "prompt": "{{ question }}", "next": "end"},
        {"name": "end", "type": "end"},
    ]
}
_OWN = {"name", "description", "is_template", "config"}
_PARTS = ("nodes", "steps", "actions")
_WHOLE = ("definition", "workflow", "workflow_definition")
_BESIDE_STEPS = {"model", "llm_model", "inputs", "templates", "result"}
_SHOWN_ONLY = {
    "id",
    "created_at",
    "updated_at",
    "group_id",
    "notation",
    "version",
    "node_count",
    "problems",
}
_OUTSIDE = (_SHOWN_ONLY - {"version"}) | {"config", "is_template"}

Name = Annotated[str, Field(min_length=1, max_length=255, examples=["Triage"])]
Description = Annotated[str | None, Field(max_length=20_000)]
IsTemplate = Annotated[bool, Field(description="A pattern to copy from.")]
Config = Annotated[dict[str, Any], Field(description="Whatever is to be kept with it.")]
Definition = Annotated[
    dict[str, Any] | list[Any] | str,
    Field(
        description="In any notation (document, steps, actions, native), as an object or as YAML "
        "or JSON text. Its parts can be given beside it instead: `nodes`, `steps`, `actions`.",
        examples=[_EXAMPLE],
    ),
]


def _gather(data: Any) -> Any:
    """Take the spellings of a definition for one, and what belongs to it together.

    What an answer shows can be sent back: a definition beside its steps is the one that counts.
    """
    if not isinstance(data, dict):
        return data
    values: dict[str, Any] = data  # pyright: ignore[reportUnknownVariableType]
    given = {name: value for name, value in values.items() if name not in _SHOWN_ONLY}
    whole = next((name for name in _WHOLE if given.get(name) is not None), None)
    part = next((name for name in _PARTS if given.get(name) is not None), None)
    if whole is not None:
        kept = {name: given[name] for name in given if name not in _WHOLE and name != "steps"}
        return {**kept, "definition": given[whole]}
    if part is not None:
        # Documents have many fields of their own; beside steps anything else is a mistake.
        inner_names = {"steps", *_BESIDE_STEPS} if part == "steps" else set(values) - _OUTSIDE
        left = {k: v for k, v in given.items() if k in _OWN or k not in inner_names}
        return {**left, "definition": {k: v for k, v in values.items() if k in inner_names}}
    if isinstance(given.get("config"), dict):
        config: dict[str, Any] = given["config"]
        if any(config.get(name) for name in (*_PARTS, *_WHOLE)):
            left = {k: v for k, v in config.items() if k not in {*_PARTS, *_WHOLE}}
            return {**given, "config": left, "definition": config}
    return {name: value for name, value in given.items() if name not in {*_PARTS, *_WHOLE}}


class WorkflowCreate(In):
    """A new workflow; it can be saved half-finished, and says what is wrong with it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Triage", "definition": _EXAMPLE}]}
    )

    name: Annotated[
        str | None,
        Field(min_length=1, max_length=255, description="Absent: the name in the definition."),
    ] = None
    description: Description = None
    is_template: IsTemplate = False
    config: Config = Field(default_factory=dict[str, Any])
    definition: Definition = Field(default_factory=dict[str, Any])

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, data: Any) -> Any:
        return _gather(data)


class WorkflowPatch(In):
    """Changes of a workflow; what is absent stays. A definition is replaced as a whole."""

    name: Name | MISSING = MISSING
    description: Description | MISSING = MISSING
    is_template: IsTemplate | MISSING = MISSING
    config: Config | MISSING = MISSING
    definition: Definition | MISSING = MISSING

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, data: Any) -> Any:
        return _gather(data)


class WorkflowBody(BaseModel):
    """A workflow that is not stored: under `workflow`, or itself the body."""

    model_config = ConfigDict(
        extra="allow", json_schema_extra={"examples": [{"workflow": _EXAMPLE}]}
    )

    workflow: Annotated[
        dict[str, Any] | list[Any] | str | None,
        Field(description="A workflow in any notation, as an object or as YAML or JSON text."),
    ] = None

    @property
    def given(self) -> dict[str, Any] | list[Any] | str:
        """What is meant: what is under `workflow`, else the body."""
        return (self.model_extra or {}) if self.workflow is None else self.workflow


class StepCreate(In):
    """A step of a workflow."""

    name: Annotated[str, Field(min_length=1, max_length=100, examples=["Summarise"])]
    step_type: Annotated[
        str,
        Field(
            max_length=40,
            description="A type of nodes, or agent_task, llm_call, tool_call, condition, "
            "human_approval, wait.",
            examples=["agent"],
        ),
    ] = "agent"
    order: Annotated[
        int | None, Field(ge=0, le=1_000_000, description="Absent: after all others.")
    ] = None
    config: dict[str, Any] = Field(default_factory=dict[str, Any])
    agent_id: Annotated[
        str | None, Field(max_length=255, description="Id, key or name of an agent.")
    ] = None
    depends_on: Annotated[
        list[Annotated[str, Field(max_length=100)]],
        Field(
            default_factory=list[str],
            max_length=500,
            description="Names or ids of steps that must have ended.",
        ),
    ]


class StepPatch(In):
    """Changes of a step; what is absent stays."""

    name: Annotated[str, Field(min_length=1, max_length=100, examples=["Sum up"])] | MISSING = (
        MISSING
    )
    step_type: Annotated[str, Field(max_length=40)] | MISSING = MISSING
    order: Annotated[int, Field(ge=0, le=1_000_000)] | MISSING = MISSING
    config: dict[str, Any] | MISSING = MISSING
    agent_id: Annotated[str | None, Field(max_length=255)] | MISSING = MISSING
    depends_on: (
        Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=500)] | MISSING
    ) = MISSING


class WorkflowList(ListParams):
    """Filters of the list of workflows."""

    search: Annotated[
        str | None, Field(max_length=200, description="Name or description contains.")
    ] = None
    is_template: Annotated[bool | None, Field(description="Only templates, or only others.")] = None


class ExportParams(BaseModel):
    """How a workflow is written."""

    notation: Annotated[
        Notation | None, Field(description="Absent: the one that it was written in.")
    ] = None
    format: Annotated[Literal["yaml", "json"], Field(description="yaml or json.")] = "yaml"


class DrawParams(BaseModel):
    """How a workflow is drawn."""

    theme: Annotated[Literal["dark", "light"], Field(description="Background.")] = "dark"


class StepOut(Out):
    """A step; every node of a workflow is shown as one, whatever it was written in."""

    id: Annotated[str, Field(description="Its own id where it has one, else its name.")]
    name: str
    step_type: str
    order: int | float
    config: dict[str, Any]
    agent_id: str | None
    depends_on: list[str]


class Validity(Out):
    """Whether a workflow can run: it has no problem that is an error."""

    valid: bool
    problems: list[PlanProblem]

    @classmethod
    def of(cls, problems: list[PlanProblem]) -> Self:
        """Return what problems come to."""
        return cls(valid=all(p.severity != "error" for p in problems), problems=problems)


class WorkflowSummary(RecordOut):
    """A workflow in a list."""

    name: str
    description: str | None
    is_template: bool
    config: dict[str, Any]
    notation: Notation
    node_count: int
    version: int
    group_id: str


class WorkflowOut(WorkflowSummary):
    """A workflow, as it was written and as steps."""

    definition: Annotated[dict[str, Any], Field(description="As it was written.")]
    steps: list[StepOut]
    problems: Annotated[
        list[PlanProblem],
        Field(
            description="What is wrong with it in itself; `validate` also looks at the agents, "
            "tools and models that it names."
        ),
    ]


class ChangedStep(StepOut):
    """A step, and the version of the workflow that it is part of."""

    workflow_id: str
    version: int


class WorkflowVersionOut(Out):
    """One state of a workflow."""

    workflow_id: str
    version: int
    content: Annotated[
        dict[str, Any],
        Field(description="name, description, is_template, notation, definition, config."),
    ]
    note: str | None
    created_by_id: str
    created_by_name: str
    created_at: UtcTime
