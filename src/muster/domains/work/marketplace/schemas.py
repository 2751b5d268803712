"""Request and response bodies of the marketplace."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from muster.domains.work.marketplace.bundles import Kind, Value
from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, Out, RecordOut

State = Literal["unchanged", "changed", "missing"]


class InstallRequest(In):
    """How a template is installed."""

    dry_run: Annotated[
        bool, Field(description="Only tell what would be made; nothing is changed.")
    ] = False
    model: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=255,
            description="Model of its agents and workflows; absent: builtin/extractive.",
            examples=["builtin/extractive"],
        ),
    ] = None
    prefix: Annotated[
        str | None,
        Field(
            max_length=40,
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$",
            description="Goes before every name, where the template's own are taken.",
            examples=["sales"],
        ),
    ] = None
    parameters: Annotated[
        dict[Annotated[str, Field(max_length=100)], Any],
        Field(
            max_length=50,
            description="Values of the template's parameters; the others have their defaults.",
        ),
    ] = {}  # noqa: RUF012 - Pydantic copies it


class TemplateList(ListParams):
    """Filters of the list of templates."""

    category: Annotated[str | None, Field(max_length=64, description="Only of this one.")] = None
    search: Annotated[
        str | None,
        Field(max_length=200, description="Name, summary, description or category contains."),
    ] = None
    installed: Annotated[
        bool | None, Field(description="Only those that are installed, or are not.")
    ] = None


class UninstallParams(BaseModel):
    """How a template is removed."""

    model_config = ConfigDict(extra="ignore")

    force: Annotated[bool, Field(description="Remove what people have changed since, too.")] = False


class ParameterOut(Out):
    """Something that can be chosen."""

    name: str
    description: str
    type: Annotated[str, Field(description="text, number or boolean.")]
    default: Value
    choices: Annotated[list[Value], Field(description="Empty: any value.")]


class TemplateSummary(Out):
    """A template in a list."""

    id: str
    name: str
    category: str
    summary: str
    version: str
    source: Annotated[Literal["builtin"], Field(description="It ships with the product.")]
    creates: Annotated[dict[str, int], Field(description="How many things of each kind.")]
    installed: bool
    installation_id: str | None


class PlannedThing(Out):
    """Something that a template makes."""

    kind: Kind
    name: Annotated[str, Field(description="Key of an agent, name of anything else.")]
    uses: Annotated[list[str], Field(description="What else of the template it refers to.")]
    definition: Annotated[dict[str, Any], Field(description="As a request would send it.")]


class ExampleOut(Out):
    """A run to try a template with."""

    execution: Annotated[dict[str, Any], Field(description="Body of POST /executions.")]
    approvals: Annotated[int, Field(description="Questions to a person before it ends.")]


class BundleTemplateOut(TemplateSummary):
    """A template with everything that it makes, under its own names and with its defaults."""

    description: Annotated[str, Field(description="Markdown.")]
    parameters: list[ParameterOut]
    things: list[PlannedThing]
    example: ExampleOut


class InstalledThing(Out):
    """Something that an installation has made."""

    kind: Kind
    id: str
    name: str
    state: Annotated[State, Field(description="Whether people have changed it since.")]


class Reference(Out):
    """A thing of a project."""

    kind: Kind
    id: str | None
    name: str


class KeptThing(Reference):
    """A thing that was not removed."""

    reason: str


class InstallProblem(Out):
    """Something that keeps what was made from running."""

    kind: Literal["model", "tool"]
    name: str
    message: str


class InstallationOut(RecordOut):
    """A template that is installed."""

    template_id: str
    name: str
    version: str
    model: str
    prefix: str | None
    parameters: dict[str, Any]
    things: list[InstalledThing]
    installed_by_id: str
    installed_by_name: str
    group_id: str


class InstallResult(Out):
    """What an installation has made, or would make."""

    template_id: str
    version: str
    model: str
    dry_run: bool
    status: Annotated[
        Literal["installed", "already_installed", "would_install", "would_conflict"],
        Field(description="already_installed: nothing was changed."),
    ]
    installation_id: str | None
    things: Annotated[list[Reference], Field(description="Ids are null in a dry run.")]
    conflicts: Annotated[
        list[Reference], Field(description="Dry run: names that other things have.")
    ]
    problems: Annotated[
        list[InstallProblem],
        Field(description="What is missing before it can run; it is installed all the same."),
    ]
    example: ExampleOut


class UninstallResult(Out):
    """What was removed, and what was not."""

    template_id: str
    installation_id: str
    removed: list[Reference]
    kept: Annotated[list[KeptThing], Field(description="They are the project's own from now on.")]
    missing: Annotated[list[Reference], Field(description="Somebody had removed them before.")]
