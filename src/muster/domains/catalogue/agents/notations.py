"""Agents as YAML files: reading and writing."""

from datetime import date
from math import isfinite
from typing import Any

import yaml
from pydantic import ValidationError

from muster.domains.catalogue.agents.errors import AgentYamlInvalid
from muster.domains.catalogue.agents.schemas import AgentCreate
from muster.domains.catalogue.agents.spec import AgentSpec
from muster.kernel.errors import FieldError

_LIMITS = ("max_iter", "max_rpm", "max_execution_time")


def read_yaml(text: str) -> AgentCreate:
    """Read an agent file; raises `AgentYamlInvalid` with the line or the fields at fault."""
    try:
        data = _plain(yaml.load(text, _Loader))  # noqa: S506 - a safe loader, see below
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise AgentYamlInvalid(f"{place}{error.problem or 'not readable'}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise AgentYamlInvalid("The text cannot be read as YAML.") from error
    if not isinstance(data, dict):
        raise AgentYamlInvalid("The file must be a mapping with at least `name`.")
    values: dict[str, Any] = data  # pyright: ignore[reportUnknownVariableType]
    if isinstance(values.get("limits"), dict):
        values.update(values.pop("limits"))
    try:
        return AgentCreate.model_validate(values)
    except ValidationError as error:
        found = [
            FieldError(".".join(map(str, item["loc"])), item["msg"]) for item in error.errors()
        ]
        text = "; ".join(f"{f.field}: {f.message}" for f in found[:5])
        raise AgentYamlInvalid(text, errors=found) from error


class _Loader(yaml.SafeLoader):
    """Reads plain values only. An alias could make a short text as large as memory is."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark: Any = self.get_mark()
            raise yaml.MarkedYAMLError(None, None, "aliases are not allowed here", mark)
        return super().compose_node(parent, index)


def _plain(value: Any) -> Any:
    """Return what YAML knows and JSON does not as text; refuse what has no text."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, list):
        return [_plain(inner) for inner in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and "\0" in value:
        raise ValueError("NUL characters are not allowed")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError("numbers must be finite")
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError("only plain values are allowed")


def write_yaml(spec: AgentSpec) -> str:
    """Write an agent file: what differs from the defaults, limits together."""
    values = spec.model_dump(mode="json", exclude_defaults=True)
    values = {"name": spec.name, "key": spec.key, **values}
    limits = {name: values.pop(name) for name in _LIMITS if name in values}
    if limits:
        values["limits"] = limits
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)
