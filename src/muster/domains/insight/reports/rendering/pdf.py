"""A report as PDF, typeset by Typst.

The template is fixed and the document comes to it as data, so nothing that somebody named an agent
can be read as markup. Typst is given no folder and no package, and draws with its own fonts; those
of the system are asked only for characters that these lack.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Literal, cast

import msgspec

from muster.domains.insight.reports.document import DayRow, Document, plain
from muster.domains.insight.reports.rendering.text import Cleaner

_MOST_BARS = 62
# What fits beside each other into the line at the top of a page.
_RUNNING_TITLE, _RUNNING_PROJECT = 60, 36
_LONG = re.compile(r"\S{21,}")
# Ids and moments have hyphens, at which they may be broken.
_WHOLE = re.compile(r"[0-9a-f-]{36}|\d{4}-\d\d-\d\dT[\d:.]+Z")
_PIECES = re.compile(r"[^_./:@+=,;|\\-]{0,15}[_./:@+=,;|\\-]|.{1,16}", re.DOTALL)
_BREAK = "\N{ZERO WIDTH SPACE}"
# Kept to the letter, so that they can be copied.
_LETTERS = frozenset({"root", "head_hash", "note", "public_key", "report_id", "project_id"})

_WIDTHS = (("day", 1), ("week", 7))


def render_pdf(document: Document) -> bytes:
    """Return the document as PDF."""
    return cast("bytes", typeset(document, "pdf"))


def typeset(document: Document, format: Literal["pdf", "png"]) -> bytes | list[bytes]:
    """Return the document as PDF, or as a picture of each page."""
    # Typst takes 60 MB once it is loaded, which processes that make no report shall not pay.
    import typst

    compiler = typst.Compiler(
        _template(), sys_inputs={"data": msgspec.json.encode(_data(document)).decode()}
    )
    made = compiler.compile(format=format, timestamp=_seconds(document.cover.as_of), ppi=110)
    return cast("bytes | list[bytes]", made)


@cache
def _template() -> bytes:
    return (files("muster.domains.insight.reports.rendering") / "report.typ").read_bytes()


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _data(document: Document) -> dict[str, Any]:
    cleaner = Cleaner.for_print()
    cleaned = cleaner.all(plain(document))
    title, project = cleaned["cover"]["title"], cleaned["cover"]["project_name"]
    content: dict[str, Any] = {
        **_breakable(cleaned),
        "title": title,
        "running_title": _shortened(title, _RUNNING_TITLE),
        "running_project": _shortened(project, _RUNNING_PROJECT),
    }
    if cleaner.note:
        content["notes"].append(cleaner.note)
    content["chart"] = _chart(document.activity.days)
    content["cost_days"] = _by_width(document.activity.days)
    return content


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _breakable(value: Any, name: str = "") -> Any:
    """Let long words be broken at the end of a line, where one of them would leave its cell."""
    if isinstance(value, str):
        return value if name in _LETTERS else _LONG.sub(_pieces, value)
    if isinstance(value, list):
        return [_breakable(item, name) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        found = cast("dict[str, Any]", value)
        return {key: _breakable(item, key) for key, item in found.items()}
    return value


def _pieces(word: re.Match[str]) -> str:
    if _WHOLE.fullmatch(word.group()):
        return word.group()
    return _BREAK.join(_PIECES.findall(word.group()))


def _chart(days: Sequence[DayRow]) -> dict[str, Any]:
    """Return the bars of the activity: one for each day, week or month, empty ones too."""
    if not days:
        return {"unit": "day", "bars": []}
    span = (days[-1].date - days[0].date).days
    unit, width = next(
        ((unit, width) for unit, width in _WIDTHS if span < _MOST_BARS * width), ("month", 0)
    )
    bins = _bins(days, width)
    bars = [{"label": label, "steps": sum(day.steps for day in found)} for label, found in bins]
    return {"unit": unit, "bars": bars}


def _bins(days: Sequence[DayRow], width: int) -> list[tuple[str, list[DayRow]]]:
    first, last = days[0].date, days[-1].date
    bins: dict[date, list[DayRow]] = {}
    begin = first if width else first.replace(day=1)
    while begin <= last:
        bins[begin] = []
        begin = begin + timedelta(days=width) if width else _month_after(begin)
    for day in days:
        begin = day.date.replace(day=1)
        if width:
            begin = first + timedelta(days=(day.date - first).days // width * width)
        bins[begin].append(day)
    return [(begin.isoformat(), found) for begin, found in bins.items()]


def _month_after(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def _by_width(days: Sequence[DayRow]) -> dict[str, Any]:
    """Return the costs of each day, or of each month where there are many days."""
    by_month = len(days) > _MOST_BARS
    groups: dict[str, list[DayRow]] = {}
    for day in days:
        groups.setdefault(day.date.isoformat()[: 7 if by_month else 10], []).append(day)
    rows = [
        {
            "label": label,
            "calls": sum(day.model_calls for day in found),
            "unpriced_calls": sum(day.unpriced_calls for day in found),
            "cost": sum(day.cost for day in found),
        }
        for label, found in groups.items()
    ]
    return {"unit": "month" if by_month else "day", "rows": [r for r in rows if r["calls"]]}
