"""Triggers of type cron: due times, zones, overlap, misfires, and once among many processes."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from muster.domains.work.journal import Run
from muster.domains.work.triggers.cron import CronRule
from muster.domains.work.triggers.errors import CronInvalid
from muster.domains.work.triggers.models import Firing, Trigger
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from muster.kernel.errors import Unavailable
from tests.support.people import People
from tests.work.trigger_setting import (
    Process,
    Time,
    agent,
    count,
    history,
    people,
    process,
    process_of,
    processes,
    runs_of,
    time,
    told,
    trigger,
)

__all__ = ["people", "process", "time"]

pytestmark = pytest.mark.anyio

EACH_MINUTE = {"cron": "* * * * *"}


def times(expression: str, zone: str, start: str, number: int) -> list[str]:
    moment = datetime.fromisoformat(start).replace(tzinfo=UTC)
    found = CronRule(expression, zone).upcoming(moment, number)
    assert found == sorted(set(found))
    return [f"{one:%d %H:%M}" for one in found]


@pytest.mark.parametrize(
    ("expression", "zone", "start", "wanted"),
    [
        # In spring the clocks skip 02:30: right after the gap.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["29 01:00", "30 00:30"]),
        # In autumn it comes twice: once, also for whoever asks in between.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", ["25 00:30", "26 01:30"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:31", ["26 01:30", "27 01:30"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10", ["26 01:30", "27 01:30"]),
        ("30 1 * * *", "America/New_York", "2026-10-31T12:00", ["01 05:30", "02 06:30"]),
        ("0 9 * * 1-5", "America/New_York", "2026-03-06T15:00", ["09 13:00", "10 13:00"]),
        (
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-10-25T00:00",
            ["25 00:30", "25 01:00", "25 01:30", "25 02:00"],
        ),
        ("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:30", ["29 01:00", "29 01:30"]),
        ("@daily", "UTC", "2026-01-01T00:00", ["02 00:00", "03 00:00"]),
        ("0 0 29 2 *", "UTC", "2026-03-01T00:00", ["29 00:00"]),
        ("0 30 2 * * *", "UTC", "2026-03-01T00:00", ["01 02:30", "02 02:30"]),
    ],
)
def test_times(expression: str, zone: str, start: str, wanted: list[str]) -> None:
    assert times(expression, zone, start, len(wanted)) == wanted


@pytest.mark.parametrize("expression", ["30 2 * * *", "*/7 * * * *", "0 */5 * * *", "0 9 1 * *"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Australia/Lord_Howe"])
def test_the_latest_time_is_one_of_the_times(expression: str, zone: str) -> None:
    rule = CronRule(expression, zone)
    start = datetime(2026, 3, 28, 23, 59, 30, tzinfo=UTC)
    for step in range(40):
        moment = start + timedelta(minutes=31 * step)
        latest = rule.latest(moment)
        assert latest is not None
        assert latest <= moment
        following = rule.after(moment)
        assert following is not None
        assert following > moment
    due = rule.after(start)
    assert due is not None
    assert rule.latest(due) == due


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "60 * * * *", "*/0 * * * *", "0 0 30 2 *", "a b c d e", "٣ * * * *"],
)
def test_no_expression(expression: str) -> None:
    with pytest.raises(CronInvalid, match="Invalid cron expression"):
        CronRule(expression, "UTC")


async def due(muster: Muster, made: dict[str, Any], moment: datetime) -> None:
    """Set the next time of a trigger."""
    async with muster.database.write() as session:
        changed = update(Trigger).where(Trigger.id == made["id"]).values(next_at=moment)
        await session.execute(changed)


async def test_a_due_time_is_fired_once(
    muster: Muster, people: People, process: Process, time: Time
) -> None:
    made = await trigger(people.editor, "cron", config=EACH_MINUTE)
    time.moment = datetime.fromisoformat(made["next_run_at"]).replace(tzinfo=UTC)
    await due(muster, made, time.moment)
    await process.settle()
    (shown,) = await history(people.viewer, made)
    assert (shown["status"], shown["source"], shown["reason"]) == ("started", "cron", None)
    assert shown["due_at"] == made["next_run_at"]
    await process.settle()
    assert len(await runs_of(muster, people.project_id)) == 1
    now = (await people.viewer.get(f"/triggers/{made['id']}")).json()
    assert now["next_run_at"] == clock.iso(time.moment + timedelta(minutes=1))
    (run,) = await runs_of(muster, people.project_id)
    assert (run.name, run.started_by_name, run.origin) == ("Trigger", "Editor", "trigger")


@pytest.mark.repeats
async def test_three_processes_fire_two_hundred_times_once(
    muster: Muster, people: People, time: Time
) -> None:
    worker = await agent(people.editor)
    start = time.moment = time.moment.replace(second=0) + timedelta(minutes=1)
    for _ in range(10):
        made = await trigger(
            people.editor, "cron", config=EACH_MINUTE, action={"agent": worker["id"]}
        )
        await due(muster, made, start)
    async with processes(muster, time, 3) as racing:
        for _ in range(20):
            await asyncio.gather(*(one.clock.once() for one in racing))
            time.forward(minutes=1)
        time.forward(seconds=-1)
        for one in racing:
            await one.settle()
        called = Counter(run for one in racing for run in one.launcher.called)
    assert set(called.values()) == {1}
    async with muster.database.read() as session:
        fired = (await session.scalars(select(Firing))).all()
    times_ = Counter(one.due_at for one in fired)
    assert times_ == {start + timedelta(minutes=n): 10 for n in range(20)}
    assert {one.status for one in fired} == {"started"}
    runs = await runs_of(muster, people.project_id)
    assert {run.id for run in runs} == {one.run_id for one in fired}
    assert len(runs) == 200


async def test_running_clocks_fire_once(muster: Muster, people: People, time: Time) -> None:
    """The loops themselves, with many triggers that are due at the same moment."""
    worker = await agent(people.editor)
    made = [
        await trigger(
            people.editor, "cron", config={"cron": "0 0 1 1 *"}, action={"agent": worker["id"]}
        )
        for _ in range(20)
    ]
    for one in made:
        await due(muster, one, time.moment)
    async with processes(muster, time, 3) as racing:
        loops = [asyncio.create_task(one.clock.run()) for one in racing]
        async with asyncio.timeout(20):
            while await count(muster, Run) < 20:
                await asyncio.sleep(0.02)
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
    assert await count(muster, Firing) == 20
    assert await count(muster, Run) == 20


async def test_a_launch_that_was_cut_off_is_made_good(
    muster: Muster, people: People, time: Time
) -> None:
    made = await trigger(people.editor, "cron", config=EACH_MINUTE)
    await due(muster, made, time.moment)
    async with processes(muster, time, 2) as (dying, other):
        dying.launcher.gate = asyncio.Event()
        working = asyncio.create_task(dying.clock.once())
        await dying.launcher.entered.wait()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await other.settle()
        assert await runs_of(muster, people.project_id) == [], "it may still be at it"
        time.forward(seconds=30)
        await other.settle()
        time.forward(minutes=2)
        await other.settle()
        assert dying.launcher.called[0] in other.launcher.called
    shown = await history(people.viewer, made)
    first = min(shown, key=lambda item: item["due_at"])
    assert (first["status"], first["attempts"]) == ("started", 2)


async def test_a_launch_that_was_cut_off_after_the_run_began(
    muster: Muster, people: People, time: Time
) -> None:
    made = await trigger(people.editor, "cron", config={"cron": "0 0 1 1 *"})
    await due(muster, made, time.moment)
    async with processes(muster, time, 2) as (slow, other):
        slow.launcher.errors = []
        first = asyncio.create_task(slow.clock.once())
        await slow.launcher.entered.wait()
        await first
        async with muster.database.write() as session:
            back = {"status": "pending", "launch_at": time.moment}
            await session.execute(update(Firing).values(back))
        await other.settle()
    assert len(await runs_of(muster, people.project_id)) == 1
    (shown,) = await history(people.viewer, made)
    assert shown["status"] == "started"


async def test_times_that_went_by(
    muster: Muster, people: People, process: Process, time: Time
) -> None:
    worker = await agent(people.editor)
    for misfire in ("fire_once", "skip"):
        made = await trigger(
            people.editor,
            "cron",
            config={**EACH_MINUTE, "misfire": misfire, "misfire_grace_s": 90},
            action={"agent": worker["id"]},
        )
        time.moment = time.moment.replace(second=30)
        await due(muster, made, time.moment.replace(second=0) - timedelta(hours=2))
        await process.settle()
        (shown,) = await history(people.viewer, made)
        assert shown["due_at"] == clock.iso(time.moment.replace(second=0))
        assert "Late by 7230 s" in shown["reason"]
        assert shown["status"] == ("started" if misfire == "fire_once" else "skipped")
        assert (shown["run_id"] is None) == (misfire == "skip")
        now = (await people.viewer.get(f"/triggers/{made['id']}")).json()
        assert now["next_run_at"] == clock.iso(time.moment.replace(second=0) + timedelta(minutes=1))
        await people.editor.post(f"/triggers/{made['id']}/toggle")


async def test_a_little_late_is_made_up_for(
    muster: Muster, people: People, process: Process, time: Time
) -> None:
    made = await trigger(people.editor, "cron", config={**EACH_MINUTE, "misfire_grace_s": 600})
    time.moment = time.moment.replace(second=0)
    await due(muster, made, time.moment - timedelta(minutes=4))
    await process.settle()
    assert len(await history(people.viewer, made, status="started")) == 5


async def end_runs(muster: Muster) -> None:
    async with muster.database.write() as session:
        await session.execute(update(Run).values(status="completed"))


async def test_overlap_is_left_out(
    muster: Muster, people: People, process: Process, time: Time
) -> None:
    made = await trigger(people.editor, "cron", config={**EACH_MINUTE, "overlap": "skip"})
    await due(muster, made, time.moment)
    for _ in range(3):
        await process.settle()
        time.forward(minutes=1)
    await end_runs(muster)
    await process.settle()
    shown = await history(people.viewer, made)
    assert [item["status"] for item in shown] == ["started", "skipped", "skipped", "started"]
    assert shown[1]["reason"] == "The run before has not ended."


async def test_overlap_waits_for_its_turn(
    muster: Muster, people: People, process: Process, time: Time
) -> None:
    made = await trigger(people.editor, "cron", config={**EACH_MINUTE, "overlap": "queue"})
    await due(muster, made, time.moment)
    for _ in range(3):
        await process.settle()
        time.forward(minutes=1)
    time.forward(seconds=-30)
    shown = await history(people.viewer, made)
    assert [item["status"] for item in shown] == ["skipped", "queued", "started"]
    await end_runs(muster)
    await process.settle()
    shown = await history(people.viewer, made)
    assert [item["status"] for item in shown] == ["skipped", "started", "started"]


async def test_overlap_is_allowed(
    muster: Muster, people: People, process: Process, time: Time
) -> None:
    made = await trigger(people.editor, "cron", config=EACH_MINUTE)
    await due(muster, made, time.moment)
    for _ in range(3):
        await process.settle()
        time.forward(minutes=1)
    assert len(await history(people.viewer, made, status="started")) == 3


async def test_a_disabled_trigger_starts_nothing(
    muster: Muster, people: People, process: Process, time: Time
) -> None:
    made = await trigger(people.editor, "cron", config=EACH_MINUTE)
    await due(muster, made, time.moment)
    process.launcher.errors = [Unavailable()]
    assert await process.clock.once() == 2
    await people.editor.post(f"/triggers/{made['id']}/toggle")
    time.forward(minutes=5)
    await process.settle()
    (shown,) = await history(people.viewer, made)
    assert (shown["status"], shown["reason"]) == ("skipped", "The trigger was disabled.")
    assert await told(people.viewer, "trigger.f") == []


async def test_a_trigger_that_cannot_go_on_keeps_no_other_waiting(
    muster: Muster, people: People, process: Process, time: Time
) -> None:
    worker = await agent(people.editor)
    action = {"agent": worker["id"]}
    broken = await trigger(people.editor, "cron", config=EACH_MINUTE, action=action)
    well = await trigger(people.editor, "cron", config=EACH_MINUTE, action=action)
    for one in (broken, well):
        await due(muster, one, time.moment)
    async with muster.database.write() as session:
        config = {**broken["config"], "timezone": "Gone/Away"}
        changed = update(Trigger).where(Trigger.id == broken["id"]).values(config=config)
        await session.execute(changed)
    await process_of(muster, muster.database, muster.live, time, process.launcher).settle()
    assert await history(people.viewer, broken) == []
    assert len(await history(people.viewer, well)) == 1
