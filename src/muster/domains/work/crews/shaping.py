"""The fields of agents and tasks as crews spell them, made into those of the platform."""

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from muster.domains.catalogue.agents import AgentSpec
from muster.domains.work.plans import TaskSpec

Note = tuple[str, str]
"""A field, and what is passed over in it."""

REFERENCES = ("agent", "agent_id", "reference", "ref", "id", "key", "name")
_AGENT_TEXTS = (
    "name",
    "description",
    "purpose",
    "role",
    "goal",
    "backstory",
    "instructions",
    "system_prompt",
    "prompt",
    "system_template",
    "prompt_template",
    "response_template",
)
_MODELS = ("llm", "function_calling_llm")
_TASK_TEXTS = ("name", "title", "description", "instructions", "expected_output", "output_file")
SCHEMAS = ("output_schema", "output_json", "output_pydantic")
"""Spellings of the schema of a task's output."""
_OF_CONFIG = frozenset(
    {
        "retry_on_fail",
        "guardrail_max_retries",
        "timeout",
        "output_file",
        "output_json",
        "output_pydantic",
        "human_input",
        "condition",
        "guardrail",
        "llm_guardrail",
        "markdown",
    }
)
_AGENT_FIELDS = frozenset(AgentSpec.model_fields) | {
    "agent_key",
    "system_prompt",
    "enabled_tools",
    "llm_provider",
    "llm_model",
    "limits",
}
_TASK_FIELDS = frozenset(TaskSpec.model_fields)
AGENT_WORDS = _AGENT_FIELDS.union(REFERENCES)
TASK_WORDS = _TASK_FIELDS.union(
    _OF_CONFIG, ("id", "title", "agent_id", "required_tools", "config", "priority", "output")
)
"""What entries may say; what is like one of these is probably one of them, misspelt."""


def defines_agent(values: Mapping[str, Any]) -> bool:
    """Tell whether an entry says what an agent is, and not only which one is meant."""
    said = {name for name, value in values.items() if value not in (None, "", [], {})}
    return bool(said & (_AGENT_FIELDS - {"name", "key"}))


def agent_values(given: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the fields of an agent that is defined in place; its name is its key without one."""
    values = {name: value for name, value in given.items() if value is not None}
    limits = values.pop("limits", None)
    if isinstance(limits, Mapping):
        values = {**cast("Mapping[str, Any]", limits), **values}
    _read_texts(values, _AGENT_TEXTS)
    _read_models(values)
    for name in ("tools", "enabled_tools"):
        if name in values:
            values[name] = names_in(values[name])
    for name in ("max_rpm", "max_execution_time"):
        if values.get(name) == 0:  # no limit
            del values[name]
    if isinstance(values.get("tool_configs"), Mapping):
        values["tool_configs"] = _without_nulls(values["tool_configs"])
    if isinstance(values.get("key"), int):
        values["key"] = str(values["key"])
    if not values.get("name"):
        role: Any = values.get("role")
        named = key if not key.startswith("agent_") or not isinstance(role, str) else role
        values["name"] = named.strip()[:255] or key
    return values


def _read_models(values: dict[str, Any]) -> None:
    for name in _MODELS:
        model: Any = values.get(name)
        if isinstance(model, Mapping):
            settings = cast("Mapping[str, Any]", model)
            values[name] = settings.get("model") or settings.get("name")


def task_values(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[Note]]:
    """Return the fields of a task, and what is passed over in them."""
    config: Any = given.get("config")
    values: dict[str, Any] = {}
    if isinstance(config, Mapping):
        own = cast("Mapping[str, Any]", config)
        values = {name: value for name, value in own.items() if name in _OF_CONFIG}
    values |= {name: value for name, value in given.items() if value or name not in values}
    values = {name: value for name, value in values.items() if value is not None}
    _read_texts(values, _TASK_TEXTS)
    values["agent"] = _first(values, "agent", "agent_id")
    values["tools"] = names_in(_first(values, "tools", "required_tools"))
    values["context"] = names_in(values.get("context"))
    values["timeout_s"] = _first(values, "timeout_s", "timeout")
    values["name"] = _first(values, "name", "title")
    if isinstance(values.get("tool_configs"), Mapping):
        values["tool_configs"] = _without_nulls(values["tool_configs"])
    notes = _read_schema(values)
    notes += _read_guards(values)
    kept = {name: value for name, value in values.items() if name in _TASK_FIELDS}
    return {name: value for name, value in kept.items() if value is not None}, notes


def names_in(value: Any) -> Any:
    """Return a list of names, of whatever they were given as; what is none stays as it is."""
    if value is None or value == "":
        return []
    if isinstance(value, str | int):
        return [str(value)]
    if isinstance(value, Mapping):
        return list(cast("Mapping[str, Any]", value))
    if isinstance(value, list):
        given = [name_of(item) for item in cast("list[Any]", value)]
        return [item for item in given if item not in (None, "")]
    return value


def name_of(value: Any) -> Any:
    """Return the name in a reference; what is none stays as it is."""
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Mapping):
        given = cast("Mapping[str, Any]", value)
        found = next((given[name] for name in REFERENCES if given.get(name)), None)
        return name_of(found) if isinstance(found, str | int) else given
    return value.strip() if isinstance(value, str) else value


def _first(values: dict[str, Any], *names: str) -> Any:
    """Take the first of several spellings that says something."""
    found = [values.pop(name) for name in names if name in values]
    given = next((value for value in found if value not in ("", 0, [], {})), None)
    return name_of(given) if names[0] == "agent" else given


def _read_texts(values: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if name in values:
            values[name] = _text(values[name])


def _text(value: Any) -> Any:
    """Return as a text what YAML took for something else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, dict):
        # {topic} without quotation marks is a mapping to YAML.
        fields = cast("dict[str, Any]", value)
        if len(fields) == 1 and None in fields.values():
            return "{%s}" % next(iter(fields))  # noqa: UP031 - braces in an f-string are doubled
    if isinstance(value, list):
        lines = cast("list[Any]", value)
        if lines and all(isinstance(line, str) for line in lines):
            return "\n".join(lines)
    return cast("Any", value)


def _without_nulls(configs: Mapping[str, Any]) -> dict[str, Any]:
    return {tool: config for tool, config in configs.items() if config is not None}


def _read_schema(values: dict[str, Any]) -> list[Note]:
    found: Any = None
    notes: list[Note] = []
    for name in SCHEMAS:
        given: Any = values.pop(name, None)
        if isinstance(given, str) and given.strip():
            given = _object(given)
            if given is None:
                notes.append((name, "It is no JSON Schema and is passed over."))
        if isinstance(given, Mapping) and given and found is None:
            found = cast("Mapping[str, Any]", given)
    values["output_schema"] = found
    return notes


def _object(text: str) -> Any:
    try:
        return msgspec.json.decode(text.encode(errors="replace"), type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        return None


def _read_guards(values: dict[str, Any]) -> list[Note]:
    notes: list[Note] = []
    judge: Any = values.get("llm_guardrail")
    if isinstance(judge, str) and judge.strip():
        values["llm_guardrail"] = {"description": judge}
    elif not judge or (isinstance(judge, Mapping) and not judge.get("description")):  # pyright: ignore[reportUnknownMemberType]
        values.pop("llm_guardrail", None)
    for name in ("guardrail", "condition"):
        given: Any = values.get(name)
        if given in ("", [], {}):
            values[name] = None
        elif isinstance(given, bool | int | float):
            values[name] = str(given)
        elif isinstance(given, Mapping):
            expression = cast("Mapping[str, Any]", given).get("expression")
            values[name] = expression if isinstance(expression, str) else None
            if values[name] is None:
                notes.append((name, "Only expressions are understood; it is passed over."))
    return notes
