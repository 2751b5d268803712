"""Which memories fit a query, by the words that both have (BM25).

An agent has a bounded number of short memories, so they are ranked as they are read; an index
would have to be kept up on both databases and save nothing that could be felt.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

from muster.adapters.tools.search import COMMON
from muster.domains.catalogue.memories.models import AgentMemory

_WORD = re.compile(r"\w+")
_SATURATION, _LENGTH = 1.2, 0.75
_SHORTEST_PLURAL = 4


def words_of(text: str) -> list[str]:
    """Return the words of a text, without their case and without the `s` of a plural."""
    return [_singular(word) for word in _words(text)]


def ranked(query: str, memories: Sequence[AgentMemory]) -> list[tuple[str, float]]:
    """Return (id, score) of those that have a word of the query, best first.

    Of two that fit as well the more important one goes first, then the newer one.
    """
    words = _words(query)
    telling = [word for word in words if word not in COMMON] or words
    wanted = dict.fromkeys(map(_singular, telling))
    texts = [Counter(words_of(" ".join((m.content, m.category, *m.tags)))) for m in memories]
    lengths = [text.total() for text in texts]
    average = sum(lengths) / len(lengths) if lengths else 1.0
    weights = {word: _weight(len(texts), sum(word in text for text in texts)) for word in wanted}
    found: list[tuple[float, int, str]] = []
    for memory, text, length in zip(memories, texts, lengths, strict=True):
        norm = _SATURATION * (1 - _LENGTH + _LENGTH * length / average)
        score = sum(
            weight * text[word] * (_SATURATION + 1) / (text[word] + norm)
            for word, weight in weights.items()
            if text[word]
        )
        if score:
            found.append((round(score, 4), memory.importance, memory.id))
    return [(memory_id, score) for score, _, memory_id in sorted(found, reverse=True)]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _weight(total: int, having: int) -> float:
    return math.log(1 + (total - having + 0.5) / (having + 0.5))


def _singular(word: str) -> str:
    plural = len(word) >= _SHORTEST_PLURAL and word.endswith("s") and not word.endswith("ss")
    return word[:-1] if plural else word
