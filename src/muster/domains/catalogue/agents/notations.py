"""Agents as YAML files: reading and writing."""

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
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise AgentYamlInvalid(f"{place}{error.problem or 'not readable'}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise AgentYamlInvalid("The text cannot be read as YAML.") from error
    if not isinstance(data, dict):
        raise AgentYamlInvalid("The file must be a mapping with at least `name`.")
    values: dict[str, Any] = {str(key): value for key, value in data.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
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


def write_yaml(spec: AgentSpec) -> str:
    """Write an agent file: what differs from the defaults, limits together."""
    values = spec.model_dump(mode="json", exclude_defaults=True)
    values = {"name": spec.name, "key": spec.key, **values}
    limits = {name: values.pop(name) for name in _LIMITS if name in values}
    if limits:
        values["limits"] = limits
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)
