"""Triggers of type event: what fires them, filters, limits, loops, and that nothing is lost."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from sqlalchemy import select, update

from muster.domains.catalogue.agents import hold_activity, show_activity
from muster.domains.work.journal import Run
from muster.domains.work.triggers.models import Firing, TriggerCursor
from muster.entrypoints.assembly import Muster
from muster.platform import events
from muster.platform.access import Caller
from muster.platform.events.recording import _TYPES
from tests.support.people import People
from tests.work.trigger_setting import (
    Process,
    Time,
    agent,
    count,
    history,
    people,
    process,
    processes,
    runs_of,
    time,
    told,
    trigger,
)

__all__ = ["people", "process", "time"]

pytestmark = pytest.mark.anyio

STORM = 5_000


class ThingHappened(events.Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "thing.happened"
    subject: ClassVar[str] = "thing"
    thing_id: str
    number: int
    run_id: str | None = None


@pytest.fixture(autouse=True, scope="module")
def only_here() -> Any:
    """The type of event is of this module; the reference of events must not have it."""
    yield
    _TYPES.pop("thing.happened", None)


async def happen(muster: Muster, people: People, *numbers: int, **fields: Any) -> None:
    async with muster.database.write() as session:
        caller = Caller.system(people.project_id)
        for number in numbers:
            fact = ThingHappened(thing_id=str(number), number=number, **fields)
            events.record(session, caller, fact)


def on(*types: str, **config: Any) -> dict[str, Any]:
    return {"events": list(types), **config}


async def test_an_event_starts_a_run(muster: Muster, people: People, process: Process) -> None:
    await happen(muster, people, 1)
    made = await trigger(
        people.editor,
        "event",
        config=on("thing.*"),
        starting={
            "inputs": {
                "prompt": "{{ event.type }} {{ event.data.number }}",
                "n": "{{ event.number }}",
            }
        },
    )
    assert made["config"] == {"events": ["thing.*"], "filter": "", "max_per_minute": None}
    await happen(muster, people, 2, 3)
    await process.settle()
    shown = await history(people.viewer, made)
    assert sorted(item["inputs"]["prompt"] for item in shown) == [
        "thing.happened 2",
        "thing.happened 3",
    ]
    assert {item["inputs"]["n"] for item in shown} == {2, 3}
    assert {item["event_type"] for item in shown} == {"thing.happened"}
    assert {item["status"] for item in shown} == {"started"}
    assert len(await runs_of(muster, people.project_id)) == 2


async def test_the_event_is_handed_over_by_itself(
    muster: Muster, people: People, process: Process
) -> None:
    await trigger(people.editor, "event", config=on("thing.happened"))
    await happen(muster, people, 7)
    await process.settle()
    (run,) = await runs_of(muster, people.project_id)
    assert run.inputs["event"]["data"]["number"] == 7
    assert run.inputs["event"]["actor"]["kind"] == "system"


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("event.data.number > 2", {3, 4}),
        ("event.number == 2 or event.subject.id == '3'", {2, 3}),
        ("event.data.nothing == 1", set()),
        ("event.data.number / 0", set()),
        ("event.type == 'thing.happened'", {1, 2, 3, 4}),
        ("lower(event.type) in ['a', 'b']", set()),
    ],
)
async def test_filters(
    muster: Muster, people: People, process: Process, condition: str, wanted: set[int]
) -> None:
    made = await trigger(
        people.editor,
        "event",
        config=on("thing.happened", filter=condition),
        starting={"inputs": {"n": "{{ event.number }}"}},
    )
    await happen(muster, people, 1, 2, 3, 4)
    await process.settle()
    shown = await history(people.viewer, made)
    assert {item["inputs"]["n"] for item in shown} == wanted


async def test_other_projects_hear_nothing(
    muster: Muster, people: People, process: Process
) -> None:
    theirs = await trigger(people.outsider, "event", config=on("*"), action={"agent": "a"})
    mine = await trigger(people.editor, "event", config=on("*.happened"), action={"agent": "a"})
    await happen(muster, people, 1)
    await process.settle()
    assert await history(people.outsider, theirs) == []
    assert len(await history(people.viewer, mine)) == 1


async def test_what_happens_while_it_is_disabled(
    muster: Muster, people: People, process: Process
) -> None:
    made = await trigger(people.editor, "event", config=on("thing.happened"))
    await happen(muster, people, 1)
    path = f"/triggers/{made['id']}"
    # What was recorded before goes by too where it was not looked at yet.
    await people.editor.post(f"{path}/toggle")
    await happen(muster, people, 2)
    await process.settle()
    await people.editor.post(f"{path}/toggle")
    await happen(muster, people, 3)
    await people.editor.patch(path, json={"config": {"filter": "event.number > 2"}})
    await happen(muster, people, 4)
    await process.settle()
    shown = await history(people.viewer, made)
    assert {item["inputs"]["event"]["number"] for item in shown} == {3, 4}


async def test_a_limit(muster: Muster, people: People, process: Process, time: Time) -> None:
    made = await trigger(people.editor, "event", config=on("thing.happened", max_per_minute=2))
    await happen(muster, people, 1, 2, 3)
    await process.settle()
    await happen(muster, people, 4)
    await process.settle()
    time.forward(seconds=61)
    await happen(muster, people, 5)
    await process.settle()
    shown = Counter(item["status"] for item in await history(people.viewer, made))
    assert shown == {"started": 3, "skipped": 2}
    (skipped, _) = await history(people.viewer, made, status="skipped")
    assert skipped["reason"] == "More than 2 events in a minute."


async def test_a_trigger_does_not_hear_what_it_has_started(
    muster: Muster, people: People, process: Process
) -> None:
    made = await trigger(people.editor, "event", config=on("*"))
    await happen(muster, people, 1)
    await process.settle()
    (shown,) = await history(people.viewer, made)
    (run,) = await runs_of(muster, people.project_id)
    # Neither of a run that was made again from its run, nor of one that its run started.
    again = (await people.editor.post(f"/executions/{run.id}/cancel")).status_code
    assert again == 200
    assert (await people.editor.post(f"/executions/{run.id}/retry")).status_code == 201
    await happen(muster, people, 2, run_id=run.id)
    await process.settle()
    assert await history(people.viewer, made) == [{**shown, "run_status": "cancelled"}]


async def test_the_status_of_its_agent_is_its_own_doing(
    muster: Muster, people: People, process: Process
) -> None:
    made = await trigger(people.editor, "event", config=on("agent.status", "thing.happened"))
    await happen(muster, people, 1)
    await process.settle()
    (run,) = await runs_of(muster, people.project_id)
    caller = Caller.system(people.project_id)
    for running in (True, False):
        async with muster.database.write() as session:
            held = await hold_activity(session, str(run.agent_id))
            assert held is not None
            await show_activity(session, caller, held, running=running)
    await process.settle()
    assert len(await history(people.viewer, made)) == 1
    async with muster.database.write() as session:
        ended = {"status": "completed", "completed_at": run.created_at - timedelta(minutes=1)}
        await session.execute(update(Run).values(ended))
    async with muster.database.write() as session:
        held = await hold_activity(session, str(run.agent_id))
        assert held is not None
        await show_activity(session, caller, held, running=True)
    await process.settle()
    assert len(await history(people.viewer, made)) == 2


async def test_triggers_that_fire_one_another_come_to_an_end(
    muster: Muster, people: People, process: Process
) -> None:
    worker = await agent(people.editor)
    pair = [
        await trigger(
            people.editor,
            "event",
            config=on("trigger.fired", "thing.happened"),
            action={"agent": worker["id"]},
        )
        for _ in range(8)
    ]
    await happen(muster, people, 1)
    for _ in range(3):
        await process.follower.once()
        async with muster.database.read() as session:
            rows = (await session.scalars(select(Firing))).all()
        assert max(row.depth for row in rows) <= 6
    assert len(pair) == 8


async def test_firing_deeper_than_is_allowed(
    muster: Muster, people: People, process: Process
) -> None:
    first = await trigger(people.editor, "event", config=on("never.happens"), worker="One")
    second = await trigger(people.editor, "event", config=on("thing.happened"), worker="Two")
    await people.editor.post(f"/triggers/{first['id']}/fire")
    await process.settle()
    (run,) = await runs_of(muster, people.project_id)
    for depth, status in ((4, "started"), (5, "skipped")):
        async with muster.database.write() as session:
            deeper = update(Firing).where(Firing.run_id == run.id).values(depth=depth)
            await session.execute(deeper)
        await happen(muster, people, depth, run_id=run.id)
        await process.settle()
        shown = await history(people.viewer, second)
        assert shown[0]["status"] == status


class Noting:
    """Starts nothing; notes what it was asked to start."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    async def launch(
        self,
        caller: Caller,
        target: Any,
        inputs: Mapping[str, Any],
        *,
        run_id: str,
        origin: str,
        name: str | None = None,
        model: str | None = None,
    ) -> str:
        self.runs.append(run_id)
        return run_id


@pytest.mark.repeats
async def test_a_storm_of_events_loses_none(muster: Muster, people: People, time: Time) -> None:
    made = await trigger(
        people.editor,
        "event",
        config=on("thing.happened"),
        starting={"inputs": {"n": "{{ event.number }}"}},
    )
    for start in range(0, STORM, 250):
        await happen(muster, people, *range(start, start + 250))
    async with processes(muster, time, 3) as racing:
        noting = Noting()
        for one in racing:
            one.clock._starter._launcher = noting
        while await count(muster, Firing) < STORM:
            passed = await asyncio.gather(*(one.follower.once() for one in racing))
            assert any(passed)
        async with asyncio.timeout(100):
            while any(await asyncio.gather(*(one.clock.once() for one in racing))):
                pass
        await asyncio.gather(*(one.follower.once() for one in racing))
    async with muster.database.read() as session:
        query = select(Firing.inputs, Firing.run_id, Firing.status)
        rows = (await session.execute(query.where(Firing.trigger_id == made["id"]))).all()
    assert sorted(row[0]["n"] for row in rows) == list(range(STORM))
    assert sorted(row[1] for row in rows) == sorted(noting.runs)
    assert {row[2] for row in rows} == {"started"}


async def test_a_storm_while_it_blows(muster: Muster, people: People, time: Time) -> None:
    """Events come while followers read, and triggers are made and deleted meanwhile."""
    worker = await agent(people.editor)
    made = await trigger(
        people.editor,
        "event",
        config=on("thing.happened"),
        action={"agent": worker["id"], "inputs": {"n": "{{ event.number }}"}},
    )
    async with processes(muster, time, 3) as racing:
        loops = [asyncio.create_task(one.follower.run()) for one in racing]
        for number in range(60):
            await happen(muster, people, number)
            if number % 10 == 0:
                other = await trigger(
                    people.editor, "event", config=on("thing.*"), action={"agent": worker["id"]}
                )
                await people.editor.delete(f"/triggers/{other['id']}")
        async with asyncio.timeout(20):
            while len(await history(people.viewer, made)) < 60:
                await asyncio.sleep(0.05)
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
    shown = await history(people.viewer, made)
    assert sorted(item["inputs"]["n"] for item in shown) == list(range(60))


async def test_a_place_that_was_left_behind(
    muster: Muster, people: People, process: Process
) -> None:
    """What nobody wanted is passed over without a look."""
    first = await trigger(people.editor, "event", config=on("thing.happened"), worker="One")
    await people.editor.delete(f"/triggers/{first['id']}")
    await happen(muster, people, *range(20))
    second = await trigger(people.editor, "event", config=on("thing.happened"), worker="Two")
    await happen(muster, people, 100)
    await process.settle()
    (shown,) = await history(people.viewer, second)
    assert shown["inputs"]["event"]["number"] == 100
    async with muster.database.read() as session:
        cursor = await session.get_one(TriggerCursor, people.project_id)
    assert cursor.seq > 20


async def test_inputs_of_an_event_that_cannot_be_made(
    muster: Muster, people: People, process: Process
) -> None:
    made = await trigger(
        people.editor,
        "event",
        config=on("thing.happened"),
        starting={"inputs": {"n": "{{ event.nothing }}"}},
    )
    await happen(muster, people, 1)
    await process.settle()
    (shown,) = await history(people.viewer, made)
    assert shown["status"] == "failed"
    assert "There is no nothing here" in shown["reason"]
    assert await told(people.viewer, "trigger.failed") == ["trigger.failed"]
