"""The documented spellings of a task's fields, read as the canonical ones."""

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from muster.domains.work.tasks.statuses import read_priority

SCHEMA_NAMES = ("output_schema", "output_json", "output_pydantic")
"""Spellings of the schema of the output; a text that is no JSON is the name of a class."""

_ALIASES = {"title": "name", "required_tools": "tools", "timeout": "timeout_s"}

CONFIG = {
    "retry_on_fail": "retry_on_fail",
    "guardrail_max_retries": "guardrail_max_retries",
    "timeout": "timeout_s",
    "priority": "priority",
    "output_file": "output_file",
    "output_json": "output_json",
    "output_pydantic": "output_pydantic",
    "callback": "callback",
    "callback_config": "callback_config",
    "human_input": "human_input",
    "condition": "condition",
    "guardrail": "guardrail",
    "llm_guardrail": "llm_guardrail",
    "markdown": "markdown",
}
"""The keys of `config` that are fields of a task, and the names of these fields."""

Values = dict[str, Any]


def canonical(given: Mapping[str, Any], present: Mapping[str, Any] | None = None) -> Values:
    """Return fields under their canonical names.

    Where two spellings of one field are given, the one that says something new counts: who sends
    back what was read has changed only the spelling that they know. What `config` says counts for
    the fields that it mirrors, unless these say something new themselves.

    Args:
        given: Fields as they were sent.
        present: The definition that they change, with `agent_id` resolved; None for a new one.
    """
    known = present or {}
    values = dict(given)
    for alias, name in _ALIASES.items():
        if alias in values:
            _take(values, name, values.pop(alias), known)
    if "agent_id" in values:
        found = values.pop("agent_id")
        # Beside the name that was given it is only whom that name meant.
        if "agent" not in values or found not in (None, "", known.get("agent_id")):
            _take(values, "agent", found, known)
    _mirror(values, known)
    _read_schemas(values, known)
    if "priority" in values:
        values["priority"] = read_priority(values["priority"])
    if isinstance(values.get("llm_guardrail"), str) and values["llm_guardrail"].strip():
        values["llm_guardrail"] = {"description": values["llm_guardrail"]}
    if values.get("timeout_s") == 0:
        values["timeout_s"] = None
    return values


def _take(values: Values, name: str, found: Any, known: Mapping[str, Any]) -> None:
    if name not in values or values[name] == known.get(name):
        values[name] = found


def _mirror(values: Values, known: Mapping[str, Any]) -> None:
    if not isinstance(values.get("config"), dict):
        return
    config = cast("Values", values["config"])
    before: Values = known.get("config") or {}
    for key, name in CONFIG.items():
        found = config.get(key)
        if found is None and before.get(key) is None:
            continue
        if name == "condition" and isinstance(found, dict):
            continue  # names a kind of condition and another task; it is kept as it is
        if name == "priority" and name in values and read_priority(found) == known.get(name):
            continue
        _take(values, name, found, known)


def _read_schemas(values: Values, known: Mapping[str, Any]) -> None:
    """Gather the spellings of the output's schema: an object is the schema, a text a name."""
    for name in SCHEMA_NAMES:
        if name not in values:
            continue
        found = _parsed(values[name])
        if isinstance(found, str):
            continue
        if name == "output_schema":
            values[name] = found
            continue
        values[name] = None
        _take(values, "output_schema", found, known)


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        read = msgspec.json.decode(value)
    except (msgspec.MsgspecError, RecursionError):
        return value
    return cast("Any", read) if isinstance(read, dict) else value


def shown_config(config: Mapping[str, Any], values: Mapping[str, Any]) -> Values:
    """Return `config` with what became of the fields that it mirrors."""
    return {
        key: values.get(CONFIG[key])
        if key in CONFIG and not (key == "condition" and isinstance(value, dict))
        else value
        for key, value in config.items()
    }
