"""The rules that policies can name, as forms need them."""

from typing import Any

from muster.domains.control.policies.engine import rule_catalogue
from muster.domains.control.policies.schemas import RuleOut


def rules() -> list[RuleOut]:
    """Return every rule with its parameters as a JSON Schema."""
    return [
        RuleOut(
            name=rule["name"],
            rule_type=rule["name"],
            description=rule["description"],
            scopes=rule["scopes"],
            params_schema=_schema(rule["params"]),
        )
        for rule in rule_catalogue()
    ]


def _schema(params: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the JSON Schema; `x-format`, `x-schema` and `x-name-in-3` say what it cannot."""
    return {
        "type": "object",
        "properties": {name: _property(param) for name, param in params.items()},
        # A parameter that only one generation knows is not required in the other.
        "required": [n for n, p in params.items() if p["required"] and "schema" not in p],
        "additionalProperties": False,
    }


def _property(param: dict[str, Any]) -> dict[str, Any]:
    renamed = {"format": "x-format", "schema": "x-schema", "third_name": "x-name-in-3"}
    return {renamed.get(key, key): value for key, value in param.items() if key != "required"}
