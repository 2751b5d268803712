"""Summaries: the sentences that stand best for a text, in their order."""

import math
import re
from collections import Counter
from collections.abc import Sequence

from muster.adapters.models.extractive.citations import Citations
from muster.adapters.models.extractive.ranking import NUMERAL, Corpus, overlap
from muster.adapters.models.extractive.reading import Conversation
from muster.adapters.models.extractive.sentences import Sentence
from muster.adapters.models.extractive.wording import composed, ended
from muster.adapters.models.extractive.words import stems

_SUMMARY = re.compile(
    r"\b(?:summari[sz]e|summary|shorten|condense|tl;?dr|key points|main points|overview|gist|"
    r"digest|sum up)\b",
    re.IGNORECASE,
)
_COUNT = re.compile(
    r"\b(?:in|with|at most|max(?:imum)?|exactly|up to|the|top)?\s*(?P<number>\d{1,2}|one|two|"
    r"three|four|five|six|"
    r"seven|eight|nine|ten|a single)\s+(?:short |key |main |brief )?(?:sentences?|bullet points?|"
    r"bullets|points)\b",
    re.IGNORECASE,
)
_WORD_COUNTS = {
    "a single": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8,
    "nine": 9, "ten": 10,
}  # fmt: skip
_CANDIDATES = 200
_SHORT = 5
_SAME = 0.5


def wants_summary(question: str) -> bool:
    """Tell whether a summary is asked for."""
    return _SUMMARY.search(question) is not None


def wanted_count(text: str) -> int | None:
    """Return how many sentences or points are asked for, None where no number is given."""
    match = _COUNT.search(text)
    if match is None:
        return None
    number = match["number"].lower()
    return max(1, min(20, _WORD_COUNTS.get(number) or int(number)))


def summarise(conversation: Conversation, corpus: Corpus) -> str:
    """Return the most central sentences of everything that was given."""
    asked = f"{conversation.question}\n{conversation.hints}"
    pool = _worth_summarising(conversation, corpus)
    sentences = central(pool, wanted_count(asked) or max(2, min(6, 1 + len(pool) // 5)))
    if not sentences:
        return ""
    citations = Citations()
    lines = [f"{s.text} {citations.cite(s)}" for s in sentences]
    is_own_text = all(not sentence.document.location for sentence in sentences)
    if is_own_text and len(citations.labels()) == 1:
        texts = [sentence.text for sentence in sentences]
        bullets = "bullet" in asked.lower() or "points" in asked.lower()
        return "\n".join(f"- {text}" for text in texts) if bullets else " ".join(map(ended, texts))
    return composed(lines, citations, [])


def _worth_summarising(conversation: Conversation, corpus: Corpus) -> list[Sentence]:
    """Return what came with the question, else what was opened for it, else everything."""
    recent = [d for e in conversation.exchanges if e.is_recent for d in e.findings.documents]
    for documents in (conversation.handed_over, [d for d in recent if d.is_opened]):
        wanted = {id(document) for document in documents}
        sentences = [s for s in corpus.sentences if id(s.document) in wanted]
        if sentences:
            return sentences
    return corpus.sentences


def central(sentences: Sequence[Sentence], count: int) -> list[Sentence]:
    """Return the sentences that share most words with the others, in their order.

    Later sentences under a heading that is represented already count for less.
    """
    words = [frozenset(stems(sentence.text)) for sentence in sentences]
    frequency = Counter(word for group in words for word in group)
    weights = {
        number: _weight(number, sentences[number], group, frequency)
        for number, group in enumerate(words)
        if group and not sentences[number].text.endswith((":", "?"))
    }
    pool = sorted(weights, key=lambda number: (-weights[number], number))[:_CANDIDATES]
    chosen: list[int] = []
    while pool and len(chosen) < count:
        headings = Counter(sentences[number].heading for number in chosen)
        best = max(pool, key=lambda n: (weights[n] * 0.7 ** headings[sentences[n].heading], -n))
        pool.remove(best)
        if all(overlap(words[best], words[other]) < _SAME for other in chosen):
            chosen.append(best)
    return [sentences[number] for number in sorted(chosen)]


def _weight(
    number: int, sentence: Sentence, words: frozenset[str], frequency: Counter[str]
) -> float:
    shared = sum(math.log(1 + frequency[word]) for word in words) / (len(words) + _SHORT)
    early = 1.25 if number == 0 else 1.0 + 0.15 / (1 + number)
    return shared * early * (1.15 if NUMERAL.search(sentence.text) else 1.0)
