"""Request and response bodies of crews."""

from typing import Annotated, Any, Literal

import msgspec
from pydantic import (
    MISSING,
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from muster.domains.work.plans import PlanProblem, Process
from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, Out, RecordOut

_MAX_JSON = 1_000_000
_MAX_ITEMS = 2_000
_SHOWN_ONLY = {
    "id",
    "project_id",
    "group_id",
    "group_email",
    "created_by_email",
    "configuration_status",
    "created_at",
    "updated_at",
}


def _bounded(value: Any) -> Any:
    if len(msgspec.json.encode(value)) > _MAX_JSON:
        raise ValueError(f"may have {_MAX_JSON} bytes as JSON")
    return value


def _lowered(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Name = Annotated[str, Field(min_length=1, max_length=255, examples=["Research Team"])]
Description = Annotated[str | None, Field(max_length=50_000)]
Definition = Annotated[
    Annotated[str, StringConstraints(strip_whitespace=False)] | dict[str, Any] | list[Any] | None,
    Field(
        description="YAML text, JSON text, or an object or list of the same; 1 MB at most. It is "
        "given back as it was sent."
    ),
]
AgentsYaml = Annotated[
    Definition,
    Field(
        examples=[
            {
                "researcher": {
                    "role": "Senior Researcher",
                    "goal": "Find out about {topic}",
                    "llm": "builtin/extractive",
                }
            }
        ],
    ),
]
TasksYaml = Annotated[
    Definition,
    Field(
        examples=[
            {
                "research": {
                    "description": "Gather facts about {topic}",
                    "expected_output": "Ten bullet points",
                    "agent": "researcher",
                }
            }
        ],
    ),
]
Ids = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=64)]],
    Field(max_length=500, description="Ids of stored ones that belong to the crew."),
]
Canvas = Annotated[
    list[dict[str, Any]],
    AfterValidator(_bounded),
    Field(max_length=_MAX_ITEMS, description="Part of a picture of the crew; kept as it is."),
]
ProcessIn = Annotated[
    Process,
    BeforeValidator(_lowered),
    Field(description="sequential: one task after the other. hierarchical: a manager deals out."),
]
ModelName = Annotated[str | None, Field(max_length=255)]
ToolConfigs = Annotated[
    dict[str, dict[str, Any]],
    AfterValidator(_bounded),
    Field(description="Configuration by tool; secrets in it go to the vault."),
]
MaxRpm = Annotated[
    int | None, Field(ge=1, le=100_000, description="Most calls of models in a minute.")
]
Inputs = Annotated[
    dict[str, Any], AfterValidator(_bounded), Field(description="Defaults of the placeholders.")
]
KeptOnly = Annotated[bool, Field(description="Kept and given back; runs do not need it.")]
UsesMemory = Annotated[
    bool, Field(description="False: in runs of the crew no agent uses what it remembers.")
]
KeptModel = Annotated[
    str | None, Field(max_length=255, description="Kept and given back; runs do not need it.")
]


def _canonical(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    values: dict[str, Any] = data  # pyright: ignore[reportUnknownVariableType]
    return {
        name: _DEFAULTS.get(name) if value is None else value
        for name, value in values.items()
        if name not in _SHOWN_ONLY
    }


class CrewBody(In):
    """A crew as requests send it. Fields that answers only show (id, timestamps, ...) are passed
    over, so that what was read can be sent back; null means the default.
    """

    @model_validator(mode="before")
    @classmethod
    def _read_leniently(cls, data: Any) -> Any:
        return _canonical(data)


class CrewFields(CrewBody):
    """Everything about a crew but its name."""

    description: Description = None
    agents_yaml: AgentsYaml = None
    tasks_yaml: TasksYaml = None
    agent_ids: Ids = []  # noqa: RUF012 - Pydantic copies it
    task_ids: Ids = []  # noqa: RUF012
    nodes: Canvas = []  # noqa: RUF012
    edges: Canvas = []  # noqa: RUF012
    process: ProcessIn = "sequential"
    model: Annotated[ModelName, Field(description="For agents that name no model.")] = None
    planning: KeptOnly = False
    planning_llm: KeptModel = None
    reasoning: KeptOnly = False
    reasoning_llm: KeptModel = None
    manager_llm: Annotated[
        ModelName, Field(description="Model of the manager of a hierarchical crew.")
    ] = None
    manager_agent: Annotated[
        ModelName, Field(description="The manager: key in the crew, or a stored agent.")
    ] = None
    tool_configs: ToolConfigs = {}  # noqa: RUF012
    memory: UsesMemory = True
    verbose: KeptOnly = True
    max_rpm: MaxRpm = None
    inputs: Inputs = {}  # noqa: RUF012


_DEFAULTS = {name: info.default for name, info in CrewFields.model_fields.items()}


class CrewCreate(CrewFields):
    """A crew: agents, tasks, and the way they work together."""

    name: Name


class CrewPatch(CrewBody):
    """Changes of a crew; what is absent stays, and null gives a field its default."""

    name: Name | MISSING = MISSING
    description: Description | MISSING = MISSING
    agents_yaml: AgentsYaml | MISSING = MISSING
    tasks_yaml: TasksYaml | MISSING = MISSING
    agent_ids: Ids | MISSING = MISSING
    task_ids: Ids | MISSING = MISSING
    nodes: Canvas | MISSING = MISSING
    edges: Canvas | MISSING = MISSING
    process: ProcessIn | MISSING = MISSING
    model: ModelName | MISSING = MISSING
    planning: KeptOnly | MISSING = MISSING
    planning_llm: KeptModel | MISSING = MISSING
    reasoning: KeptOnly | MISSING = MISSING
    reasoning_llm: KeptModel | MISSING = MISSING
    manager_llm: ModelName | MISSING = MISSING
    manager_agent: ModelName | MISSING = MISSING
    tool_configs: ToolConfigs | MISSING = MISSING
    memory: UsesMemory | MISSING = MISSING
    verbose: KeptOnly | MISSING = MISSING
    max_rpm: MaxRpm | MISSING = MISSING
    inputs: Inputs | MISSING = MISSING

    def changes(self) -> dict[str, Any]:
        """Return the fields that were given."""
        names = type(self).model_fields
        return {n: v for n in names if (v := getattr(self, n)) is not MISSING}


class CrewDebug(CrewFields):
    """A crew to look at: its id, or a definition that need not be saved."""

    model_config = ConfigDict(extra="ignore")

    crew_id: Annotated[
        str | None, Field(max_length=255, description="Id or name of a stored crew.")
    ] = None
    name: Annotated[str | None, Field(max_length=255)] = None


class CrewStatus(Out):
    """Whether a crew can run, and what is wrong with it."""

    is_ready: Annotated[bool, Field(description="No problem is an error.")]
    problems: list[PlanProblem]


class CrewOut(RecordOut):
    """A crew."""

    group_id: Annotated[str, Field(validation_alias="project_id")]
    name: str
    description: str | None
    agents_yaml: Any
    tasks_yaml: Any
    agent_ids: list[str]
    task_ids: list[str]
    nodes: list[Any]
    edges: list[Any]
    process: str
    model: str | None
    planning: bool
    planning_llm: str | None
    reasoning: bool
    reasoning_llm: str | None
    manager_llm: str | None
    manager_agent: str | None
    tool_configs: dict[str, Any]
    memory: bool
    verbose: bool
    max_rpm: int | None
    inputs: dict[str, Any]
    configuration_status: Annotated[
        CrewStatus | None, Field(description="Null in lists; get the crew for it.")
    ] = None


class CrewList(ListParams):
    """Filters of the list of crews."""

    search: Annotated[
        str | None, Field(max_length=200, description="Name or description contains.")
    ] = None


class SaveParams(BaseModel):
    """How a crew is saved."""

    model_config = ConfigDict(extra="ignore")

    overwrite: Annotated[
        bool, Field(description="Replace the crew of this name, if there is one.")
    ] = False


class DebugData(Out):
    """The parts of a crew, counted."""

    name: str
    agent_ids: Annotated[list[str], Field(description="Keys of its agents, or ids of stored ones.")]
    task_ids: Annotated[list[str], Field(description="Keys of its tasks, or ids of stored ones.")]
    node_count: int
    edge_count: int


class DebugOut(Out):
    """What is wrong with a crew."""

    status: Literal["success"]
    message: str
    valid: Annotated[bool, Field(description="It can run: no problem is an error.")]
    problems: list[PlanProblem]
    data: DebugData
