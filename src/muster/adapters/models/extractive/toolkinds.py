"""What an offered tool is for, told from its name, description and parameters."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, cast

from muster.adapters.models.base import ToolSpec
from muster.adapters.models.extractive.words import tokens, word_set

Purpose = Literal[
    "search", "web_search", "read", "fetch", "calculate", "clock", "list", "ask", "other"
]

QUERY_NAMES = word_set(
    """
    query q search question keywords keyword term terms search_query pattern topic
    """
)
PATH_NAMES = word_set(
    """
    path file filename file_path filepath file_name document document_path
    """
)
URL_NAMES = word_set("url uri link address website href page_url")
EXPRESSION_NAMES = word_set("expression formula calculation equation expr sum")
PERSON_NAMES = word_set("agent coworker colleague agent_name recipient assistant worker")
TASK_NAMES = word_set("question task message prompt request")

_SEARCHING = word_set("search find query lookup retrieve retrieval knowledge grep")
_READING = word_set("read open get load view show cat")
_CLOCKS = word_set("time date clock now today datetime")
_LISTING = word_set("list browse index ls")
_CHANGING = word_set(
    """
    write delete remove create update edit send post put patch move rename append save set run
    execute
    """
)
_DESCRIBED = 400
_WEB = re.compile(
    r"\b(?:web|internet|online|google|bing|duckduckgo|serp|tavily|news)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool with what it is for and the parameter that decides it."""

    spec: ToolSpec
    purpose: Purpose
    parameter: str = ""

    @property
    def name(self) -> str:
        return self.spec.name


def properties_of(spec: ToolSpec) -> dict[str, dict[str, Any]]:
    """Return the parameters' schemas; what is no object counts as free."""
    found = spec.parameters.get("properties")
    if not isinstance(found, dict):
        return {}
    entries = cast("dict[str, Any]", found)
    return {
        name: cast("dict[str, Any]", schema) if isinstance(schema, dict) else {}
        for name, schema in entries.items()
    }


def required_of(spec: ToolSpec) -> list[str]:
    """Return the names of the parameters that must be given."""
    found = spec.parameters.get("required")
    return [str(name) for name in cast("list[Any]", found)] if isinstance(found, list) else []


def name_words(name: str) -> list[str]:
    """Return the words of a tool's or parameter's name: `readFile` and `read_file` alike."""
    return tokens(re.sub(r"[_\-./]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)))


def tool_of(spec: ToolSpec) -> Tool:
    """Tell what a tool is for."""
    other = Tool(spec=spec, purpose="other")
    if set(name_words(spec.name)) & _CHANGING:
        return other
    return next(chain(_asking(spec), _by_parameter(spec), _by_name(spec)), other)


def _one_of(spec: ToolSpec, wanted: frozenset[str]) -> str:
    return next((name for name in properties_of(spec) if name.lower() in wanted), "")


def _asking(spec: ToolSpec) -> Iterator[Tool]:
    words = set(name_words(spec.name))
    takes_task = bool(_one_of(spec, TASK_NAMES))
    person = _one_of(spec, PERSON_NAMES)
    if (
        (person and takes_task)
        or words & {"delegate", "handoff"}
        or (takes_task and "ask" in words)
    ):
        yield Tool(spec=spec, purpose="ask", parameter=person)


def _by_parameter(spec: ToolSpec) -> Iterator[Tool]:
    about = set(name_words(spec.name)) | set(tokens(spec.description[:_DESCRIBED]))
    if expression := _one_of(spec, EXPRESSION_NAMES):
        yield Tool(spec=spec, purpose="calculate", parameter=expression)
    if (query := _one_of(spec, QUERY_NAMES)) and about & _SEARCHING:
        is_web = _WEB.search(" ".join(sorted(about))) is not None
        yield Tool(spec=spec, purpose="web_search" if is_web else "search", parameter=query)
    if url := _one_of(spec, URL_NAMES):
        yield Tool(spec=spec, purpose="fetch", parameter=url)
    if (path := _one_of(spec, PATH_NAMES)) and about & _READING:
        yield Tool(spec=spec, purpose="read", parameter=path)


def _by_name(spec: ToolSpec) -> Iterator[Tool]:
    words = set(name_words(spec.name))
    if not required_of(spec):
        if words & _CLOCKS:
            yield Tool(spec=spec, purpose="clock")
        if words & _LISTING:
            yield Tool(spec=spec, purpose="list")
