"""What every tool transport shares: an outcome, the ways to fail, and checked arguments."""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, cast

from muster.kernel.errors import FieldError, Invalid, UpstreamFailed, UpstreamTimeout
from muster.kernel.json_schema import schema_fault, validator_of

MAX_TEXT_CHARS = 100_000
_MAX_REPORTED_ERRORS = 20
_MAX_SHOWN = 200


class ToolFailed(UpstreamFailed):
    code, title = "tool_failed", "The tool could not be carried out"


class ToolUnreachable(ToolFailed):
    """The other side could not be reached or could not answer: that says something about it."""


class ToolTimeout(UpstreamTimeout):
    code, title = "tool_timeout", "The tool did not answer in time"


class ToolInputInvalid(Invalid):
    code, title = "tool_input_invalid", "The tool's arguments are not valid"


class ToolConfigurationInvalid(Invalid):
    code, title = "tool_configuration_invalid", "The tool's configuration is not valid"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutcome:
    """What a tool answered.

    `content` is any JSON value, meant for the model. `is_error` says that the tool itself reports
    a failure, which the model may read and work around. `properties` are facts for the journal.
    """

    content: Any
    is_error: bool = False
    properties: dict[str, Any] = field(default_factory=dict[str, Any])


def shorten(text: str, limit: int = MAX_TEXT_CHARS) -> tuple[str, bool]:
    """Cut `text` to `limit` characters and say so at its end; the flag tells whether it was cut."""
    if len(text) <= limit:
        return text, False
    return f"{text[:limit]}\n[truncated: {len(text) - limit} of {len(text)} characters]", True


def validate_schema(schema: object, field_name: str = "schema") -> dict[str, Any]:
    """Require a JSON Schema of an object whose references stay inside it, and return it."""
    if not isinstance(schema, dict):
        raise _refused(field_name, "The schema must be a JSON object.")
    typed = cast("dict[str, Any]", schema)
    if typed.get("type", "object") != "object":
        raise _refused(field_name, 'The schema of a tool\'s input must have "type": "object".')
    if fault := schema_fault(typed):
        raise _refused(f"{field_name}.{fault.path}".rstrip("."), fault.text)
    return typed


def _refused(field_name: str, text: str) -> ToolConfigurationInvalid:
    return ToolConfigurationInvalid(text, errors=[FieldError(field_name, text)])


def validate_arguments(schema: Mapping[str, Any], arguments: object) -> dict[str, Any]:
    """Return the arguments with the schema's defaults filled in, or say what is wrong, by path."""
    from referencing.exceptions import Unresolvable

    if not isinstance(arguments, dict):
        raise ToolInputInvalid("The arguments must be a JSON object.")
    given = cast("dict[str, Any]", arguments)
    filled = cast("dict[str, Any]", _with_defaults(schema, given))
    validator = validator_of(schema)
    errors: list[FieldError] = []
    try:
        for error in validator.iter_errors(filled):
            errors.append(FieldError(_path(error.absolute_path) or "arguments", _message(error)))
            if len(errors) == _MAX_REPORTED_ERRORS:
                break
    except Unresolvable:
        raise ToolConfigurationInvalid(
            "The tool's schema has a reference that leads nowhere."
        ) from None
    except RecursionError:
        raise ToolInputInvalid("The arguments are nested too deeply.") from None
    if errors:
        text = "; ".join(f"{error.field}: {error.message}" for error in errors)
        raise ToolInputInvalid(f"The arguments do not fit the tool: {text}.", errors=errors)
    return filled


def _with_defaults(schema: object, value: object) -> object:
    """Copy `value`, adding the default of every absent property along `properties` and `items`."""
    if not isinstance(schema, Mapping):
        return value
    typed = cast("Mapping[str, Any]", schema)
    if isinstance(value, dict):
        filled = dict(cast("dict[str, Any]", value))
        properties: object = typed.get("properties")
        if isinstance(properties, Mapping):
            for name, inner in cast("Mapping[str, object]", properties).items():
                if name in filled:
                    filled[name] = _with_defaults(inner, filled[name])
                elif isinstance(inner, Mapping) and "default" in inner:
                    filled[name] = deepcopy(cast("Mapping[str, Any]", inner)["default"])
        return filled
    if isinstance(value, list):
        return [_with_defaults(typed.get("items"), item) for item in cast("list[object]", value)]
    return value


def _path(parts: Any) -> str:
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


_BOUNDS = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be more than {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "minProperties": "must have at least {} fields",
    "maxProperties": "must have at most {} fields",
    "pattern": "must match the pattern {}",
    "format": "must have the format {}",
    "const": "must be {}",
}


def _message(error: Any) -> str:
    """Say in our words what a validation error of jsonschema means."""
    rule, expected = str(error.validator), error.validator_value
    if rule in _BOUNDS:
        return _BOUNDS[rule].format(_short_json(expected))
    text = f"breaks the rule '{rule}' of the schema"
    match rule:
        case "type":
            names: list[str] = [expected] if isinstance(expected, str) else list(expected)
            text = f"must be of type {' or '.join(names)}"
        case "required":
            missing = [repr(name) for name in expected if name not in error.instance]
            text = f"is missing {', '.join(missing)}"
        case "enum":
            text = f"must be one of {_short_json(expected)}"
        case "additionalProperties" | "unevaluatedProperties":
            known = error.schema.get("properties", {})
            unknown = [repr(name) for name in error.instance if name not in known]
            text = f"has unknown fields: {', '.join(unknown)}"
        case "uniqueItems":
            text = "must not repeat an item"
        case "anyOf" | "oneOf":
            text = "fits none, or more than one, of the allowed forms"
        case _:
            pass
    return text


def _short_json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
