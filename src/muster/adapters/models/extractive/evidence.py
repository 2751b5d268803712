"""What the material holds for a field of a structured answer: texts, numbers, dates, choices."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muster.adapters.models.extractive.addresses import EMAIL, URL
from muster.adapters.models.extractive.arguments import best_choice
from muster.adapters.models.extractive.quantities import NUMBER, has_date, to_number
from muster.adapters.models.extractive.questions import Facet, kind_of
from muster.adapters.models.extractive.ranking import Corpus, diverse
from muster.adapters.models.extractive.words import keywords, stem, word_set

_ISO_DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
_WRITTEN_DATE = re.compile(r"\b(\d{1,2}) ([A-Z][a-z]{2,8}) (\d{4})\b")
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_WHOLE = word_set(
    """
    answer summary text content result output report response conclusion overview explanation
    """
)
PLACES = word_set(
    """
    sources source citations citation references reference documents files
    """
)
_SURE = word_set("confidence certainty score probability")
FORMATS = {
    "date": "1970-01-01", "date-time": "1970-01-01T00:00:00Z", "time": "00:00:00Z",
    "email": "unknown@example.com",
    "uri": "about:blank", "uuid": "00000000-0000-0000-0000-000000000000", "ipv4": "192.0.2.1",
    "hostname": "localhost",
    "duration": "PT0S",
}  # fmt: skip
_NEGATION = re.compile(r"\b(?:not|no|never|nobody|none|without|cannot)\b", re.IGNORECASE)
_MOSTLY = 0.5
_LONGEST_WORD = 60
_MOST_WORDS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The question, the answer in prose, and where both come from."""

    question: str
    answer: str
    corpus: Corpus
    sources: Sequence[str]

    def sentences(self, about: str, count: int) -> list[str]:
        """Return the sentences that fit a field best."""
        ranked = self.corpus.rank(self._facet(about)) or self.corpus.rank(self._facet(""))
        return [item.sentence.text for item in diverse(ranked, count)]

    def choice(self, choices: Sequence[Any], about: str) -> Any:
        """Return the choice that the question or the material names, None where neither does."""
        for text in (self.question, *self.sentences(about, 3), self.answer):
            chosen = best_choice(choices, text)
            if chosen is not None:
                return chosen
        return None

    def numbers(self, about: str) -> list[float]:
        """Return the numbers that may be meant, the likeliest first."""
        if set(about.lower().split()) & _SURE:
            top = self.corpus.rank(self._facet(""))[:1]
            return [round(top[0].coverage, 2) if top else 0.0]
        return [n for text in self.sentences(about, 3) for n in _numbers_near(text, about)]

    def affirms(self, about: str) -> bool:
        """Tell whether a sentence about the field says so without a negation."""
        top = self.corpus.rank(self._facet(about))[:1]
        if not top or top[0].coverage < _MOSTLY:
            return False
        return _NEGATION.search(top[0].sentence.text) is None

    def texts(self, schema: Mapping[str, Any], about: str) -> list[str]:
        """Return what may fill a text field, the likeliest first."""
        form, pattern = schema.get("format"), schema.get("pattern")
        if isinstance(form, str) and form in FORMATS:
            return self.formatted(form, about)
        if isinstance(pattern, str):
            return self._matching(pattern, about)
        words = set(about.lower().split())
        if words & _WHOLE and self.answer:
            return [self.answer]
        if words & PLACES and self.sources:
            return [", ".join(self.sources)]
        return self.sentences(about, 1)

    def formatted(self, form: str, about: str) -> list[str]:
        """Return the date in the sentences about a field, or an address from anywhere."""
        joined = "\n".join([*self.sentences(about, 5), self.question])
        if form in {"email", "uri"}:
            joined += "\n".join(sentence.text for sentence in self.corpus.sentences)
        match form:
            case "email":
                return EMAIL.findall(joined)[:1]
            case "uri":
                return URL.findall(joined)[:1]
            case "date":
                return _dates(joined)[:1]
            case _:
                return []

    def _matching(self, pattern: str, about: str) -> list[str]:
        try:
            compiled = re.compile(pattern)
        except re.error:
            return []
        words = " ".join([*self.sentences(about, 5), self.question]).split()
        stripped = (word.strip(".,;:()\"'")[:_LONGEST_WORD] for word in words[:_MOST_WORDS])
        return [word for word in stripped if compiled.search(word)][:3]

    def _facet(self, about: str) -> Facet:
        weights = {stem(word.lower()): 0.5 for word in keywords(self.question)}
        weights.update({stem(word.lower()): 1.0 for word in keywords(about)})
        text = about or self.question
        return Facet(text=text, weights=weights, kind=kind_of(text))


def _dates(text: str) -> list[str]:
    if not has_date(text):
        return []
    found = _ISO_DATE.findall(text)
    for day, month, year in _WRITTEN_DATE.findall(text):
        if month.lower() in _MONTHS:
            found.append(f"{year}-{_MONTHS.index(month.lower()) + 1:02}-{int(day):02}")
    return found


def _numbers_near(text: str, about: str) -> list[float]:
    """Return the numbers of a sentence, those next to the wanted words first."""
    wanted = {stem(word.lower()) for word in keywords(about)}
    rated: list[tuple[int, int, float]] = []
    for match in re.finditer(rf"(?<![\w.-])(?:{NUMBER})(?![\w-])", text):
        near = text[max(0, match.start() - 40) : match.end() + 25]
        counted = text[match.end() : match.end() + 20]
        hits = len(wanted & {stem(word.lower()) for word in keywords(near)})
        hits += len(wanted & {stem(word.lower()) for word in keywords(counted)})
        rated.append((-hits, match.start(), to_number(match.group())))
    return [number for _, _, number in sorted(rated)]
