"""Rendering of what is hostile, long, empty or much."""

import io
import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from pypdf import PdfReader
from sqlalchemy import insert

from muster.domains.control.approvals import Approval
from muster.domains.control.incidents import Incident
from muster.domains.insight.reports.document import DayRow
from muster.domains.insight.reports.events import ReportDeleted
from muster.domains.insight.reports.gathering.changes import _detail
from muster.domains.insight.reports.rendering.pdf import _breakable, _by_width, _chart
from muster.domains.insight.reports.rendering.text import REPLACEMENT, Cleaner
from muster.domains.insight.reports.rendering.xml import NAMESPACE
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from muster.kernel.ids import new_id
from muster.platform import events
from muster.platform.access import Caller
from tests.insight.report_setting import HOSTILE, add_steps, call, made
from tests.support.people import People

pytestmark = pytest.mark.anyio

CONTROL = "bell\x07 escape\x1b[31m turned\u202eround \ufffe end"


def text_of(content: bytes) -> str:
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(content)).pages]
    return re.sub(r"\s+", " ", " ".join(pages).replace("\u200b", ""))


def period() -> dict[str, str]:
    now = clock.now()
    return {
        "from": clock.iso(now - timedelta(days=400)),
        "to": clock.iso(now + timedelta(days=1)),
    }


async def test_markup_and_control_characters_are_only_text(people: People) -> None:
    title = f"{HOSTILE} {CONTROL}"
    body = {"name": title, "llm": "builtin/extractive"}
    assert (await people.editor.post("/agents", json=body)).status_code == 201
    plain = (await made(people.operator, format="json", title=title, **period())).json()
    assert plain["cover"]["title"] == title
    assert plain["agents"]["rows"][0]["name"] == title
    xml = ET.fromstring((await made(people.operator, format="xml", **period())).content)
    named = xml.findtext("r:agents/r:rows/r:row/r:name", namespaces={"r": NAMESPACE})
    replaced = title.replace("\x07", REPLACEMENT).replace("\x1b", REPLACEMENT)
    assert named == replaced.replace("\ufffe", REPLACEMENT)
    notes = [note.text or "" for note in xml.iter(f"{{{NAMESPACE}}}note")]
    assert any("were replaced" in note for note in notes)
    text = text_of((await made(people.operator, format="pdf", title=title, **period())).content)
    assert '#panic("x") $1+1$ *bold* _it_ @ref <tag>' in text
    assert "were replaced" in text
    assert "\u202e" not in text


@pytest.mark.repeats
async def test_ten_thousand_incidents(people: People, working: Muster) -> None:
    now = clock.now()
    rows: list[dict[str, Any]] = [
        {
            "id": new_id(),
            "project_id": people.project_id,
            "repeat_key": str(number),
            "policy_name": f"Policy {number % 50}",
            "severity": ["critical", "high", "medium", "low"][number % 4],
            "status": ["open", "active", "resolved", "ignored"][number // 4 % 4],
            "title": "Broken",
            "description": "",
            "action": "block",
            "details": {},
            "count": 2,
            "first_occurrence": now - timedelta(minutes=number),
            "last_occurrence": now - timedelta(minutes=number // 2),
            "created_at": now,
            "updated_at": now,
        }
        for number in range(10_000)
    ]
    async with working.database.write() as session:
        await session.execute(insert(Incident), rows)
    plain = (await made(people.operator, format="json", **period())).json()
    incidents = plain["incidents"]
    assert incidents["total"] == incidents["opened"] == 10_000
    assert [count["count"] for count in incidents["by_status"]] == [2500] * 4
    assert [count["count"] for count in plain["violations"]["by_severity"]] == [5000] * 4
    assert [row["id"] for row in incidents["rows"]] == [
        row["id"]
        for row in sorted(rows, key=lambda r: (r["last_occurrence"], r["id"]), reverse=True)[:500]
    ]
    assert plain["notes"][-1].startswith("Of 10,000 incidents only 500 are listed")
    text = text_of((await made(people.operator, format="pdf", **period())).content)
    assert "Listed are the newest 500 of 10,000 incidents; the counts are of all of them." in text
    assert "10,000 incidents occurred or were handled" in text


async def test_more_than_a_batch_of_everything(people: People, working: Muster) -> None:
    now = clock.now()
    asked: list[dict[str, Any]] = [
        {
            "id": new_id(),
            "project_id": people.project_id,
            "kind": "manual",
            "title": f"Question {number}",
            "description": "",
            "details": {},
            "requested_by_id": "someone",
            "requested_by_name": "Someone",
            "status": "pending",
            "created_at": now - timedelta(minutes=number // 2),
            "updated_at": now,
        }
        for number in range(1_001)
    ]
    async with working.database.write() as session:
        await session.execute(insert(Approval), asked)
        for number in range(1_001):
            fact = ReportDeleted(report_id=str(number), title=f"Title {number}", format="pdf")
            events.record(session, Caller.system(people.project_id), fact)
    # Many of one moment, so that a batch ends in the midst of them.
    steps = [call(f"m{n}", now - timedelta(seconds=n // 400)) for n in range(1_001)]
    await add_steps(working, people.project_id, steps)
    plain = (await made(people.operator, format="json", **period())).json()
    approvals, changes = plain["approvals"], plain["changes"]
    assert (approvals["total"], len(approvals["rows"])) == (1_001, 500)
    assert len({row["id"] for row in approvals["rows"]}) == 500
    assert (changes["total"], len(changes["rows"])) == (1_001, 500)
    assert changes["rows"][0]["subject"] == "Title 1000"
    assert plain["summary"]["steps"] == plain["costs"]["total"]["calls"] == 1_001
    assert plain["costs"]["total"]["cost"] == 12.5125
    assert plain["integrity"]["steps"] == 1_001
    assert [note.split(" only ")[0] for note in plain["notes"][-2:]] == [
        "Of 1,001 approvals",
        "Of 1,001 changes",
    ]


def test_long_words_can_be_broken_and_ids_are_whole() -> None:
    whole, moment = new_id(), clock.iso(clock.now())
    given = {"name": "x" * 40, "path": "/usr/share/very/long/path", "note": "y" * 40}
    broken = _breakable({**given, "id": whole, "at": moment, "rows": [{"short": "a-b"}], "n": 1})
    assert broken["name"] == "\u200b".join(["x" * 16, "x" * 16, "x" * 8])
    assert broken["path"].replace("\u200b", "") == given["path"]
    assert max(map(len, broken["path"].split("\u200b"))) <= 16
    assert (broken["note"], broken["id"], broken["at"]) == (given["note"], whole, moment)
    assert (broken["rows"], broken["n"]) == ([{"short": "a-b"}], 1)


def day(at: date, steps: int = 1) -> DayRow:
    return DayRow(date=at, steps=steps, model_calls=steps, unpriced_calls=0, cost=0.5)


@pytest.mark.parametrize(
    ("days", "unit", "bars"),
    [(1, "day", 1), (62, "day", 62), (63, "week", 9), (434, "week", 62), (435, "month", 15)],
)
def test_the_chart_has_few_bars(days: int, unit: str, bars: int) -> None:
    first = date(2025, 1, 1)
    rows = [day(first + timedelta(days=n)) for n in range(days)]
    chart = _chart([rows[0], rows[-1]] if days > 1 else rows)
    assert (chart["unit"], len(chart["bars"])) == (unit, bars)
    assert sum(bar["steps"] for bar in _chart(rows)["bars"]) == days
    costs = _by_width(rows)
    assert costs["unit"] == ("month" if days > 62 else "day")
    assert sum(row["cost"] for row in costs["rows"]) == pytest.approx(days / 2)


def test_a_chart_of_nothing() -> None:
    assert _chart([]) == {"unit": "day", "bars": []}
    assert _by_width([replace(day(date(2025, 1, 1)), model_calls=0)])["rows"] == []


def test_cleaning_keeps_what_can_be_kept() -> None:
    cleaner = Cleaner.for_xml()
    value = {"a": ["tab\tline\n", "\x00"], "b": 1, "c": None}
    assert cleaner.all(value) == {"a": ["tab\tline\n", REPLACEMENT], "b": 1, "c": None}
    assert cleaner.replaced == 1
    assert Cleaner.for_print().note is None


def test_details_of_changes_are_short() -> None:
    data = {
        "name": "Left out",
        "policy_id": new_id(),
        "changed": ["params", "severity"],
        "enabled": False,
        "nothing": None,
        "empty": [],
        "long": "z" * 500,
        "at": json.dumps(datetime(2026, 1, 1, tzinfo=UTC).isoformat()),
    }
    told = _detail(data)
    assert told.startswith("changed: params, severity, enabled: no, long: zzz")
    assert "z" * 120 not in told
    assert "…" in told
