"""Arguments of a tool filled from the words of the question, as far as its schema allows."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from muster.adapters.models.base import ToolSpec
from muster.adapters.models.extractive.addresses import EMAIL, PATH, URL
from muster.adapters.models.extractive.arithmetic import expressions
from muster.adapters.models.extractive.schemas import Schema, as_schema, resolved, type_of
from muster.adapters.models.extractive.toolkinds import (
    EXPRESSION_NAMES,
    PATH_NAMES,
    QUERY_NAMES,
    TASK_NAMES,
    URL_NAMES,
    name_words,
    properties_of,
    required_of,
)
from muster.adapters.models.extractive.words import keywords, stem, tokens, word_set
from muster.kernel.json_schema import schema_fault, validator_of

_DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
_QUOTED = re.compile(r"[\"“']([^\"”']{1,300})[\"”'](?!\w)")
_ZONE = re.compile(r"\b(?:[A-Z][A-Za-z]+/[A-Z][A-Za-z_]+|UTC)\b")
_PLACE = re.compile(
    r"\b(?:in|at|for|near|from|to)\s+"
    r"([A-ZÀ-Þ][\w'\u2019-]+(?:\s[A-ZÀ-Þ][\w'\u2019-]+){0,2})"
)
_CODE = re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Z-])[A-Z0-9]+(?:-[A-Z0-9]+)*\b")
_NAME = re.compile(r"\b([A-ZÀ-Þ][\w'\u2019-]+(?:\s[A-ZÀ-Þ][\w'\u2019-]+)+)")
_NUMBER = re.compile(r"(?<![\w.-])-?\d+(?:\.\d+)?(?![\w-])")
_WANTED_AMOUNT = re.compile(
    r"\b(?:top|first|limit(?: of)?|at most|max(?:imum)?(?: of)?)\s+(\d{1,6})\b"
    r"|\b(\d{1,6})\s+(?:results?|hits?|documents?|files?|items?)\b",
    re.IGNORECASE,
)
_AMOUNTS = frozenset(stem(word) for word in ("limit", "max", "top", "count", "k", "results"))
_HALF = 0.5
_TEXTS = word_set("text content message body input note comment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What arguments are filled from: the question and the text that came with it."""

    question: str
    text: str = ""


def fill(
    spec: ToolSpec, given: Given, known: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """Return arguments that fit the schema, or None where a required one cannot be known.

    `known` holds values that were chosen before. What the question says nothing about is left out
    when it is not required.
    """
    arguments: dict[str, Any] = dict(known or {})
    required = set(required_of(spec))
    for name, schema in properties_of(spec).items():
        if name in arguments:
            continue
        value = _value_of(name, schema, given, is_required=name in required)
        is_default = name not in required and value == schema.get("default")
        if value is not None and not is_default:
            arguments[name] = value
    if not required <= arguments.keys():
        return None
    return arguments if fits(arguments, spec.parameters) else None


def fits(value: Any, schema: Schema) -> bool:
    """Tell whether `value` is valid; a schema that is itself broken fits nothing."""
    if schema_fault(schema) is not None:
        return False
    try:
        return bool(validator_of(schema).is_valid(value))
    except Exception:  # noqa: BLE001 references that lead nowhere have several error types
        return False


def best_choice(choices: Sequence[Any], text: str) -> Any:
    """Return the choice whose words occur in `text`, None where none does."""
    present = {stem(word) for word in tokens(text)}
    best, best_share = None, 0.0
    for choice in choices:
        words = [stem(word) for word in name_words(str(choice))]
        share = sum(word in present for word in words) / len(words) if words else 0.0
        if share > best_share:
            best, best_share = choice, share
    return best if best_share >= _HALF else None


def _value_of(name: str, schema: Schema, given: Given, *, is_required: bool) -> Any:
    schema = resolved(schema, schema)
    if "const" in schema:
        return schema["const"]
    default: Any = schema.get("default")
    found: Any = None
    choices = schema.get("enum")
    if isinstance(choices, list):
        found = best_choice(cast("list[Any]", choices), given.question)
        return default if found is None else found
    match type_of(schema):
        case "string":
            found = next(_strings(name, schema, given, is_required=is_required), None)
        case "integer" | "number" as kind:
            is_integer = kind == "integer"
            question = given.question
            found = _number_of(name, question, is_integer=is_integer, is_required=is_required)
        case "boolean":
            found = _boolean_of(name, given.question, default, is_required=is_required)
        case "array":
            items = as_schema(schema.get("items"))
            entry = _value_of(name.removesuffix("s"), items, given, is_required=is_required)
            found = None if entry is None else [entry]
        case _:
            found = dict[str, Any]() if is_required and default is None else None
    return default if found is None else found


def _strings(name: str, schema: Schema, given: Given, *, is_required: bool) -> Iterator[str]:
    """Yield what may fill a text parameter; what its name asks for is given or nothing is."""
    lower, words = name.lower(), set(name_words(name))
    for wanted, find in _BY_NAME:
        if lower in wanted:
            yield from find(given.question)
            return
    for wanted, form, pattern in _BY_WORD:
        if words & wanted or (form and schema.get("format") == form):
            yield from (match[match.lastindex or 0] for match in pattern.finditer(given.question))
            return
    quoted = [match[1] for match in _QUOTED.finditer(given.question)]
    if words & _TEXTS or lower in TASK_NAMES:
        yield from (*quoted, *([given.text] if given.text else []))
        if is_required:
            yield given.question
    elif is_required:
        yield from quoted
        if "name" in words:
            yield from _names(given.question)


def _names(question: str) -> Iterator[str]:
    for match in _NAME.finditer(question):
        words = match[1].split()
        # The first word of a sentence is written like a name: "Find Ada Lovelace".
        is_start = match.start() == 0 and len(words) > len(("first", "last"))
        yield " ".join(words[1:] if is_start else words)


def _query_of(question: str) -> list[str]:
    return [" ".join(keywords(question)) or question]


_BY_NAME: tuple[tuple[frozenset[str], Callable[[str], list[str]]], ...] = (
    (QUERY_NAMES, _query_of),
    (URL_NAMES, URL.findall),
    (PATH_NAMES, PATH.findall),
    (EXPRESSION_NAMES, expressions),
)
_BY_WORD = (
    (word_set("email"), "email", EMAIL),
    (word_set("date"), "date", _DATE),
    (word_set("timezone zone tz"), "", _ZONE),
    (word_set("url uri"), "uri", URL),
    (word_set("city location place country town region"), "", _PLACE),
    (word_set("id code number key reference"), "", _CODE),
)


def _number_of(
    name: str, question: str, *, is_integer: bool, is_required: bool
) -> float | int | None:
    words = {stem(word) for word in name_words(name)}
    if words & _AMOUNTS:
        wanted = _WANTED_AMOUNT.search(question)
        return int(wanted[1] or wanted[2]) if wanted else None
    numbers = list(_NUMBER.finditer(question))
    for number in numbers:
        near = question[max(0, number.start() - 25) : number.end() + 25]
        if words & {stem(word) for word in tokens(near)}:
            return _as_number(number.group(), is_integer=is_integer)
    if is_required and len(numbers) == 1:
        return _as_number(numbers[0].group(), is_integer=is_integer)
    return None


def _as_number(text: str, *, is_integer: bool) -> float | int:
    return round(float(text)) if is_integer else float(text)


def _boolean_of(name: str, question: str, default: Any, *, is_required: bool) -> bool | None:
    words = [
        word for word in name_words(name) if word not in {"is", "has", "include", "with", "use"}
    ]
    pattern = "|".join(re.escape(word) for word in words)
    match = re.search(
        rf"(\b(?:not|no|without|don't|never)\s+(?:\w+\s+)?)?\b(?:{pattern})\b",
        question,
        re.IGNORECASE,
    )
    if pattern and match:
        return match[1] is None
    if isinstance(default, bool):
        return default
    return False if is_required else None
