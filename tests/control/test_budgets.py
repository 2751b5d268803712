"""Budgets over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from muster.domains.control.budgets.money import dollars_of, nanos_of, shown
from muster.domains.control.budgets.windows import Window, window_of
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from tests.support.journal_rows import add_call, add_run
from tests.support.people import People

pytestmark = pytest.mark.anyio

BODY = {"name": "Research", "limit": 12.5}


async def test_make_read_change_delete(people: People) -> None:
    made = await people.owner.post("/budgets", json=BODY)
    assert made.status_code == 201, made.text
    budget = made.json()
    assert {name: budget[name] for name in ("scope", "target_id", "period", "limit")} == {
        "scope": "project",
        "target_id": None,
        "period": "month",
        "limit": 12.5,
    }
    assert (budget["thresholds"], budget["enforcement"]) == ([80, 100], "block")
    assert (budget["usage"]["spent"], budget["usage"]["remaining"]) == (0, 12.5)
    path = f"/budgets/{budget['id']}"
    assert (await people.viewer.get(path)).json() == budget
    assert (await people.outsider.get(path)).status_code == 404

    taken = await people.owner.post("/budgets", json={**BODY, "name": "Again"})
    assert (taken.status_code, taken.json()["error"]) == (409, "budget_taken")
    for person in (people.viewer, people.editor):
        assert (await person.post("/budgets", json=BODY)).status_code == 403
        assert (await person.patch(path, json={"limit": 1})).status_code == 403
        assert (await person.delete(path)).status_code == 403

    changes = {"name": "Less", "limit": 3, "alert_thresholds": [0.9, 50], "enforcement": "warn"}
    changed = await people.owner.patch(path, json=changes)
    assert changed.status_code == 200, changed.text
    assert (changed.json()["limit"], changed.json()["thresholds"]) == (3, [50, 90])
    same = await people.owner.patch(path, json={"limit": 3})
    assert same.json()["updated_at"] == changed.json()["updated_at"]
    assert (await people.owner.patch(path, json={"scope": "run"})).status_code == 422

    listed = (await people.viewer.get("/budgets", params={"scope": "project"})).json()
    assert (listed["total"], listed["items"][0]["name"]) == (1, "Less")
    none = await people.viewer.get("/budgets", params={"target_id": "x"})
    assert none.json()["items"] == []
    assert (await people.owner.delete(path)).status_code == 204
    assert (await people.owner.get(path)).status_code == 404
    events = (await people.viewer.get("/events", params={"limit": 50})).json()["items"]
    told = [e for e in events if e["type"].startswith("budget.")]
    assert [e["type"] for e in told] == ["budget.deleted", "budget.updated", "budget.created"]
    assert told[1]["data"]["changed"] == ["enforcement", "limit", "name", "thresholds"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"scope": "project", "target_id": "x"}, "budget_scope_invalid"),
        ({"scope": "agent"}, "budget_scope_invalid"),
        ({"scope": "key"}, "budget_scope_invalid"),
        ({"scope": "run", "period": "day"}, "budget_scope_invalid"),
        ({"limit": -1}, "validation_error"),
        ({"limit": 1e12}, "validation_error"),
        ({"thresholds": [0]}, "validation_error"),
        ({"thresholds": "many"}, "validation_error"),
        ({"period": "year"}, "validation_error"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    people: People, fields: dict[str, Any], code: str
) -> None:
    refused = await people.owner.post("/budgets", json={**BODY, **fields})
    assert (refused.status_code, refused.json()["error"]) == (422, code)


async def test_the_budget_for_a_month(people: People, muster: Muster) -> None:
    async with muster.database.write() as session:
        run_id = await add_run(session, people.project_id)
        await add_call(session, people.project_id, run_id, 1, cost=0.25)
        await add_call(session, people.project_id, run_id, 2, cost=None)
    none = (await people.viewer.get("/cost/budget")).json()
    assert (none["budget_id"], none["monthly_limit"], none["remaining"]) == (None, None, None)
    assert (none["spent"], none["unpriced_calls"], none["enabled"]) == (0.25, 1, False)

    refused = await people.editor.put("/cost/budget", json={"monthly_limit": 1})
    assert refused.status_code == 403
    body = {"monthly_limit": 1, "alert_thresholds": [0.5, 1.0]}
    made = await people.owner.put("/cost/budget", json=body)
    assert made.status_code == 200, made.text
    month = made.json()
    assert (month["monthly_limit"], month["alert_thresholds"]) == (1, [50, 100])
    assert (month["spent"], month["remaining"], month["percent"]) == (0.25, 0.75, 25)
    assert (month["unpriced_calls"], month["enforcement"], month["currency"]) == (1, "block", "USD")

    off = await people.owner.patch(f"/budgets/{month['budget_id']}", json={"enabled": False})
    assert off.json()["enabled"] is False
    async with muster.database.write() as session:
        await add_call(session, people.project_id, run_id, 3, cost=0.5)
    raised = await people.owner.put(
        "/cost/budget", json={"monthly_limit": 2, "enforcement": "warn"}
    )
    month = raised.json()
    # Enabled again, it counts what was spent while it was not.
    assert (month["spent"], month["enabled"], month["enforcement"]) == (0.75, True, "warn")
    assert month["alert_thresholds"] == [50, 100]

    alerts = await people.owner.put("/cost/budget", json={"alert_thresholds": [90]})
    assert (alerts.status_code, alerts.json()["alert_thresholds"]) == (200, [90])
    assert (alerts.json()["monthly_limit"], alerts.json()["enforcement"]) == (2, "warn")

    removed = await people.owner.put("/cost/budget", json={"monthly_limit": None})
    assert (removed.json()["budget_id"], removed.json()["spent"]) == (None, 0.75)
    assert (await people.owner.put("/cost/budget", json={"monthly_limit": None})).status_code == 200
    without = await people.owner.put("/cost/budget", json={"alert_thresholds": [90]})
    assert (without.status_code, without.json()["errors"][0]["field"]) == (422, "monthly_limit")
    assert (await people.viewer.get("/budgets")).json()["items"] == []


async def test_a_new_month_begins_at_nothing(people: People, muster: Muster) -> None:
    async with muster.database.write() as session:
        run_id = await add_run(session, people.project_id)
        ended_at = window_of("month", clock.now(), "").start
        assert ended_at is not None
        last = ended_at - timedelta(microseconds=1)
        await add_call(session, people.project_id, run_id, 1, cost=0.25, ended_at=last)
    made = await people.owner.post("/budgets", json=BODY)
    assert made.json()["usage"]["spent"] == 0


def test_windows() -> None:
    moment = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
    assert window_of("month", moment, "").end == datetime(2027, 1, 1, tzinfo=UTC)
    assert window_of("day", moment, "").end == datetime(2027, 1, 1, tzinfo=UTC)
    assert window_of("day", datetime(2026, 2, 3, 4, tzinfo=UTC), "").key == "2026-02-03"
    february = window_of("month", datetime(2026, 2, 3, 4, tzinfo=UTC), "")
    assert (february.key, february.end) == ("2026-02", datetime(2026, 3, 1, tzinfo=UTC))
    assert window_of("run", moment, "r") == Window("r", None, None)


def test_money_is_exact() -> None:
    assert sum([nanos_of(0.1)] * 10) == nanos_of(1)
    assert dollars_of(nanos_of(0.3)) == 0.3
    assert [shown(n) for n in (0, 1, 500_000_000, 12_345_678_900)] == [
        "0.00",
        "0.000000001",
        "0.50",
        "12.3456789",
    ]
