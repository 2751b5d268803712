"""Names of runs: short, made of what is run and of what it is asked."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from muster.kernel.documents import DocumentBroken, read_document

_WORD = re.compile(r"\d+(?:[.,]\d+)*%?|[^\W_][\w'-]*")
_SMALL = frozenset(
    "a an and are as at be by do does for from how i in is it me my of on or our please "  # noqa: SIM905
    "tell that the this to was we what when where which who why with you your".split()
)
_WORDS = 4
_TELLING = {"name", "title", "role", "goal", "description", "instructions"}
"""Fields of agents and tasks that say what they are about."""
_DEEPEST = 5


def run_name(agent_name: str, inputs: Mapping[str, Any]) -> str:
    """Return the agent's name with the first telling words of the inputs."""
    words = telling_words(" ".join(str(v) for v in inputs.values() if isinstance(v, str)))
    return f"{agent_name} - {' '.join(words)}"[:255] if words else agent_name[:255]


def telling_words(text: str, count: int = _WORDS) -> list[str]:
    """Return the first words of a text that say something, capitalised."""
    found = [w for w in _WORD.findall(text[:2000]) if w.lower() not in _SMALL]
    return [w if w.isupper() else w[:1].upper() + w[1:] for w in found[:count]]


def described_by(source: str | dict[str, Any] | list[Any]) -> list[str]:
    """Return what the fields of agents or tasks say, given as YAML, JSON or objects."""
    if not isinstance(source, str):
        return list(_said(source, 0))
    try:
        return list(_said(read_document(source).value, 0)) or [source]
    except DocumentBroken:
        return [source]


def _said(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, list) and depth < _DEEPEST:
        for inner in cast("list[Any]", value):
            yield from _said(inner, depth + 1)
    if not isinstance(value, dict) or depth >= _DEEPEST:
        return
    for name, inner in cast("dict[str, Any]", value).items():
        if name in _TELLING and isinstance(inner, str):
            yield inner
        else:
            yield from _said(inner, depth + 1)


def generated_name(texts: list[str]) -> str:
    """Return two to four words that describe what the texts are about."""
    seen: dict[str, int] = {}
    words = [w for text in texts for w in telling_words(text, 40)]
    for word in words:
        seen[word] = seen.get(word, 0) + 1
    ranked = sorted(seen, key=lambda w: (-seen[w], words.index(w)))[:_WORDS]
    chosen = [w for w in words if w in ranked]
    name = list(dict.fromkeys(chosen))
    if len(name) == 1:
        name.append("Run")
    return " ".join(name) or "New Run"
