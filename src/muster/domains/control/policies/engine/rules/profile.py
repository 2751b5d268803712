"""Rules about one field: of an agent's profile, or of a step."""

from collections.abc import Sized
from typing import Any

from muster.domains.control.policies.engine.context import Details
from muster.domains.control.policies.engine.fields import MISSING, same, text
from muster.domains.control.policies.engine.regex import compile_pattern
from muster.domains.control.policies.engine.rule import (
    AT_REGISTRATION_AND_STEP,
    Judgement,
    Moment,
    Param,
    Rule,
    Setup,
    violation,
)

_FIELD = Param(
    "field",
    "string",
    "The field; a dotted name is read inside properties.",
    required=True,
)


def _field_not_empty(setup: Setup) -> Judgement:
    path: str = setup.params["field"]
    is_empty = _is_blank if setup.is_third else _is_absent

    def judge(moment: Moment) -> Details | None:
        if not is_empty(moment.read(path)):
            return None
        return violation(f"{path} is missing or empty", field=path)

    return Judgement(judge)


def _is_absent(value: Any) -> bool:
    return value is MISSING or value is None or value == ""


def _is_blank(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return _is_absent(value) or (isinstance(value, Sized) and not len(value))


def _field_in_list(setup: Setup) -> Judgement:
    path: str = setup.params["field"]
    values: list[Any] = setup.params["values"]

    def judge(moment: Moment) -> Details | None:
        found = moment.read(path)
        value = None if found is MISSING else found
        if any(same(value, allowed) for allowed in values):
            return None
        return violation(f"{path} is none of the allowed values", field=path, value=value)

    return Judgement(judge)


def _field_matches_regex(setup: Setup) -> Judgement:
    path: str = setup.params["field"]
    source: str = setup.params["pattern"]
    third = setup.is_third
    pattern = compile_pattern(source, anchored=not third, dotall=not third, strict=third)

    def judge(moment: Moment) -> Details | None:
        if pattern.matches(text(moment.read(path))):
            return None
        return violation(f"{path} does not match the pattern", field=path, pattern=source)

    return Judgement(judge)


RULES = (
    Rule(
        "field_not_empty",
        "A field must have a value. In schema 3 blank strings and empty lists and objects count "
        "as empty too.",
        AT_REGISTRATION_AND_STEP,
        (_FIELD,),
        _field_not_empty,
    ),
    Rule(
        "field_in_list",
        "A field must have one of the listed values; a missing field has the value null.",
        AT_REGISTRATION_AND_STEP,
        (_FIELD, Param("values", "values", "The allowed values.", required=True)),
        _field_in_list,
    ),
    Rule(
        "field_matches_regex",
        "A field, as text, must match a pattern. In schema 2 the match starts at the beginning "
        "and a dot matches newlines; in schema 3 the pattern is searched for anywhere. Look-around "
        "and back-references are not available.",
        AT_REGISTRATION_AND_STEP,
        (_FIELD, Param("pattern", "regex", "The regular expression.", required=True)),
        _field_matches_regex,
    ),
)
