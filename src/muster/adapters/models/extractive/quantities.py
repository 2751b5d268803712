"""Numbers with their units, rates and shares, as they occur in questions and in sentences."""

import re
from dataclasses import dataclass

from muster.adapters.models.extractive.words import word_set

NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_CURRENCIES = {
    "€": "euro", "eur": "euro", "euro": "euro", "euros": "euro", "$": "dollars", "usd": "dollars",
    "dollar": "dollars", "dollars": "dollars", "£": "pounds", "gbp": "pounds", "pound": "pounds",
    "pounds": "pounds", "chf": "francs", "francs": "francs",
}  # fmt: skip
_SCALES = {"k": 1000.0, "thousand": 1000.0, "million": 1e6, "m": 1e6, "billion": 1e9}
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_NUMBER_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "twenty": 20,
}  # fmt: skip
_QUANTITY = re.compile(
    rf"(?<![\w.,-])(?P<sign>[€$£])?\s?(?P<number>{NUMBER}|{'|'.join(_NUMBER_WORDS)})(?![\w]*-?\d)"
    r"\s?(?P<scale>(?:k|thousand|million|billion)\b)?\s?(?P<unit>[€$£%]|[a-z]+)?",
    re.IGNORECASE,
)
_PERCENT = re.compile(rf"(?P<number>{NUMBER})\s?(?:%|percent\b|per cent\b)", re.IGNORECASE)
_CAP = re.compile(
    r"(?:up to|at most|maximum|max\.?|not more than|no more than|limited to|capped at|not exceed)"
    r"\D{0,25}$",
    re.IGNORECASE,
)
_EACH = re.compile(
    r"\b(?:per|for each|for every|each|every)\s+(?:full |complete |started |commenced |calendar |"
    r"working )?"
    r"(?P<unit>[a-z]+)",
    re.IGNORECASE,
)
_MONEY_RATE = re.compile(
    rf"(?P<sign>[€$£])?\s?(?P<number>{NUMBER})\s?(?P<currency>[€$£]|euros?|eur|usd|dollars?|gbp|"
    rf"pounds?|chf)?"
    r"\s?(?:/|per|for each|for every|a|each)\s?(?:full |calendar |working )?(?P<unit>[a-z]+)",
    re.IGNORECASE,
)
_DATE = re.compile(
    rf"\b\d{{4}}-\d\d-\d\d\b|\b\d{{1,2}}\.? (?:{_MONTHS})(?: \d{{4}})?\b|\b(?:{_MONTHS}) "
    rf"\d{{1,2}}(?:, \d{{4}})?\b"
    rf"|\b(?:{_MONTHS}) \d{{4}}\b|\b\d{{1,2}}:\d\d\b|\b(?:19|20)\d\d\b",
    re.IGNORECASE,
)
_NOT_UNITS = word_set(
    """
    and or of for in at on to the a an is are was were if per with by from % plus
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number with what it counts: `unit` is a lower-case word, `currency` a currency's name."""

    value: float
    unit: str = ""
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Money for each unit of something. `about` is the text between it and the next rate."""

    value: float
    currency: str
    unit: str
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A percentage, the period it is due for ("" for none) and whether it is an upper limit."""

    percent: float
    each: str = ""
    is_cap: bool = False


def to_number(text: str) -> float:
    """Read a number that may hold thousands separators."""
    return float(text.replace(",", ""))


def plain_number(value: float) -> str:
    """Write a number for a calculator: no separators, no needless decimals."""
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return text or "0"


def readable_number(value: float) -> str:
    """Write a number for people: `3,375` or `0.36`."""
    if value == int(value):
        return f"{int(value):,}"
    text = f"{value:,.4f}".rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}"


def quantities(text: str) -> list[Quantity]:
    """Return the amounts and counts in `text`, without dates, years and codes."""
    found: list[Quantity] = []
    for match in _QUANTITY.finditer(_DATE.sub(" ; ", text)):
        number = match["number"].lower()
        value = float(_NUMBER_WORDS[number]) if number in _NUMBER_WORDS else to_number(number)
        value *= _SCALES.get((match["scale"] or "").lower(), 1.0)
        unit = (match["unit"] or "").lower()
        if unit in {"%", "percent"}:
            continue
        currency = _CURRENCIES.get(unit, "") or _CURRENCIES.get(match["sign"] or "", "")
        unit = "" if unit in _CURRENCIES or unit in _NOT_UNITS else unit
        if number in _NUMBER_WORDS and not unit and not currency:
            continue
        found.append(Quantity(value=value, unit=unit, currency=currency))
    return found


def without_quantities(text: str) -> str:
    """Return `text` without amounts of money, which are given in a question and not looked up."""
    return re.sub(
        rf"[€$£]\s?(?:{NUMBER})(?:k\b)?|\b(?:{NUMBER})\s?(?:k|thousand|million)?[\s-]?(?:€|\$|£|"
        rf"euros?\b|eur\b|usd\b|dollars?\b|pounds?\b|%|percent\b)",
        " ",
        text,
        flags=re.IGNORECASE,
    )


def shares(text: str) -> list[Share]:
    """Return the percentages in `text`."""
    found: list[Share] = []
    for match in _PERCENT.finditer(text):
        each = _EACH.search(text[match.end() : match.end() + 70])
        found.append(
            Share(
                percent=to_number(match["number"]),
                each=each["unit"].lower() if each else "",
                is_cap=_CAP.search(text[max(0, match.start() - 40) : match.start()]) is not None,
            )
        )
    return found


def rates(text: str) -> list[Rate]:
    """Return the prices for each unit in `text`: `0.36 euro per kilometre`."""
    matches = list(_MONEY_RATE.finditer(text))
    ends = [*(match.start() for match in matches[1:]), len(text)]
    found: list[Rate] = []
    for match, end in zip(matches, ends, strict=False):
        currency = _CURRENCIES.get((match["currency"] or match["sign"] or "").lower(), "")
        if currency:
            value, unit = to_number(match["number"]), match["unit"].lower()
            about = text[match.end() : end]
            found.append(Rate(value=value, currency=currency, unit=unit, about=about))
    return found


def has_date(text: str) -> bool:
    """Tell whether `text` holds a date, a year or a time of day."""
    return _DATE.search(text) is not None
