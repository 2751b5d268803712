"""How sentences and lists are put into Markdown."""

import re
from collections.abc import Sequence

from muster.adapters.models.extractive.citations import Citations
from muster.adapters.models.extractive.sentences import Sentence

_LEANS_BACK = re.compile(
    r"^(?:it|they|this|these|those|he|she|such|both|after that|otherwise)\b",
    re.IGNORECASE,
)
_LONGEST_CONTEXT = 220
_LONGEST = 640


def displayed(sentence: Sentence) -> str:
    """Return the sentence; one that leans on the sentence before it brings that along."""
    text = sentence.text
    if _LEANS_BACK.match(text) and 0 < len(sentence.previous) <= _LONGEST_CONTEXT:
        text = f"{sentence.previous} {text}"
    if len(text) > _LONGEST:
        text = text[:_LONGEST].rsplit(" ", 1)[0] + " …"
    return text


def ended(text: str) -> str:
    """Return `text` with an end to its sentence."""
    return text if text[-1:] in ".!?…" else f"{text}."


def composed(lines: Sequence[str], citations: Citations, notes: Sequence[str]) -> str:
    """Return an answer: the first line, the others as points, notes, then the sources."""
    parts = [lines[0]]
    if lines[1:]:
        parts.append("\n".join(f"- {line}" for line in lines[1:]))
    if notes:
        parts.append("\n".join(notes))
    if listing := citations.listing():
        parts.append(listing)
    return "\n\n".join(parts)
