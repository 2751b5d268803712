"""Request and response bodies of prompt templates."""

from typing import Annotated, Any, Literal, Self

from pydantic import MISSING, AfterValidator, Field, StringConstraints

from muster.domains.catalogue.prompts.models import PromptTemplate, PromptTemplateVersion
from muster.kernel.paging import ListParams
from muster.kernel.placeholders import NAME, misspelled_in, placeholders_in
from muster.kernel.schemas import In, Out, RecordOut, UtcTime

MAX_TEMPLATE = 100_000

Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=255,
        description="Unique in the project.",
        examples=["Research Agent Template"],
    ),
]
Description = Annotated[str, Field(max_length=5_000)]
# The text is kept to the last space: what a model is told is nobody's to trim.
Template = Annotated[
    str,
    StringConstraints(strip_whitespace=False, min_length=1, max_length=MAX_TEMPLATE),
    Field(
        description="The text; `{name}` is a placeholder.",
        examples=["You are a research agent. Your task is to {task_description}."],
    ),
]
VariableName = Annotated[str, Field(min_length=1, max_length=100, pattern=rf"^{NAME}$")]


def _each_once(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))


Variables = Annotated[
    list[VariableName],
    AfterValidator(_each_once),
    Field(max_length=200, examples=[["task_description"]]),
]
_VARIABLES = "Names of the placeholders; null or absent: they are read from the text."


class PromptTemplateCreate(In):
    """A text with placeholders."""

    name: Name
    description: Description | None = None
    template: Template
    variables: Annotated[Variables | None, Field(description=_VARIABLES)] = None
    is_active: Annotated[bool, Field(description="One that is not active is not rendered.")] = True


class PromptTemplatePatch(In):
    """Changes of a prompt template; what is absent stays."""

    name: Name | MISSING = MISSING
    description: Description | MISSING | None = MISSING
    template: Template | MISSING = MISSING
    variables: Annotated[Variables | MISSING | None, Field(description=_VARIABLES)] = MISSING
    is_active: bool | MISSING = MISSING


class PromptTemplateList(ListParams):
    """Filters of the list of prompt templates."""

    search: Annotated[
        str | None, Field(max_length=255, description="Part of the name or the description.")
    ] = None
    is_active: Annotated[bool | None, Field(description="Only active ones, or others.")] = None


class TemplateProblem(Out):
    """One thing that does not fit together in a prompt template."""

    field: str
    code: Literal["variable_undeclared", "variable_unused", "placeholder_invalid"]
    message: str


class TemplateStatus(Out):
    """Whether the text and the declared variables fit together."""

    is_ready: bool
    problems: list[TemplateProblem]


class PromptTemplateContent(Out):
    """What a prompt template says."""

    name: str
    description: str | None
    template: str
    variables: Annotated[
        list[str], Field(description="As declared, else the placeholders of the text.")
    ]
    is_active: bool


class PromptTemplateOut(RecordOut, PromptTemplateContent):
    """A prompt template."""

    project_id: str
    version: int
    configuration_status: TemplateStatus

    @classmethod
    def of(cls, row: PromptTemplate) -> Self:
        """Return a stored template as it is shown."""
        return cls(
            id=row.id,
            project_id=row.project_id,
            name=row.name,
            description=row.description,
            template=row.template,
            variables=_shown(row.template, row.variables),
            is_active=row.is_active,
            version=row.version,
            configuration_status=status_of(row.template, row.variables),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class PromptTemplateVersionOut(PromptTemplateContent):
    """One version of a prompt template."""

    template_id: str
    version: int
    note: str | None
    created_by_id: str
    created_by_name: str
    created_at: UtcTime

    @classmethod
    def of(cls, row: PromptTemplateVersion) -> Self:
        """Return a stored version as it is shown."""
        content = row.content
        return cls(
            template_id=row.template_id,
            version=row.version,
            name=content["name"],
            description=content["description"],
            template=content["template"],
            variables=_shown(content["template"], content["variables"]),
            is_active=content["is_active"],
            note=row.note,
            created_by_id=row.created_by_id,
            created_by_name=row.created_by_name,
            created_at=row.created_at,
        )


class RenderIn(In):
    """Values of the placeholders."""

    variables: Annotated[
        dict[str, Any],
        Field(
            max_length=500,
            description="By name; what is no text is written as JSON.",
            default_factory=dict[str, Any],
            examples=[{"task_description": "compare two tariffs"}],
        ),
    ]


class RenderOut(Out):
    """A text with its placeholders filled."""

    text: str
    template_id: str
    version: int


def status_of(template: str, variables: list[str] | None) -> TemplateStatus:
    """Say where a text and the declared variables do not fit together."""
    problems = [
        TemplateProblem(
            field="template",
            code="placeholder_invalid",
            message=f"{{{name}}} is no placeholder: use letters, digits and underscores.",
        )
        for name in misspelled_in(template)
    ]
    if variables is not None:
        named = placeholders_in(template)
        problems += [
            TemplateProblem(
                field="variables",
                code="variable_undeclared",
                message=f"The text has {{{name}}}, which is not among the variables.",
            )
            for name in named
            if name not in variables
        ]
        problems += [
            TemplateProblem(
                field="variables",
                code="variable_unused",
                message=f"The variable {name} is not in the text.",
            )
            for name in variables
            if name not in named
        ]
    return TemplateStatus(is_ready=not problems, problems=problems)


def _shown(template: str, variables: list[str] | None) -> list[str]:
    return placeholders_in(template) if variables is None else variables
