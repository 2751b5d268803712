"""The types of rules' parameters: what each one takes, and how it is written down."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from muster.domains.control.policies.engine.context import RISK_CLASSES, Schema
from muster.domains.control.policies.engine.errors import PatternInvalid
from muster.domains.control.policies.engine.fields import number
from muster.domains.control.policies.engine.regex import compile_pattern
from muster.domains.control.policies.engine.rule import Param
from muster.domains.control.policies.engine.vocabulary import KINDS, VERBS, WRITE, canonical_kind

TRIGGER_OPERATIONS = ("below", "above", "equals", "contains")
_DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")


class Wrong(ValueError):
    """A value that a parameter does not take; `at` is the place inside of the value."""

    def __init__(self, message: str, at: str = "") -> None:
        super().__init__(message)
        self.message, self.at = message, at


Read = Callable[[Any, Param, Schema], Any]


@dataclass(frozen=True, slots=True)
class _Type:
    """How a type of parameter is read, and what it is called in JSON Schema."""

    json: str
    read: Read


def _string(value: Any, *_: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Wrong("must be a string that is not blank")
    return value


def _list(value: Any, what: str) -> Sequence[Any]:
    if not isinstance(value, list) or not value:
        raise Wrong(f"must be a list of at least one {what}")
    return cast("list[Any]", value)


def _each(read: Read, what: str, *, single: bool = False) -> Read:
    def read_all(value: Any, param: Param, schema: Schema) -> list[Any]:
        items = [value] if single and isinstance(value, str) else _list(value, what)
        found: list[Any] = []
        for index, item in enumerate(items):
            try:
                found.append(read(item, param, schema))
            except Wrong as wrong:
                raise Wrong(wrong.message, f"[{index}]") from wrong
        return found

    return read_all


def _one_of(*allowed: str, upper: bool = False) -> Read:
    def read(value: Any, *_: Any) -> str:
        text = value.upper() if upper and isinstance(value, str) else value
        if text not in allowed:
            raise Wrong(f"must be one of {', '.join(allowed)}")
        return cast("str", text)

    return read


def _json(value: Any, *_: Any) -> Any:
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise Wrong("must be a JSON value") from error


def _values(value: Any, *_: Any) -> list[Any]:
    return _json(_list(value, "value"))


def _kind(value: Any, *_: Any) -> str:
    kind = canonical_kind(value) if isinstance(value, str) else None
    if kind is None:
        raise Wrong(f"must be one of the kinds {', '.join(KINDS)}")
    return kind


def _filter(value: Any, *_: Any) -> dict[str, Any] | None:
    if not isinstance(value, Mapping):
        raise Wrong("must be an object of property paths and the values they must have")
    for key in cast("Mapping[Any, Any]", value):
        if not isinstance(key, str) or not key:
            raise Wrong("must have property paths as keys")
    return _json(value) or None


def _pattern(value: Any, _: Param, schema: Schema) -> str:
    source = _string(value)
    try:
        compile_pattern(source, strict=schema == "3")
    except PatternInvalid as error:
        raise Wrong(str(error)) from error
    return source


def _boolean(value: Any, *_: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong("must be true or false")
    return value


def _integer(value: Any, param: Param, _: Schema) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Wrong("must be an integer")
    return _within(value, param)


def _number(value: Any, param: Param, _: Schema) -> float:
    if number(value) is None:
        raise Wrong("must be a number")
    return _within(value, param)


def _within(value: Any, param: Param) -> Any:
    if value < param.minimum or (param.maximum is not None and value > param.maximum):
        if param.maximum is None:
            raise Wrong(f"must be at least {param.minimum}")
        raise Wrong(f"must be between {param.minimum} and {param.maximum}")
    return value


def _timezone(value: Any, *_: Any) -> str:
    name = _string(value)
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Wrong("must be a name of the time zone database, such as Europe/Amsterdam") from error
    return name


def _domain(value: Any, *_: Any) -> str:
    text = _string(value).casefold().rstrip(".")
    if not _DOMAIN.fullmatch(text):
        raise Wrong("must be a host name without scheme, port or wildcard; subdomains are included")
    return text


def _agent_field(value: Any, *_: Any) -> str:
    name = _string(value)
    if name in {"declared_tools", "agent_allowed_tools", "allowed_tools"}:
        return "declared_tools"
    if name.startswith("metadata.") and name != "metadata.":
        return name
    raise Wrong("must be declared_tools or metadata.<key>")


def _trigger(value: Any, *_: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise Wrong("must be an object with field, op and value")
    raw = cast("Mapping[Any, Any]", value)
    for key in raw:
        if key not in {"field", "op", "value"}:
            raise Wrong("a trigger condition has only field, op and value", f".{key}")
    if raw.get("op") not in TRIGGER_OPERATIONS:
        raise Wrong(f"must be one of {', '.join(TRIGGER_OPERATIONS)}", ".op")
    if not isinstance(raw.get("field"), str) or not raw["field"]:
        raise Wrong("must be the path of a field", ".field")
    wanted = raw.get("value")
    if wanted is None:
        raise Wrong("is required", ".value")
    if raw["op"] in {"below", "above"} and number(wanted) is None:
        raise Wrong("must be a number to compare with", ".value")
    return {"field": raw["field"], "op": raw["op"], "value": _json(wanted)}


_VERB = _one_of(*VERBS, WRITE, upper=True)
TYPES: dict[str, _Type] = {
    "string": _Type("string", _string),
    "values": _Type("array", _values),
    "regex": _Type("string", _pattern),
    "regexes": _Type("array", _each(_pattern, "pattern")),
    "step_type": _Type("string", _kind),
    "step_types": _Type("array", _each(_kind, "step kind", single=True)),
    "verb": _Type("string", _VERB),
    "verbs": _Type("array", _each(_VERB, "verb")),
    "filter": _Type("object", _filter),
    "boolean": _Type("boolean", _boolean),
    "integer": _Type("integer", _integer),
    "number": _Type("number", _number),
    "timezone": _Type("string", _timezone),
    "domains": _Type("array", _each(_domain, "domain")),
    "risk_classifications": _Type("array", _each(_one_of(*RISK_CLASSES), "risk class")),
    "gate_kind": _Type("string", _one_of("human", "guardrail")),
    "agent_field": _Type("string", _agent_field),
    "trigger": _Type("object", _trigger),
}
JSON_TYPES = {
    **{name: known.json for name, known in TYPES.items()},
    "condition": "object",
    "conditions": "array",
}
