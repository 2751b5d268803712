"""Request and response bodies of tools."""

from typing import Annotated, Any, Literal

from pydantic import MISSING, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, Out, UtcTime

_SHOWN_ONLY = {
    "id",
    "source",
    "functions",
    "configuration_status",
    "group_id",
    "project_id",
    "created_at",
    "updated_at",
}
_ALIASES = (("kind", "tool_type"), ("config", "configuration"))


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


ToolType = Annotated[
    Literal["custom", "http", "openapi", "mcp", "python", "agent"],
    BeforeValidator(_lower),
    Field(
        description="`custom`: an address that is sent the arguments. `http`: one templated "
        "request. `openapi`: the operations of a document. `mcp`: the tools of a server. "
        "`python`: code, run in the sandbox. `agent`: another agent.",
        examples=["custom"],
    ),
]
AnyType = Annotated[
    Literal["builtin", "custom", "http", "openapi", "mcp", "python", "agent"],
    BeforeValidator(_lower),
]
Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=255,
        description="Unique in the project. Made safe for models: `Custom Search Tool` becomes "
        "`custom_search_tool` and stays the title.",
        examples=["Custom Search Tool"],
    ),
]
Title = Annotated[str, Field(min_length=1, max_length=255)]
Description = Annotated[
    str,
    Field(
        max_length=10_000,
        description="What it does and when to use it: this is what models choose by.",
        examples=["A tool for searching specific databases"],
    ),
]
Icon = Annotated[str, Field(max_length=64)]
Configuration = Annotated[
    dict[str, Any],
    Field(
        description="By the schema of the kind, GET /tools/configurations/{kind}/schema. Values of "
        'passwords, tokens and keys go into the vault; `{"$secret": name}` refers to one.',
        examples=[{"api_endpoint": "https://api.example.com", "parameters": {}}],
    ),
]
InputSchema = Annotated[
    dict[str, Any],
    Field(description="JSON Schema of the arguments; derived from the configuration if absent."),
]
Idempotent = Annotated[
    bool,
    Field(description="Whether a call may be repeated when its outcome is not known."),
]
RequiresApproval = Annotated[
    bool, Field(description="Whether a person decides on each call that an agent wants to make.")
]
TimeoutSeconds = Annotated[float, Field(gt=0, le=3_600, description="For one call, in seconds.")]


class ToolBody(In):
    """Shared by the bodies that define tools: other spellings, and fields that answers only show,
    so that what was read can be sent back.
    """

    @model_validator(mode="before")
    @classmethod
    def _canonical(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        given: dict[str, Any] = dict(data)  # pyright: ignore[reportUnknownArgumentType]
        values = {name: value for name, value in given.items() if name not in _SHOWN_ONLY}
        for alias, name in _ALIASES:
            if alias not in values:
                continue
            value = values.pop(alias)
            if values.setdefault(name, value) != value:
                raise ValueError(f"'{alias}' and '{name}' mean the same; give one of them")
        return values


class ToolCreate(ToolBody):
    """A new tool. `kind` means `tool_type`, `config` means `configuration`."""

    name: Name
    title: Title | None = None
    description: Description = ""
    icon: Icon | None = None
    tool_type: ToolType
    configuration: Configuration
    enabled: bool = True
    requires_approval: RequiresApproval = False
    idempotent: Idempotent | None = None
    timeout_s: TimeoutSeconds | None = None
    input_schema: InputSchema | None = None


class ToolUpdate(ToolBody):
    """Any of the fields of a tool; those that are left out keep their values."""

    name: Name | MISSING = MISSING
    title: Title | MISSING = MISSING
    description: Description | MISSING = MISSING
    icon: Icon | MISSING | None = MISSING
    tool_type: AnyType | MISSING = MISSING
    configuration: Configuration | MISSING = MISSING
    enabled: bool | MISSING = MISSING
    requires_approval: RequiresApproval | MISSING = MISSING
    idempotent: Idempotent | MISSING | None = MISSING
    timeout_s: TimeoutSeconds | MISSING | None = MISSING
    input_schema: InputSchema | MISSING | None = MISSING


class ToolList(ListParams):
    """Filters of the list of tools."""

    enabled: Annotated[bool | None, Field(description="Only enabled or disabled ones.")] = None
    kind: Annotated[AnyType | None, Field(description="Only of this kind.")] = None
    tool_type: Annotated[AnyType | None, Field(description="The same as `kind`.")] = None
    search: Annotated[
        str | None, Field(max_length=200, description="Name, title or description contains.")
    ] = None


class ToolFunctionOut(BaseModel):
    """One function of a tool that has several."""

    name: str
    called_as: Annotated[str, Field(description="The name under which models call it.")]
    description: str
    offered: Annotated[bool, Field(description="Whether the configuration lets it be called.")]
    input_schema: Annotated[
        dict[str, Any] | None, Field(description="Null in lists, for they may be long.")
    ]


class ToolStatus(BaseModel):
    """Whether a tool can be used, and what it lacks."""

    is_ready: bool
    issues: list[str]


class ToolOut(Out):
    """A tool. Its configuration names secrets and never shows one."""

    id: str
    name: str
    title: str
    description: str
    icon: str | None
    tool_type: str
    kind: str
    configuration: dict[str, Any]
    config: dict[str, Any]
    enabled: bool
    requires_approval: bool
    idempotent: Annotated[
        bool | None, Field(description="Null where it depends on the function that is called.")
    ]
    timeout_s: float | None
    input_schema: Annotated[
        dict[str, Any] | None, Field(description="Null where each function has its own.")
    ]
    functions: Annotated[
        list[ToolFunctionOut] | None,
        Field(description="Of tools of kind openapi and mcp, as found when last looked at."),
    ]
    source: Literal["builtin", "project"]
    configuration_status: Annotated[ToolStatus | None, Field(description="Null in lists.")]
    group_id: str
    created_at: UtcTime | None
    updated_at: UtcTime | None


class ToolToggled(ToolOut):
    """A tool after it was switched."""

    message: str


class ToolTest(In):
    """A call to try a tool with."""

    arguments: Annotated[
        dict[str, Any],
        Field(description="By the tool's `input_schema`.", examples=[{"expression": "2 + 2"}]),
    ] = {}  # noqa: RUF012 - Pydantic copies it
    function: Annotated[
        str | None,
        Field(
            max_length=255,
            description="Of a tool with several. Absent: its source is looked at again.",
        ),
    ] = None
    configuration: Annotated[
        dict[str, Any] | None,
        Field(description="Goes over the saved one for this call; needs the scope tools:write."),
    ] = None


class ToolTestError(BaseModel):
    """Why a call could not be carried out."""

    code: str
    message: str


class ToolTestOut(BaseModel):
    """What came of a call."""

    ok: bool
    content: Annotated[Any, Field(description="What the tool answered.")]
    is_error: Annotated[bool, Field(description="Whether the tool itself reports a failure.")]
    error: Annotated[
        ToolTestError | None, Field(description="Set when the call could not be carried out.")
    ]
    duration_ms: int
    properties: dict[str, Any]


class McpDiscover(BaseModel):
    """A server to look at: the configuration of a tool of kind mcp."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [{"transport": "http", "url": "https://mcp.example.com/mcp"}]
        },
    )

    transport: Annotated[
        Literal["http", "stdio", "streamable-http", "streamable_http", "streamable"] | None,
        Field(description="Follows from `url` or `command` when absent."),
    ] = None
    url: str | dict[str, str] | None = None
    headers: dict[str, Any] = {}
    command: str | None = None
    args: list[Any] = []
    env: dict[str, Any] = {}

    def configuration(self) -> dict[str, Any]:
        """Return what was given."""
        return self.model_dump(exclude_unset=True)


class McpServerOut(BaseModel):
    """Who answered."""

    name: str | None
    version: str | None
    protocol: str | None


class McpToolOut(BaseModel):
    """One tool of the server."""

    name: str
    title: str | None
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None
    annotations: dict[str, Any]


class McpFound(BaseModel):
    """What a server offers."""

    server: McpServerOut
    tools: list[McpToolOut]
