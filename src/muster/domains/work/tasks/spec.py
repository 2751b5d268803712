"""What a task is: its definition, with what clients get back as they gave it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from muster.domains.work.plans import TaskSpec
from muster.domains.work.tasks.models import Task
from muster.domains.work.tasks.spelling import SCHEMA_NAMES, canonical, shown_config
from muster.domains.work.tasks.statuses import TaskPriority
from muster.kernel.errors import FieldError, Invalid

KEPT = ("callback", "callback_config", "converter_cls", "config")


def _in_utc(moment: datetime) -> datetime:
    """Read a moment without a zone as UTC."""
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("this moment is outside of the calendar") from error


def _none_if_empty(value: Any) -> Any:
    return None if value == "" else value


Moment = Annotated[datetime, AfterValidator(_in_utc)]
Name = Annotated[str, Field(min_length=1, max_length=255, examples=["Research Task"])]
CrewId = Annotated[Annotated[str, Field(max_length=36)] | None, BeforeValidator(_none_if_empty)]
Schema = Annotated[
    dict[str, Any] | Annotated[str, Field(max_length=20_000)] | None,
    Field(description="JSON Schema that the output must fit; the name of a class is only kept."),
]


class TaskDefinition(TaskSpec):
    """A piece of work: what is to be done, by whom, from what, and what must come of it.

    `title` is read as `name`, `agent_id` as `agent`, `required_tools` as `tools`, `output_json` and
    `output_pydantic` as `output_schema`; the keys of `config` that are fields of a task set these
    fields.
    """

    name: Annotated[Name, Field(description="Name; `title` means the same.")]  # pyright: ignore[reportGeneralTypeIssues, reportIncompatibleVariableOverride]
    output_schema: Schema = None  # pyright: ignore[reportIncompatibleVariableOverride]
    output_json: Schema = None
    output_pydantic: Schema = None
    priority: Annotated[
        TaskPriority, Field(description="`medium` means normal; of numbers 1 is the highest.")
    ] = TaskPriority.NORMAL
    deadline: Annotated[
        Moment | None,
        BeforeValidator(_none_if_empty),
        Field(description="When it should be done; UTC unless it has a zone."),
    ] = None
    crew_id: Annotated[CrewId, Field(description="The crew that it belongs to.")] = None
    inputs: Annotated[dict[str, Any], Field(description="Defaults of the `{placeholders}`.")] = {}  # noqa: RUF012 - Pydantic copies it
    callback: Annotated[Any, Field(description="Kept and given back.")] = None
    callback_config: Annotated[
        dict[str, Any] | None, Field(description="Kept and given back; its secrets are not.")
    ] = None
    converter_cls: Annotated[
        str | None, Field(max_length=255, description="Kept and given back.")
    ] = None
    config: Annotated[
        dict[str, Any], Field(description="Settings as the crews family groups them.")
    ] = {}  # noqa: RUF012

    @model_validator(mode="before")
    @classmethod
    def _read_spellings(cls, data: Any) -> Any:
        """Read the other spellings; a null where a field has none means its default."""
        if not isinstance(data, dict):
            return data
        values = canonical(data)  # pyright: ignore[reportUnknownArgumentType]
        return {k: v for k, v in values.items() if v is not None or cls._takes_null(k)}

    @classmethod
    def _takes_null(cls, name: str) -> bool:
        field = cls.model_fields.get(name)
        return field is None or field.default is None

    def spec(self) -> TaskSpec:
        """Return what is run."""
        values = {name: getattr(self, name) for name in TaskSpec.model_fields}
        if isinstance(values["output_schema"], str):
            values["output_schema"] = None
        return TaskSpec.model_validate(values)

    def kept(self) -> dict[str, Any]:
        """Return what no run reads."""
        values = {name: getattr(self, name) for name in (*KEPT, *SCHEMA_NAMES)}
        values["config"] = self._present_config()
        return {
            name: value
            for name, value in values.items()
            if value not in (None, {}) and (name in KEPT or isinstance(value, str))
        }

    def _present_config(self) -> dict[str, Any]:
        """Return `config` as it will be shown: what it mirrors may be spelled in other ways."""
        fields = self.model_dump(mode="json", exclude={"config"})
        schema = fields["output_schema"] if isinstance(self.output_schema, dict) else None
        shown = {name: fields[name] or schema for name in SCHEMA_NAMES}
        return shown_config(self.config, {**fields, **shown})


def spec_of(task: Task) -> TaskSpec:
    """Return the definition of a stored task."""
    return TaskSpec.model_validate(task.spec)


def values_of(task: Task) -> dict[str, Any]:
    """Return every field of a stored task's definition, under the canonical names."""
    return {
        **task.spec,
        "name": task.name,
        "priority": task.priority,
        "deadline": task.deadline,
        "crew_id": task.crew_id,
        "inputs": task.inputs,
        **task.kept,
    }


def changed_definition(task: Task, changes: Mapping[str, Any]) -> TaskDefinition:
    """Return the definition that a task has after a change of the given fields."""
    present = values_of(task)
    given = canonical(changes, {**present, "agent_id": task.agent_id})
    unknown = sorted(set(given) - set(TaskDefinition.model_fields))
    if unknown:
        errors = [FieldError(name[:200], "A task has no such field.") for name in unknown[:20]]
        raise Invalid(f"A task has no field {', '.join(unknown)[:300]}.", errors=errors)
    if "output_schema" in given:
        for name in SCHEMA_NAMES:
            present.pop(name, None)
    merged = {**present, **given}
    # What `config` mirrors is in the fields already.
    config = merged.pop("config", None)
    definition = validated(merged)
    return definition.model_copy(update={"config": _checked_config(config)})


def _checked_config(config: Any) -> dict[str, Any]:
    if config is None:
        return {}
    if not isinstance(config, dict):
        error = FieldError("config", "Input should be an object")
        raise Invalid("config: Input should be an object", errors=[error])
    return config  # pyright: ignore[reportUnknownVariableType]


def validated(values: Mapping[str, Any]) -> TaskDefinition:
    """Return a definition, or raise what is wrong with the fields."""
    try:
        return TaskDefinition.model_validate(dict(values))
    except ValidationError as error:
        found = [
            FieldError(".".join(map(str, item["loc"])), item["msg"]) for item in error.errors()
        ]
        text = "; ".join(f"{f.field}: {f.message}" for f in found[:5])
        raise Invalid(text or "The task is not valid.", errors=found) from error
