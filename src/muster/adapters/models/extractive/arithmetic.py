"""Sums in words and figures turned into expressions a calculator takes, and worked out."""

import math
import re
from typing import cast

from simpleeval import simple_eval  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from muster.adapters.models.extractive.quantities import NUMBER, plain_number, to_number

_NOT_SUMS = re.compile(
    r"\b\d{4}-\d\d-\d\d\b|\b\d{1,2}:\d\d\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b|[a-z]+-\d+\w*|"
    r"\b\d+[a-z]+\d*-\w+"
    r"|\b\d+[-\u2013/]\d+(?=\s+[a-z])",
    re.IGNORECASE,
)
_WORDS = {
    "plus": "+", "added to": "+", "minus": "-", "less": "-", "times": "*", "multiplied by": "*",
    "divided by": "/",
    "to the power of": "**", "x": "*", "\u00d7": "*", "·": "*", "÷": "/", "^": "**",
    "\u2212": "-", "\u2013": "-",
}  # fmt: skip
_SCALES = {"k": 1e3, "thousand": 1e3, "million": 1e6, "billion": 1e9}
_TOKEN = re.compile(
    rf"(?P<number>{NUMBER})(?:\s?(?P<scale>k|thousand|million|billion)\b)?"
    r"|(?P<percent>%|per ?cent\b)"
    r"|(?P<of>of\b)|(?P<off>off\b)"
    r"|(?P<operator>\*\*|[-+*/^\u00d7÷·\u2212\u2013()]|(?:plus|added to|minus|less|times|"
    r"multiplied by|divided by|to the power of|x)\b)"
    r"|(?P<squared>squared\b)|(?P<cubed>cubed\b)"
    r"|(?P<root>(?:the )?square root of\b)|(?P<half>half of\b)"
    r"|(?P<currency>[€$£]|(?:euros?|eur|usd|dollars?|gbp|pounds?)\b)"
    r"|(?P<space>[\s,]+)|(?P<article>(?:the|a|an)\b)|(?P<word>[^\W\d_]+)|(?P<other>.)",
    re.IGNORECASE | re.DOTALL,
)
_RELATION = re.compile(
    r"\b(?:sum|difference|product|quotient) (?:of|between) (?P<first>[^,;?]{1,60}?) and "
    r"(?P<second>[^,;?]{1,40})",
    re.IGNORECASE,
)
_RELATION_WORDS = {
    "sum": "plus",
    "difference": "minus",
    "product": "times",
    "quotient": "divided by",
}
_ADD_TO = re.compile(rf"\badd (?P<first>(?:{NUMBER})\s?%?) to (?P<second>{NUMBER})", re.IGNORECASE)
_SUBTRACT = re.compile(
    rf"\bsubtract (?P<first>(?:{NUMBER})\s?%?) from "
    rf"(?P<second>(?:{NUMBER})(?:\s?(?:k|thousand|million)\b)?)",
    re.IGNORECASE,
)
_LONGEST = 2000

Token = tuple[str, str]


def expressions(text: str) -> list[str]:
    """Return the sums that occur in `text`, each as one expression: `840*12.5/100+3`."""
    text = _NOT_SUMS.sub(" ; ", text[:_LONGEST])
    text = _ADD_TO.sub(r"\g<second> plus \g<first>", text)
    text = _SUBTRACT.sub(r"\g<second> minus \g<first>", text)
    text = _RELATION.sub(_spelled_out, text)
    found: list[str] = []
    for run in _runs(text):
        expression = _Parser(run).parse()
        if expression and expression not in found:
            found.append(expression)
    return found


def work_out(expression: str) -> str | None:
    """Return the value of an expression, None where it has none."""
    # Floats overflow at once where whole numbers would grow without end.
    floats = re.sub(r"(?<![\d.])(\d+)(?![\d.])", r"\1.0", expression)
    try:
        value = cast("object", simple_eval(floats))
    except Exception:  # noqa: BLE001 whatever an expression breaks, it has no value then
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return plain_number(value) if math.isfinite(value) else None


def _spelled_out(match: re.Match[str]) -> str:
    word = _RELATION_WORDS[match.group().split()[0].lower()]
    return f"{match['first']} {word} {match['second']}"


def _runs(text: str) -> list[list[Token]]:
    """Return the stretches of tokens that can be one sum: words end a stretch, units do not."""
    runs: list[list[Token]] = [[]]
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        if kind == "scale":
            kind = "number"
        if kind == "number":
            scale = _SCALES.get((match["scale"] or "").lower(), 1.0)
            runs[-1].append(("number", plain_number(to_number(match["number"]) * scale)))
        elif kind == "operator":
            symbol = match.group().lower()
            runs[-1].append(("operator", _WORDS.get(symbol, symbol)))
        elif kind in {"space", "currency", "article"}:
            continue
        elif kind == "word":
            if not (runs[-1] and runs[-1][-1][0] == "number"):
                runs.append([])
        elif kind == "other":
            runs.append([])
        else:
            runs[-1].append((kind, ""))
    return [run for run in runs if sum(kind == "number" for kind, _ in run)]


class _Parser:
    """Reads the longest sum at the start of a run; what follows it is dropped."""

    def __init__(self, run: list[Token]) -> None:
        while run and (
            run[0][0] in {"of", "off", "percent"} or run[0][1] in {"+", "*", "/", "**", ")"}
        ):
            run = run[1:]
        self.run = run
        self.at = 0
        self.operations = 0

    def parse(self) -> str:
        try:
            text = self._sum()
        except (ValueError, RecursionError):
            return ""
        return text if self.operations else ""

    def _peek(self, ahead: int = 0) -> Token:
        index = self.at + ahead
        return self.run[index] if index < len(self.run) else ("end", "")

    def _begins_value(self, ahead: int) -> bool:
        kind, symbol = self._peek(ahead)
        return kind in {"number", "root", "half"} or symbol in {"(", "-"}

    def _sum(self) -> str:
        text = self._product()
        while self._peek()[1] in {"+", "-"} and self._begins_value(1):
            symbol = self._peek()[1]
            self.at += 1
            self.operations += 1
            if (
                self._peek()[0] == "number"
                and self._peek(1)[0] == "percent"
                and self._peek(2)[0] not in {"of", "off"}
            ):
                percent = self._peek()[1]
                self.at += 2
                base = text if re.fullmatch(r"[\d.]+|\([^()]*\)", text) else f"({text})"
                text = f"{base}{symbol}{base}*{percent}/100"
            else:
                text = f"{text}{symbol}{self._product()}"
        return text

    def _product(self) -> str:
        text = self._power()
        while self._peek()[1] in {"*", "/"} and self._begins_value(1):
            symbol = self._peek()[1]
            self.at += 1
            self.operations += 1
            text = f"{text}{symbol}{self._power()}"
        return text

    def _power(self) -> str:
        text = self._value()
        kind, symbol = self._peek()
        if symbol == "**" and self._begins_value(1):
            self.at += 1
            self.operations += 1
            return f"{text}**{self._power()}"
        if kind in {"squared", "cubed"}:
            self.at += 1
            self.operations += 1
            return f"{text}**{2 if kind == 'squared' else 3}"
        return text

    def _value(self) -> str:
        kind, symbol = self._peek()
        self.at += 1
        if kind == "number":
            return self._after_number(symbol)
        if kind in {"root", "half"}:
            self.operations += 1
            return f"({self._value()})**0.5" if kind == "root" else f"{self._value()}/2"
        if symbol == "-":
            return f"-{self._value()}"
        if symbol == "(":
            inner = self._sum()
            if self._peek()[1] != ")":
                raise ValueError
            self.at += 1
            return f"({inner})"
        raise ValueError

    def _after_number(self, number: str) -> str:
        if self._peek()[0] != "percent":
            return number
        following = self._peek(1)[0]
        if following in {"of", "off"} and self._begins_value(2):
            self.at += 2
            self.operations += 1
            base = self._power()
            part = f"{base}*{number}/100"
            return part if following == "of" else f"({base}-{part})"
        self.at += 1
        return f"{number}/100"
