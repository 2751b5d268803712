"""Tools that are called only where the question itself names them: other agents and actions."""

import re
from typing import Any, cast

from muster.adapters.models.extractive.arguments import best_choice
from muster.adapters.models.extractive.toolkinds import (
    TASK_NAMES,
    Tool,
    name_words,
    properties_of,
)
from muster.adapters.models.extractive.words import STOP_WORDS, stem, tokens, word_set

_LOOKING = word_set("get list lookup show fetch check query describe view read find")
_ASKING = word_set("ask delegate to handoff agent the")
_ASKED_AGENT = re.compile(
    r"\b(?:ask|delegate (?:this )?to|consult)\s+(?:the\s+)?([\w-]+(?: [A-Z][\w-]+)?)", re.IGNORECASE
)


def arguments_of_asking(tool: Tool, question: str) -> dict[str, Any] | None:
    """Return the arguments for asking the agent that the question names, None without one."""
    schemas = properties_of(tool.spec)
    known: dict[str, Any] = {name: question for name in schemas if name.lower() in TASK_NAMES}
    if not tool.parameter:
        own = [word for word in name_words(tool.name) if word not in _ASKING]
        return known if own and set(own) <= set(tokens(question)) else None
    choices = schemas[tool.parameter].get("enum")
    if isinstance(choices, list):
        agent = best_choice(cast("list[Any]", choices), question)
    else:
        match = _ASKED_AGENT.search(question)
        agent = match[1] if match else None
    return None if agent is None else {**known, tool.parameter: agent}


def is_asked_for(tool: Tool, question: str) -> bool:
    """Tell whether the question wants the tool.

    A tool that changes something needs its verb and its noun in the question; one that looks
    something up needs half of its nouns.
    """
    words = name_words(tool.name)
    present = {stem(word) for word in tokens(question)}
    nouns = [word for word in words if word not in _LOOKING and word not in STOP_WORDS]
    named = sum(stem(word) in present for word in nouns)
    if set(words) & _LOOKING:
        return named > 0 and named * 2 >= len(nouns)
    return bool(nouns) and all(stem(word) in present for word in nouns[:2])
