"""Sentences ranked against a question: BM25 over their fields, then redundancy taken out."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from muster.adapters.models.extractive.quantities import has_date
from muster.adapters.models.extractive.questions import Facet
from muster.adapters.models.extractive.sentences import Document, Sentence, split_document
from muster.adapters.models.extractive.words import stems, synonyms, tokens

_K1 = 1.2
_B = 0.35
_HEADING = 0.6
_TITLE = 0.35
_SYNONYM = 0.65
ENOUGH = 0.34
_PERIOD = re.compile(r"\b(?:within|after|before|ahead|day|days|weeks|months)\b", re.IGNORECASE)
_PERSON = re.compile(r"\b[A-ZÀ-Þ][\w'\u2019-]+ [A-ZÀ-Þ][\w'\u2019-]+")
_REASON = re.compile(
    r"\b(?:because|caused?|due to|reason|since|root|led to|result of)\b", re.IGNORECASE
)
NUMERAL = re.compile(
    r"(?<![\w-])\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|once|twice|"
    r"half|nobody|none)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Ranked:
    """A sentence with its score for one question; `coverage` is the matched share of its words."""

    sentence: Sentence
    score: float
    coverage: float


class Corpus:
    """The sentences of some documents, indexed by stem."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self.sentences: list[Sentence] = []
        self._texts: dict[str, dict[int, int]] = defaultdict(dict)
        self._headings: dict[str, set[int]] = defaultdict(set)
        self._titles: dict[int, frozenset[str]] = {}
        self._lengths: list[int] = []
        self._ranks: dict[Any, list[Ranked]] = {}
        headings: dict[str, frozenset[str]] = {}
        for document in documents:
            title = frozenset(
                stems(f"{_first_heading(document)} {document.title} {_name(document)}")
            )
            for sentence in split_document(document):
                number = len(self.sentences)
                self.sentences.append(sentence)
                words = Counter(stems(sentence.text))
                for word, count in words.items():
                    self._texts[word][number] = count
                if sentence.heading not in headings:
                    headings[sentence.heading] = frozenset(stems(sentence.heading))
                for word in headings[sentence.heading]:
                    self._headings[word].add(number)
                self._titles[number] = title
                self._lengths.append(sum(words.values()))
        self._average = (sum(self._lengths) / len(self._lengths)) if self._lengths else 1.0

    def rank(self, facet: Facet, enough: float = ENOUGH) -> list[Ranked]:
        """Return the sentences that hold `enough` of what `facet` asks for, best first."""
        key = (facet.text, facet.within, tuple(facet.weights.items()))
        if key not in self._ranks:
            self._ranks[key] = self._rank(facet)
        return [item for item in self._ranks[key] if item.coverage >= enough]

    def _rank(self, facet: Facet) -> list[Ranked]:
        total = sum(facet.weights.values())
        if not total:
            return []
        scores: dict[int, float] = defaultdict(float)
        matched: dict[int, float] = defaultdict(float)
        touched: set[int] = set()
        for word, weight in facet.weights.items():
            for number, (strength, in_text) in self._matches(word).items():
                norm = _K1 * (1 - _B + _B * self._lengths[number] / self._average)
                scores[number] += (
                    weight * self._rarity(word) * strength * (_K1 + 1) / (strength + norm)
                )
                matched[number] += weight * min(1.0, strength)
                if in_text:
                    touched.add(number)
        pairs = _pairs(facet.text)
        meant = facet.within and any(title >= facet.within for title in self._titles.values())
        ranked = [
            Ranked(
                self.sentences[number],
                scores[number]
                * (0.3 + 0.7 * matched[number] / total)
                * self._suits(number, facet, pairs),
                matched[number] / total,
            )
            for number in touched
            if not meant or self._titles[number] >= facet.within
        ]
        return sorted(
            ranked, key=lambda item: (-item.score, item.sentence.line or 0, item.sentence.text)
        )

    def _matches(self, word: str) -> dict[int, tuple[float, bool]]:
        """Return for each sentence how strongly it holds `word`, and whether in its own text."""
        found: dict[int, tuple[float, bool]] = {}
        for candidate, factor in ((word, 1.0), *((other, _SYNONYM) for other in synonyms(word))):
            for number, count in self._texts.get(candidate, {}).items():
                strength = factor * count
                if number not in found or found[number][0] < strength:
                    found[number] = (strength, True)
            for number in self._headings.get(candidate, ()):
                strength, in_text = found.get(number, (0.0, False))
                found[number] = (max(strength, _HEADING * factor) + (0.1 if in_text else 0), True)
        if self._title_words(word):
            for number, title in self._titles.items():
                if word in title or not synonyms(word).isdisjoint(title):
                    strength, in_text = found.get(number, (0.0, False))
                    factor = 1.0 if word in title else _SYNONYM
                    found[number] = (max(strength, _TITLE * factor), in_text)
        return found

    def _title_words(self, word: str) -> bool:
        wanted = {word, *synonyms(word)}
        return any(not wanted.isdisjoint(title) for title in set(self._titles.values()))

    def _rarity(self, word: str) -> float:
        holding = len(self._texts.get(word, {}))
        return math.log(1 + (len(self.sentences) - holding + 0.5) / (holding + 0.5))

    def _suits(self, number: int, facet: Facet, pairs: set[tuple[str, str]]) -> float:
        sentence = self.sentences[number]
        factor = 1.0
        if fits_kind(sentence.text, facet):
            factor *= 1.5
        if pairs:
            words = stems(sentence.text)
            factor *= 1 + 0.2 * min(2, len(pairs & set(pairwise(words))))
        if is_headed(sentence, facet):
            factor *= 1.35
        if sentence.text.endswith(":"):
            factor *= 0.5
        if sentence.text.endswith("?"):
            factor *= 0.6
        return factor


def diverse(ranked: Sequence[Ranked], count: int, taken: Sequence[Sentence] = ()) -> list[Ranked]:
    """Pick `count` of the best that say different things (maximal marginal relevance)."""
    pool = [(item, frozenset(stems(item.sentence.text))) for item in ranked[:40]]
    covered = [frozenset(stems(sentence.text)) for sentence in taken]
    top = ranked[0].score if ranked else 1.0
    picked: list[Ranked] = []
    while pool and len(picked) < count:
        values = [
            0.75 * item.score / top
            - 0.25 * max((overlap(words, other) for other in covered), default=0.0)
            for item, words in pool
        ]
        best = max(range(len(pool)), key=lambda index: (values[index], -index))
        item, words = pool.pop(best)
        if all(overlap(words, other) < 0.6 for other in covered):  # noqa: PLR2004
            picked.append(item)
            covered.append(words)
    return picked


def overlap(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the share of the shorter one's words that both hold."""
    if not one or not other:
        return 0.0
    return len(one & other) / min(len(one), len(other))


def is_headed(sentence: Sentence, facet: Facet) -> bool:
    """Tell whether the sentence stands under a heading that says what is asked for."""
    heading = {word for word in stems(sentence.heading) if not word.isdigit()}
    return bool(heading) and all(facet.weights.get(word, 0.0) >= 1.0 for word in heading)


def is_only_headed(sentence: Sentence, facet: Facet) -> bool:
    """Tell whether only its heading connects the sentence with what is asked for."""
    meant = {other for word in facet.weights for other in (word, *synonyms(word))}
    return meant.isdisjoint(stems(sentence.text))


def fits_kind(text: str, facet: Facet) -> bool:
    """Tell whether `text` holds the kind of thing that is asked for, such as a number or date."""
    match facet.kind:
        case "number":
            return NUMERAL.search(text) is not None
        case "date":
            return has_date(text) or _PERIOD.search(text) is not None
        case "person":
            return _PERSON.search(text) is not None
        case "reason":
            return _REASON.search(text) is not None
        case _:
            return False


def _pairs(text: str) -> set[tuple[str, str]]:
    words = stems(text)
    return set(pairwise(words))


def _first_heading(document: Document) -> str:
    first = document.text.lstrip()[:200].split("\n", 1)[0]
    return first if first.startswith("#") or first.isupper() else ""


def _name(document: Document) -> str:
    return " ".join(tokens(re.sub(r"[/_.\-]+", " ", document.location)))
