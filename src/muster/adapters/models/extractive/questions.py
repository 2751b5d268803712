"""A question taken apart: what is asked, in how many parts, and what kind of answer each wants."""

import dataclasses
import re
from dataclasses import dataclass
from typing import Literal

from muster.adapters.models.extractive.addresses import without_addresses
from muster.adapters.models.extractive.arithmetic import expressions
from muster.adapters.models.extractive.quantities import without_quantities
from muster.adapters.models.extractive.words import (
    INSTRUCTION_WORDS,
    STOP_WORDS,
    keywords,
    stem,
    stems,
    tokens,
    word_set,
)

Kind = Literal["number", "date", "person", "place", "reason", "any"]

_QUESTION_WORD = (
    r"(?:what|which|who|whom|whose|when|where|why|how|is|are|was|were|does|do|did|can|must|may|"
    r"(?:by|until|since) when|(?:to|for|with) whom|(?:in|for|at|on|by) (?:what|which|how)|"
    r"list|find|tell|give|name|show|check|calculate|compute|explain|describe|also|please)"
)
_CLAUSE = re.compile(
    rf"\?\s*|;\s+|[.!]\s+|,?\s+\b(?:and|but|then|also)\b,?\s+(?={_QUESTION_WORD}\b)|\n+",
    re.IGNORECASE,
)
_NOUN_PAIR = re.compile(
    r"^(?P<head>(?:what|"
    r"which)\s+)(?P<first>[^,?]{2,60}?)(?:,\s*(?P<second>[^,?]{2,60}?))?,?\s+and\s+"
    r"(?:what\s+|which\s+)?(?P<last>[^,?]{2,60}?)\s+"
    r"(?P<rest>(?:does|do|did|is|are|was|were|has|have|must|should|can|may|apply|applies|"
    r"will)\b.*)$",
    re.IGNORECASE,
)
_OF_PAIR = re.compile(
    r"^(?P<head>(?:what|which|who|when|where|list|give|tell)\b.*?\b(?:is|are|was|were|me|list|"
    r"give)\s+)?(?:the\s+)?"
    r"(?P<first>[^,?]{2,60}?)(?:,\s*(?P<second>[^,?]{2,60}?))?,?\s+and\s+"
    r"(?P<last>[^,?]{2,60}?)\s+(?P<rest>(?:of|in|for|from|on|at|under)\s+(?!(?:of|in|for|on|"
    r"at)\b).*)$",
    re.IGNORECASE,
)
_FIRST_WORD = re.compile(r"\b(?:when|who|whom|whose|where|why|what|which|how)\b", re.IGNORECASE)
_KINDS_OF_WORDS: dict[str, Kind] = {
    "when": "date", "who": "person", "whom": "person", "whose": "person", "where": "place",
    "why": "reason",
}  # fmt: skip
_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (
        "date",
        re.compile(
            r"\b((?:by|until|since) when|what (?:date|day|time)|which (?:date|day)|deadline)\b",
            re.IGNORECASE,
        ),
    ),
    (
        "person",
        re.compile(r"\b(which (?:person|people|employee|manager))\b", re.IGNORECASE),
    ),
    ("place", re.compile(r"\b(which (?:city|place|country|room|hall))\b", re.IGNORECASE)),
    ("reason", re.compile(r"\b(what caused|cause of|reason for|root cause)\b", re.IGNORECASE)),
    (
        "number",
        re.compile(
            r"\b(how (?:many|much|long|far|often|old|big|heavy|high|fast|late|soon)|what "
            r"(?:percentage|amount|price|"
            r"share|number|fee|penalty|limit|rate|weight|size)|price|cost|costs|fee|fees|penalty|"
            r"allowance|budget|"
            r"notice period|period|weight|limit|deadline|discount|maximum|minimum|total|percent|"
            r"weigh)\b",
            re.IGNORECASE,
        ),
    ),
)
_COMPARISON = re.compile(
    r"^(?:compare|what(?: is|'s| are) the differences? (?:between|in)|how do)\s+(?:the\s+)?"
    r"(?P<what>[^,?]{2,60}?)\s+(?:of|in|for|between)\s+(?:the\s+)?(?P<first>[^,?]{2,60}?)\s+"
    r"(?:and|with|to|versus|vs\.?)\s+(?:the\s+)?(?P<last>[^,?]{2,60}?)(?:\s+(?:differ|compare))?$",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"\b(?:today(?:'s)?(?: date)?|tonight|tomorrow|yesterday|right now|"
    r"current (?:date(?: and time)?|time|day|year|month)|what time(?: is it)?|what day(?: is it)?|"
    r"weekday|day of the week|what(?:'s| is) the (?:date|time)(?! of))\b",
    re.IGNORECASE,
)
_ASKED = re.compile(r"^(?:which|what|whose|how many|how much)\s+(?!is\b|are\b)(\w+)", re.IGNORECASE)
_BROAD = re.compile(
    r"^(?:compare|list|name|describe|explain|outline|which|tell me about|what (?:are|were)|"
    r"what (?!is|was|does|did)\w+s\b|how do|how does)\b",
    re.IGNORECASE,
)
_SUM_WORDS = INSTRUCTION_WORDS | word_set(
    """
    plus minus times divided multiplied percent sum difference product quotient squared cubed
    root square half add subtract euro euros eur dollars usd day date time week result equals
    power timezone utc off
    """
)
_FOCUS = 1.5
_SHARED = 0.6
_UNSAID = 0.3
_TOO_FEW = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """One thing that is asked for. `weights` says how much each stem matters.

    `within` are the stems of the document that is meant, where one is named.
    """

    text: str
    weights: dict[str, float]
    kind: Kind
    search_words: str = ""
    within: frozenset[str] = frozenset()

    @property
    def is_broad(self) -> bool:
        """Whether a whole section may be the answer and not one fact."""
        return _BROAD.match(self.text) is not None


def kind_of(text: str) -> Kind:
    """Return what kind of answer `text` asks for."""
    first = _FIRST_WORD.search(text)
    if first and first[0].lower() in _KINDS_OF_WORDS:
        return _KINDS_OF_WORDS[first[0].lower()]
    for kind, pattern in _KINDS:
        if pattern.search(text):
            return kind
    return "any"


def asks_time(question: str) -> bool:
    """Tell whether the question needs today's date or the time."""
    return _TIME.search(question) is not None


def without_time(question: str) -> str:
    """Return the question without the words that ask for today's date or the time."""
    return _TIME.sub(" ", question)


def clauses(question: str) -> list[str]:
    """Return the questions that `question` joins, each as its own text."""
    text = without_addresses(without_time(question))
    parts = [part.strip(" ,:-") for part in _CLAUSE.split(text)]
    return [part for part in parts if keywords(part) and not is_sum(part)]


def is_sum(text: str) -> bool:
    """Tell whether `text` asks for a sum and for nothing else."""
    words = [word.lower() for word in keywords(text)]
    is_plain = all(word in _SUM_WORDS or word[0].isdigit() for word in words)
    return is_plain and bool(expressions(text))


def facets_of(question: str, earlier: str = "") -> list[Facet]:
    """Take `question` apart; `earlier` is the question before it, for what it leaves unsaid."""
    found: list[Facet] = []
    context: list[str] = keywords(earlier) if len(_wanted(question)) < _TOO_FEW else []
    for clause in clauses(question):
        own = _wanted(clause)
        is_short = len(own) < _TOO_FEW
        found.extend(_facets_of_clause(clause, context if is_short else []))
        if not is_short or not context:
            context = own
    return found


def _facets_of_clause(clause: str, context: list[str]) -> list[Facet]:
    if match := _COMPARISON.match(clause):
        sides = (match["first"], match["last"])
        return [
            dataclasses.replace(
                _facet(f"Compare {match['what']} of {side}", match["what"], context),
                within=frozenset(stems(side)),
            )
            for side in sides
        ]
    for pattern in (_NOUN_PAIR, _OF_PAIR):
        match = pattern.match(clause)
        if match is None:
            continue
        parts = [part for part in (match["first"], match["second"], match["last"]) if part]
        if all(keywords(part) for part in parts) and keywords(match["rest"]):
            # The words after the last part belong to all: "the notice period and penalty of X".
            head = match["head"] or ""
            return [_facet(f"{head}{part} {match['rest']}", part, context) for part in parts]
    asked = _ASKED.match(clause)
    return [_facet(clause, asked[1] if asked else "", context, shared=1.0)]


def _wanted(text: str) -> list[str]:
    """Return the words to look for: no amounts and no counts, which a question gives."""
    words = keywords(without_quantities(text))
    return [word for word in words if not word.isdigit() or _is_year(word)]


def _is_year(word: str) -> bool:
    return len(word) == len("2025") and word[:2] in {"19", "20"}


def _facet(text: str, focus: str, context: list[str], shared: float = _SHARED) -> Facet:
    focused = {stem(word.lower()) for word in keywords(focus)}
    own = _wanted(text) or keywords(text) or [w for w in tokens(text) if w not in STOP_WORDS]
    weights = {stem(word.lower()): _UNSAID for word in context}
    for word in own:
        short = stem(word.lower())
        weights[short] = _FOCUS if short in focused else shared
    searched = dict.fromkeys([*own, *context])
    return Facet(text=text, weights=weights, kind=kind_of(text), search_words=" ".join(searched))
