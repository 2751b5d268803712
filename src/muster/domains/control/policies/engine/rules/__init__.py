"""All the rules, by name."""

from typing import Any

from muster.domains.control.policies.engine.context import SCOPES
from muster.domains.control.policies.engine.param_types import JSON_TYPES
from muster.domains.control.policies.engine.rule import Param, Rule
from muster.domains.control.policies.engine.rules import (
    agent,
    budget,
    compound,
    content,
    course,
    order,
    profile,
)

_MODULES = (profile, order, course, budget, content, agent, compound)
RULES: dict[str, Rule] = {rule.name: rule for module in _MODULES for rule in module.RULES}


def rule_catalogue() -> list[dict[str, Any]]:
    """Describe every rule: name, description, scopes, and its parameters by name.

    A parameter has `type` (of JSON Schema), `format` (what is taken, such as `step_type`),
    `required`, `description`, and, when they say something, `default`, `minimum`, `maximum` and
    `schema` (the only generation that knows it). `third_name` is its name in schema 3.
    """
    return [
        {
            "name": rule.name,
            "description": rule.description,
            "scopes": [scope for scope in SCOPES if scope in rule.scopes],
            "params": {param.name: _described(param) for param in rule.params},
        }
        for rule in RULES.values()
    ]


def _described(param: Param) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": JSON_TYPES[param.type],
        "format": param.type,
        "required": param.required,
        "description": param.description,
    }
    if param.type in {"integer", "number"}:
        described["minimum"] = param.minimum
    rest = {
        "maximum": param.maximum,
        "default": param.default,
        "schema": param.schema,
        "third_name": param.third_name if param.third_name != param.name else None,
    }
    return {**described, **{key: value for key, value in rest.items() if value is not None}}
