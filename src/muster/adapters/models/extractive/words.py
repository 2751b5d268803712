"""Words as the ranking sees them: tokens, stems, stop words and a few everyday synonyms."""

import re
from collections.abc import Iterable
from functools import lru_cache

WORD = re.compile(r"[^\W_]+(?:[.'\-][^\W_]+)*")


def word_set(text: str) -> frozenset[str]:
    """Return the words of a plain list of words."""
    return frozenset(text.split())


STOP_WORDS = word_set(
    """
    a about above after again all also am an and any anything are as at be because been before
    being below between both but by can could did do does doing done during each either else
    every few for from further get give given gives had has have having he her here hers him
    his how i if in into is it its itself just let like made make makes many may me might more
    most much must my need needs no nor not of off on once one only onto or other our out over
    own per please said say says set sets shall she should so some something such take takes
    tell than that the their them then there these they thing things this those through to too
    under until up upon us use used using very want was we were what when where whether which
    while who whom whose why will with within without would you your
    """
)

INSTRUCTION_WORDS = word_set(
    """
    answer answers according calculate check compare compute describe document documents
    detail details exact exactly explain extract file files find following information know
    list look mention mentioned name names outline provide question questions quote read
    report search show source sources state states summarise summarize summary text write
    currently sentence sentences bullet bullets point points long far often terms conditions rules
    """
)

_SYNONYMS = (
    ("price", "cost", "charge", "fee", "amount"),
    ("terminate", "cancel", "cancellation", "notice", "end"),
    ("late", "delay", "overdue"),
    ("penalty", "fine"),
    ("pay", "paid", "payment", "payable"),
    ("reimburse", "refund", "repay"),
    ("holiday", "vacation", "leave"),
    ("boss", "manager", "lead", "head"),
    ("hotel", "accommodation", "lodging"),
    ("maximum", "most", "limit", "highest", "cap"),
    ("minimum", "least", "lowest"),
    ("buy", "purchase"),
    ("begin", "start", "commence", "launch"),
    ("cause", "reason", "why"),
    ("injured", "hurt", "injury"),
    ("sick", "ill", "sickness", "illness"),
    ("car", "vehicle", "driving", "drive"),
    ("kilometre", "km", "mileage", "kilometer"),
    ("deadline", "due", "latest"),
    ("contract", "agreement"),
    ("staff", "employee", "colleague", "people"),
    ("weight", "weigh", "heavy"),
    ("guarantee", "warranty"),
    ("submit", "hand"),
    ("return", "send"),
    ("deliver", "ship", "delivery", "shipping", "shipment"),
    ("happen", "occur"),
    ("responsible", "owner"),
    ("decide", "decision", "decided"),
    ("meeting", "minutes"),
    ("salary", "wage"),
    ("attend", "present", "participant"),
    ("total", "sum", "overall"),
    ("euro", "eur", "€"),
    ("phone", "telephone", "extension"),
)

_SUFFIXES = ("ment", "ance", "ing", "ied", "ies", "ier", "ion", "ed", "er", "al", "e", "s", "y")
_SHORTEST_STEM = 3


def tokens(text: str) -> list[str]:
    """Return the words of `text` in lower case, numbers and codes such as `HF-2` kept whole."""
    return WORD.findall(text.lower())


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Return a short form that inflections of the same word share."""
    if any(character.isdigit() for character in word):
        return word
    word = word.removesuffix("'s")
    shorter = _shortened(word)
    while shorter != word:
        word, shorter = shorter, _shortened(shorter)
    return word


def _shortened(word: str) -> str:
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _SHORTEST_STEM:
            return word[: -len(suffix)]
    if len(word) > _SHORTEST_STEM and word[-1] == word[-2]:
        return word[:-1]
    return word


def stems(text: str) -> list[str]:
    """Return the stems of all words of `text` that are not stop words."""
    return [stem(word) for word in tokens(text) if word not in STOP_WORDS]


def keywords(text: str) -> list[str]:
    """Return the words of `text` worth looking for, as written, each once, in order."""
    found: dict[str, str] = {}
    for match in WORD.finditer(text):
        lower = match.group().lower()
        if lower not in STOP_WORDS and lower not in INSTRUCTION_WORDS and len(lower) > 1:
            found.setdefault(stem(lower), match.group())
    return list(found.values())


def _synonym_table(groups: Iterable[tuple[str, ...]]) -> dict[str, frozenset[str]]:
    table: dict[str, set[str]] = {}
    for group in groups:
        members = {stem(word) for word in group}
        for member in members:
            table.setdefault(member, set()).update(members - {member})
    return {word: frozenset(others) for word, others in table.items()}


_TABLE = _synonym_table(_SYNONYMS)


def alternatives(word: str) -> list[str]:
    """Return other words to search for when `word` finds nothing."""
    short = stem(word.lower())
    return [
        other
        for group in _SYNONYMS
        if any(stem(member) == short for member in group)
        for other in group
        if stem(other) != short
    ]


def synonyms(stemmed: str) -> frozenset[str]:
    """Return the stems that mean nearly the same as `stemmed`."""
    return _TABLE.get(stemmed, frozenset())
