"""Sums that follow from a rule in a document and the amounts in the question."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from muster.adapters.models.extractive.quantities import (
    Quantity,
    Rate,
    Share,
    plain_number,
    quantities,
    rates,
    readable_number,
    shares,
)
from muster.adapters.models.extractive.questions import Facet
from muster.adapters.models.extractive.ranking import Corpus, Ranked
from muster.adapters.models.extractive.sentences import Sentence
from muster.adapters.models.extractive.words import stem, stems

_PERIODS = frozenset({"day", "week", "month", "year", "quarter", "hour"})
_FROM = re.compile(r"\bfrom (\d+)\b", re.IGNORECASE)
_PRICE = re.compile(r"\b(?:price|cost|rate|fee|from \d+)\b", re.IGNORECASE)
_CELL_NUMBER = re.compile(r"^\D{0,4}(\d+(?:,\d{3})*(?:\.\d+)?)\D{0,6}$")
_WANTED = re.compile(
    r"\b(?:how much|what|calculate|compute|total|cost|price|penalty|fee|amount|allowance|"
    r"reimburse\w*|pay|discount)\b",
    re.IGNORECASE,
)
_RULES_TRIED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """A sum to work out: `words` describes it around a `{result}`.

    `rule` is the sentence it follows from, `asked` the part of the question that it answers.
    """

    expression: str
    words: str
    rule: Sentence
    is_limit: bool = False
    asked: str = ""


def derive(facets: Sequence[Facet], corpus: Corpus) -> list[Derivation]:
    """Return the sums that answer parts of the question, at most four."""
    found: dict[str, Derivation] = {}
    known = [quantity for facet in facets for quantity in quantities(facet.text)]
    for facet in facets:
        given = quantities(facet.text)
        if not given or not _WANTED.search(facet.text):
            continue
        for derivation in _for_facet(facet, corpus, given, known):
            found.setdefault(derivation.expression, replace(derivation, asked=facet.text))
    return list(found.values())[:4]


def _for_facet(
    facet: Facet, corpus: Corpus, given: list[Quantity], known: list[Quantity]
) -> list[Derivation]:
    """Return the sums of the best rule, the limit on it last."""
    limits: list[Derivation] = []
    for ranked in corpus.rank(facet)[:_RULES_TRIED]:
        derived = _from_rule(ranked, facet, given, known)
        limits.extend(derivation for derivation in derived if derivation.is_limit)
        sums = [derivation for derivation in derived if not derivation.is_limit]
        if sums:
            # The limit of a rule often stands in the sentence that follows it.
            return [*sums, *limits, *_caps_after(ranked.sentence, given, corpus)]
    return limits


def _from_rule(
    ranked: Ranked, facet: Facet, given: list[Quantity], known: list[Quantity]
) -> list[Derivation]:
    sentence = ranked.sentence
    if sentence.cells:
        return _from_row(sentence, facet, given)
    money = next((quantity for quantity in given if quantity.currency), None)
    if money is not None:
        return [_of_share(money, share, known, sentence) for share in shares(sentence.text)]
    found = [
        (quantity, rate)
        for rate in rates(sentence.text)
        for quantity in given
        if quantity.unit and stem(quantity.unit) == stem(rate.unit)
    ]
    # Of several rates, those whose own words are in the question: "62 euro per day abroad".
    hits = [len(set(stems(rate.about)) & facet.weights.keys()) for _, rate in found]
    best = max(hits, default=0)
    chosen = [pair for pair, count in zip(found, hits, strict=True) if count == best]
    return [_of_rate(quantity, rate, sentence) for quantity, rate in chosen[:2]]


def _of_share(money: Quantity, share: Share, known: list[Quantity], rule: Sentence) -> Derivation:
    expression = f"{plain_number(money.value)}*{plain_number(share.percent)}/100"
    what = f"{plain_number(share.percent)} % of {readable_number(money.value)} {money.currency}"
    periods = next(
        (q for q in known if share.each in _PERIODS and stem(q.unit) == stem(share.each)), None
    )
    if share.is_cap:
        words = f"The limit of {what} is {{result}} {money.currency}"
    elif periods is not None:
        expression = f"{expression}*{plain_number(periods.value)}"
        count = f"{readable_number(periods.value)} {periods.unit}"
        words = f"{what}, for {count}, is {{result}} {money.currency}"
    else:
        each = f" for each {share.each}" if share.each else ""
        words = f"{what} is {{result}} {money.currency}{each}"
    return Derivation(expression=expression, words=words, rule=rule, is_limit=share.is_cap)


def _of_rate(quantity: Quantity, rate: Rate, rule: Sentence) -> Derivation:
    return Derivation(
        expression=f"{plain_number(quantity.value)}*{plain_number(rate.value)}",
        words=(
            f"{readable_number(quantity.value)} {quantity.unit} at {readable_number(rate.value)} "
            f"{rate.currency} is {{result}} {rate.currency}"
        ),
        rule=rule,
    )


def _from_row(row: Sentence, facet: Facet, given: list[Quantity]) -> list[Derivation]:
    count = next((q for q in given if not q.currency and stem(q.unit) not in _PERIODS), None)
    if count is None or not _names_row(row, facet):
        return []
    price = _price_of(row, count.value)
    if price is None:
        return []
    column, value = price
    expression = f"{plain_number(count.value)}*{plain_number(value)}"
    pieces = f"{readable_number(count.value)} pieces at {value:,.2f} ({column.lower()})"
    words = f"{pieces} come to {{result}}"
    return [Derivation(expression=expression, words=words, rule=row)]


def _names_row(row: Sentence, facet: Facet) -> bool:
    named = set(stems(" ".join(value for _, value in row.cells[:2])))
    return len(named & facet.weights.keys()) >= min(2, len(named))


def _price_of(row: Sentence, count: float) -> tuple[str, float] | None:
    """Return the column and the price that hold for `count` pieces."""
    best: tuple[float, str, float] | None = None
    for column, value in row.cells:
        number = _CELL_NUMBER.match(value)
        if number is None or not _PRICE.search(column):
            continue
        least = _FROM.search(column)
        threshold = float(least[1]) if least else 0.0
        if threshold <= count and (best is None or threshold > best[0]):
            best = (threshold, column, float(number[1].replace(",", "")))
    return None if best is None else (best[1], best[2])


def _caps_after(rule: Sentence, given: list[Quantity], corpus: Corpus) -> list[Derivation]:
    money = next((quantity for quantity in given if quantity.currency), None)
    if money is None:
        return []
    following = [
        s for s in corpus.sentences if s.document is rule.document and s.previous == rule.text
    ]
    return [
        _of_share(money, share, [], sentence)
        for sentence in following[:1]
        for share in shares(sentence.text)
        if share.is_cap
    ]
