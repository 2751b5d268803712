"""The answer in Markdown: a direct sentence, bullet points with citations, the sources."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muster.adapters.models.extractive.arithmetic import expressions, work_out
from muster.adapters.models.extractive.citations import Citations
from muster.adapters.models.extractive.deriving import Derivation, derive
from muster.adapters.models.extractive.quantities import readable_number
from muster.adapters.models.extractive.questions import Facet
from muster.adapters.models.extractive.ranking import (
    Corpus,
    Ranked,
    diverse,
    fits_kind,
    is_headed,
    is_only_headed,
)
from muster.adapters.models.extractive.reading import Conversation
from muster.adapters.models.extractive.sentences import Sentence
from muster.adapters.models.extractive.summarising import wanted_count
from muster.adapters.models.extractive.wording import composed, displayed

_FIGURE = re.compile(
    r"(?:[€$£]\s?)?\b\d[\d,]*(?:\.\d+)?\s?(?:%|percent|euros?|million euro|days?|weeks?|months?|"
    r"years?|hours?|minutes?|"
    r"kilometres?|km|kg|g|mm|nm|pieces|litres?)\b(?:(?<=%)|\b)",
    re.IGNORECASE,
)
_EXTRAS = 2
_CANDIDATES = 12
_SECTION = 5
_AS_GOOD = 0.85
_FAIR_SCORE = 0.55
_FAIR_COVERAGE = 0.5


@dataclass(frozen=True, slots=True)
class Point:
    """One thing to say; the citation of `source` stands between `text` and `tail`."""

    text: str
    source: Sentence | None = None
    tail: str = ""

    def cited(self, citations: Citations) -> str:
        if self.source is None:
            return self.text
        return f"{self.text} {citations.cite(self.source)}{self.tail}"


def answer(
    conversation: Conversation, facets: Sequence[Facet], corpus: Corpus, *, has_calculator: bool
) -> str:
    """Return the answer that the material supports; "" when it supports none."""
    derivations = [
        (derivation, result)
        for derivation in derive(facets, corpus)
        if (
            result := _result_of(derivation.expression, conversation, has_calculator=has_calculator)
        )
    ]
    points = [*_moments(conversation), *_sums(conversation, has_calculator=has_calculator)]
    taken: list[Sentence] = []
    for facet in facets:
        points.extend(_points_of(facet, corpus, derivations, taken, leads=not points))
    points = list(dict.fromkeys(points))
    if not points:
        return ""
    extras = _extras(facets, corpus, taken) if taken else []
    points.extend(Point(displayed(item.sentence), item.sentence) for item in extras)
    limit = wanted_count(f"{conversation.question}\n{conversation.hints}\n{conversation.role}")
    citations = Citations()
    lines = [point.cited(citations) for point in points[: limit or None]]
    missing = [facet for facet in facets if not corpus.rank(facet)]
    notes = [_missing_note(missing)] if missing else []
    return composed(lines, citations, [*notes, *failure_notes(conversation)])


def _points_of(
    facet: Facet,
    corpus: Corpus,
    derivations: Sequence[tuple[Derivation, str]],
    taken: list[Sentence],
    *,
    leads: bool,
) -> list[Point]:
    """Return what answers one part: a sentence or a section, and the sums that follow from it."""
    ranked = corpus.rank(facet)
    if not ranked:
        return []
    # A sentence that was said already and is as good answers this part too.
    good = [item for item in ranked[:3] if item.score >= _AS_GOOD * ranked[0].score]
    best = next((item.sentence for item in good if item.sentence in taken), ranked[0].sentence)
    sums = [pair for pair in derivations if pair[0].asked == facet.text]
    if sums and not sums[0][0].is_limit:
        best = sums[0][0].rule
    section = _section(best, facet, corpus)
    fresh = [sentence for sentence in section if sentence not in taken]
    taken.extend(fresh)
    said = [Point(_emphasised(sentence, facet), sentence) for sentence in fresh]
    worked_out = [_derived(*pair) for pair in sums]
    return [*worked_out[:1], *said, *worked_out[1:]] if leads else [*said, *worked_out]


def failure_notes(conversation: Conversation) -> list[str]:
    """Return a sentence for each recent call that did not work."""
    notes: dict[str, None] = {}
    for exchange in conversation.exchanges:
        if exchange.failure and exchange.is_recent:
            called = _call_text(exchange.name, exchange.arguments)
            notes[f"{called} did not work: {exchange.failure}."] = None
    return list(notes)[:4]


def looked_at(conversation: Conversation) -> str:
    """Return what was looked at, as the end of a sentence; "" when nothing was."""
    parts = [
        _call_text(exchange.name, exchange.arguments)
        for exchange in conversation.exchanges
        if exchange.is_recent and exchange.failure is None
    ]
    parts.extend(sorted({document.label for document in conversation.documents}))
    return ", ".join(list(dict.fromkeys(parts))[:8])


def _call_text(name: str, arguments: Mapping[str, Any]) -> str:
    of = next((value for value in arguments.values() if isinstance(value, str)), "")
    return f"`{name}` (“{of[:80]}”)" if of else f"`{name}`"


def _moments(conversation: Conversation) -> list[Point]:
    for exchange in reversed(conversation.exchanges):
        moment = exchange.findings.moment
        if not moment or not exchange.is_recent:
            continue
        date = _written(moment.get("date") or moment["now"][:10])
        day = f"{moment['weekday']}, {date}" if "weekday" in moment else date
        zone = f" ({moment['timezone']})" if "timezone" in moment else ""
        clock = re.search(r"\d\d:\d\d", moment["now"])
        time = f"; the time is {clock[0]}{zone}" if clock else zone
        return [Point(f"Today is {day}{time}.")]
    return []


def _written(date: str) -> str:
    try:
        read = dt.date.fromisoformat(date)
    except ValueError:
        return date
    return f"{read.day} {read:%B %Y}"


def _sums(conversation: Conversation, *, has_calculator: bool) -> list[Point]:
    points: list[Point] = []
    for expression in expressions(conversation.question):
        result = _result_of(expression, conversation, has_calculator=has_calculator)
        if result:
            points.append(Point(f"`{expression}` = **{result}**"))
    return points


def _result_of(expression: str, conversation: Conversation, *, has_calculator: bool) -> str | None:
    """Return what the calculator said; without one the sum is worked out here."""
    for exchange in conversation.exchanges:
        if expression in exchange.arguments.values() and exchange.failure is None:
            given = exchange.findings.calculations.get(expression)
            if given is None and not isinstance(exchange.result, (dict, list)):
                given = str(exchange.result).rsplit("=", maxsplit=1)[-1].strip()
            if given is not None:
                return _readable(given)
    if has_calculator:
        return None
    result = work_out(expression)
    return None if result is None else _readable(result)


def _readable(result: str) -> str:
    try:
        return readable_number(float(result))
    except (ValueError, OverflowError):
        return result[:100]


def _derived(derivation: Derivation, result: str) -> Point:
    said = derivation.words.format(result=f"**{result}**")
    text = f"{said} (`{derivation.expression}`, by the rule in"
    return Point(text, derivation.rule, ").")


def _emphasised(sentence: Sentence, facet: Facet) -> str:
    """Return the sentence; the only figure in it is bold where a figure is asked for."""
    text = displayed(sentence)
    figures = list(_FIGURE.finditer(text))
    if facet.kind == "number" and not sentence.cells and len(figures) == 1:
        start, end = figures[0].span()
        return f"{text[:start]}**{text[start:end]}**{text[end:]}"
    return text


def _section(best: Sentence, facet: Facet, corpus: Corpus) -> list[Sentence]:
    """Return the sentence, or the section around it where the heading is what was asked."""
    is_section = facet.is_broad and is_headed(best, facet)
    if not is_section and not is_only_headed(best, facet):
        return [best]
    section = [
        sentence
        for sentence in corpus.sentences
        if sentence.document is best.document and sentence.heading == best.heading
    ]
    start = max(0, section.index(best) + 1 - _SECTION)
    return section[start : start + _SECTION]


def _extras(facets: Sequence[Facet], corpus: Corpus, taken: Sequence[Sentence]) -> list[Ranked]:
    """Return a few sentences of the cited documents that are nearly as good and say more."""
    places = {sentence.document.label for sentence in taken}
    pool: dict[str, Ranked] = {}
    for facet in facets:
        ranked = corpus.rank(facet)
        for item in ranked[:_CANDIDATES]:
            fair = item.score >= _FAIR_SCORE * ranked[0].score and item.coverage >= _FAIR_COVERAGE
            fair = fair and (facet.kind == "any" or fits_kind(item.sentence.text, facet))
            if fair and item.sentence not in taken and item.sentence.document.label in places:
                pool.setdefault(item.sentence.text, item)
    ordered = sorted(pool.values(), key=lambda item: (-item.score, item.sentence.text))
    return diverse(ordered, min(_EXTRAS, max(0, _SECTION - len(taken))), taken)


def _missing_note(missing: Sequence[Facet]) -> str:
    asked = "; ".join(f"“{facet.text.rstrip('?. ')}”" for facet in missing[:3])
    return f"Nothing was found on {asked}."
