"""Agents as YAML files: reading and writing."""

from typing import Any

import yaml
from pydantic import ValidationError

from muster.domains.catalogue.agents.errors import AgentYamlInvalid
from muster.domains.catalogue.agents.schemas import AgentCreate
from muster.domains.catalogue.agents.spec import AgentSpec
from muster.kernel.documents import DocumentBroken, read_document
from muster.kernel.errors import FieldError

_LIMITS = ("max_iter", "max_rpm", "max_execution_time")


def read_yaml(text: str) -> AgentCreate:
    """Read an agent file; raises `AgentYamlInvalid` with the line or the fields at fault."""
    try:
        data = read_document(text).value
    except DocumentBroken as error:
        raise AgentYamlInvalid(error.text) from None
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


def write_yaml(spec: AgentSpec) -> str:
    """Write an agent file: what differs from the defaults, limits together."""
    values = spec.model_dump(mode="json", exclude_defaults=True)
    values = {"name": spec.name, "key": spec.key, **values}
    limits = {name: values.pop(name) for name in _LIMITS if name in values}
    if limits:
        values["limits"] = limits
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)
