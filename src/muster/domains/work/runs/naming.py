"""Names of runs: short, made of what is run and of what it is asked."""

import re
from collections.abc import Mapping
from typing import Any

_WORD = re.compile(r"\d+(?:[.,]\d+)*%?|[^\W_][\w'-]*")
_SMALL = frozenset(
    "a an and are as at be by do does for from how i in is it me my of on or our please "  # noqa: SIM905
    "tell that the this to was we what when where which who why with you your".split()
)
_WORDS = 4


def run_name(agent_name: str, inputs: Mapping[str, Any]) -> str:
    """Return the agent's name with the first telling words of the inputs."""
    words = telling_words(" ".join(str(v) for v in inputs.values() if isinstance(v, str)))
    return f"{agent_name} - {' '.join(words)}"[:255] if words else agent_name[:255]


def telling_words(text: str, count: int = _WORDS) -> list[str]:
    """Return the first words of a text that say something, capitalised."""
    found = [w for w in _WORD.findall(text[:2000]) if w.lower() not in _SMALL]
    return [w if w.isupper() else w[:1].upper() + w[1:] for w in found[:count]]


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
