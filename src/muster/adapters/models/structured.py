"""Checks that a model's answer is JSON that fits the schema it was asked for."""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, cast

from jsonschema.exceptions import ValidationError
from referencing.exceptions import Unresolvable

from muster.adapters.models.base import ModelUnsupported
from muster.kernel.json_schema import schema_fault, validator_of

_LONGEST_REASON = 300
_REMEMBERED_SCHEMAS = 256


class Unfit(ValueError):
    """The answer does not fit; the text says where."""


def check_schema(schema: dict[str, Any]) -> None:
    """Refuse an output schema that no answer could be checked against."""
    _validator(json.dumps(schema, sort_keys=True))


def fitted(text: str, schema: dict[str, Any]) -> str:
    """Return the JSON in the text, or raise `Unfit`."""
    value, found = _json_in(text)
    validator = _validator(json.dumps(schema, sort_keys=True))
    try:
        problem = next(cast("Iterator[ValidationError]", validator.iter_errors(value)), None)
    except (Unresolvable, RecursionError) as error:
        raise _unusable("Its references lead nowhere, or in a circle.") from error
    if problem is not None:
        where = "/".join(str(step) for step in problem.absolute_path) or "the answer"
        raise Unfit(f"{where}: {problem.message}"[:_LONGEST_REASON])
    return found


def _json_in(text: str) -> tuple[Any, str]:
    # Models without a JSON mode like to wrap the object into a fence or a sentence.
    start, end = text.find("{"), text.rfind("}") + 1
    for candidate in (text.strip(), text[start:end] if 0 <= start < end else ""):
        try:
            return json.loads(candidate), candidate
        except ValueError:
            continue
    raise Unfit("the answer is not JSON")


@lru_cache(maxsize=_REMEMBERED_SCHEMAS)
def _validator(schema_text: str) -> Any:
    schema = json.loads(schema_text)
    if fault := schema_fault(schema):
        raise _unusable(fault.text)
    return validator_of(schema)


def _unusable(reason: str) -> ModelUnsupported:
    return ModelUnsupported(
        f"No answer can be held against the output schema. {reason} Give one self-contained JSON "
        "Schema of type object."
    )
