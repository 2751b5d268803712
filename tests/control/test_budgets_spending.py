"""Holds and settlements: many spenders at once, crashes, windows, alerts."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from muster.domains.control.budgets import BudgetCheck, BudgetHold, BudgetUsage
from muster.domains.control.gate import Action, IntendedStep, Limits, Outcome, Progress
from muster.domains.work.costs import JournalSpending
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.ids import new_id
from muster.kernel.live import LiveBus
from tests.support.journal_rows import add_call, add_run
from tests.support.people import People

pytestmark = pytest.mark.anyio

DOLLAR = 1_000_000_000


def intended(people: People, **values: Any) -> IntendedStep:
    fields: dict[str, Any] = {
        "project_id": people.project_id,
        "run_id": "r",
        "agent_id": "a",
        "agent": {},
        "key": "m1",
        "kind": "step.model",
        "verb": "POST",
        "name": "gpt",
        "arguments": {},
        "limits": Limits(max_iter=3),
        "progress": Progress(
            iteration=1, model_calls=0, tool_calls=0, active_s=0, started_at=clock.now()
        ),
        "estimated_cost": 0.1,
    }
    return IntendedStep(**{**fields, **values})


@pytest.fixture
async def checks(muster: Muster, people: People) -> AsyncIterator[list[BudgetCheck]]:
    """Two processes: nothing is between them but the database and the bus."""
    async with AsyncExitStack() as stack:
        made: list[BudgetCheck] = []
        for _ in range(2):
            database = Database(muster.settings.database, pool_size=5)
            stack.push_async_callback(database.dispose)
            live = LiveBus(database)
            await live.start()
            stack.push_async_callback(live.stop)
            made.append(BudgetCheck(database, live, JournalSpending()))
        yield made
        for check in made:
            await check.written()


@pytest.fixture
def check(checks: list[BudgetCheck]) -> BudgetCheck:
    return checks[0]


async def make(people: People, **fields: Any) -> str:
    made = await people.owner.post("/budgets", json={"name": "B", "limit": 1, **fields})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def usage(muster: Muster, budget_id: str) -> BudgetUsage:
    async with muster.database.read() as session:
        query = select(BudgetUsage).where(BudgetUsage.budget_id == budget_id)
        found = await session.scalar(query)
        assert found is not None
        return found


async def holds(muster: Muster) -> list[BudgetHold]:
    async with muster.database.read() as session:
        return list(await session.scalars(select(BudgetHold)))


async def age_holds(muster: Muster, **values: Any) -> None:
    """Let all holds be as old as those that a crash left behind."""
    async with muster.database.write() as session:
        await session.execute(
            update(BudgetHold).values(
                **{"created_at": clock.now() - timedelta(seconds=60), **values}
            )
        )


@pytest.mark.parametrize("seed", range(3))
async def test_many_spenders_at_once_never_spend_more_than_the_limit(
    people: People, muster: Muster, checks: list[BudgetCheck], seed: int
) -> None:
    """However calls interleave, what is spent and held fits into every budget."""
    chance = random.Random(seed)
    whole = await make(people, limit=1)
    agents = [
        await make(people, name=f"A{n}", scope="agent", target_id=f"a{n}", limit=0.4)
        for n in range(3)
    ]
    granted: list[float] = []
    refused = 0

    async def spend(number: int) -> None:
        nonlocal refused
        check = checks[number % 2]
        estimate = chance.choice([0.01, 0.05, 0.2])
        cost = estimate * chance.choice([0, 0.5, 1])
        step = intended(
            people, run_id=f"r{number}", agent_id=f"a{number % 4}", estimated_cost=estimate
        )
        found = await check.judge(step)
        if found:
            refused += 1
            await check.release(step)
            return
        async with muster.database.read() as session:
            for row in await session.scalars(select(BudgetUsage)):
                limit = 1 if row.budget_id == whole else 0.4
                assert row.spent + row.held <= limit * DOLLAR
                assert row.held >= 0
        await asyncio.sleep(chance.random() / 100)
        granted.append(cost)
        await check.settle(step, Outcome(succeeded=True, cost=cost))

    await asyncio.gather(*(spend(number) for number in range(60)))
    for check in checks:
        await check.written()
    assert refused
    row = await usage(muster, whole)
    assert (row.held, row.spent) == (0, sum(round(cost * DOLLAR) for cost in granted))
    assert row.spent <= DOLLAR
    for agent in agents:
        row = await usage(muster, agent)
        assert row.held == 0
        assert row.spent <= 0.4 * DOLLAR
    assert await holds(muster) == []


async def test_calls_that_cost_more_than_was_thought_overspend_by_what_is_in_flight(
    people: People, muster: Muster, checks: list[BudgetCheck]
) -> None:
    budget = await make(people, limit=1)
    in_flight, most, spent = 0, 0, 0.0

    async def spend(number: int) -> None:
        nonlocal in_flight, most, spent
        step = intended(people, run_id=f"r{number}", estimated_cost=None)
        check = checks[number % 2]
        if await check.judge(step):
            return
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0)
        in_flight -= 1
        spent += 0.3
        await check.settle(step, Outcome(succeeded=True, cost=0.3))
        await check.written()

    for first in range(0, 40, 4):
        await asyncio.gather(*(spend(number) for number in range(first, first + 4)))
    row = await usage(muster, budget)
    assert row.spent == round(spent * DOLLAR)
    assert DOLLAR <= row.spent <= (1 + most * 0.3) * DOLLAR


async def test_without_a_budget_nothing_is_asked(
    people: People, muster: Muster, check: BudgetCheck
) -> None:
    assert await check.judge(intended(people)) == ()
    muster_statements = await holds(muster)
    assert muster_statements == []
    await check.settle(intended(people), Outcome(succeeded=True, cost=1.0))
    budget = await make(people, scope="agent", target_id="other")
    assert await check.judge(intended(people)) == ()
    assert await check.judge(intended(people, kind="step.resource", agent_id="other")) == ()
    assert (await usage(muster, budget)).spent == 0


async def seen(check: BudgetCheck, step: IntendedStep) -> list[str]:
    """Judge until the check has heard of a change that another process has made."""
    found = await check.judge(step)
    await check.release(step)
    return [f"{f.action.value} {f.code}" for f in found]


async def test_a_change_reaches_other_processes(
    people: People, muster: Muster, checks: list[BudgetCheck]
) -> None:
    step = intended(people)
    for check in checks:
        assert await seen(check, step) == []
    budget = await make(people, limit=0)
    for check in checks:
        async with asyncio.timeout(10):
            while not (found := await seen(check, step)):
                await asyncio.sleep(0.01)
        assert found == ["block budget_exceeded"]
    await people.owner.patch(f"/budgets/{budget}", json={"limit": 5})
    # The limit is read in the statement that takes the hold: it holds at once.
    for check in checks:
        assert await seen(check, step) == []


async def test_a_refusal_takes_nothing_from_the_others(
    people: People, muster: Muster, check: BudgetCheck
) -> None:
    wide, tight = await make(people, limit=9), await make(people, period="day", limit=0.05)
    (finding,) = await check.judge(intended(people))
    assert (finding.action, finding.ends_run) == (Action.BLOCK, True)
    assert finding.details["budget_id"] == tight
    assert finding.details["resets_at"] is not None
    await check.release(intended(people))
    await check.written()
    assert [(await usage(muster, b)).held for b in (wide, tight)] == [0, 0]
    assert await holds(muster) == []


async def test_what_a_crash_left_held_is_given_back(
    people: People, muster: Muster, check: BudgetCheck
) -> None:
    budget = await make(people, limit=0.1)
    lost = intended(people)
    assert await check.judge(lost) == []
    other = intended(people, run_id="other")
    (finding,) = await check.judge(other)
    assert "are held for calls under way" in finding.message
    await age_holds(muster)
    # The run is gone: whoever is refused next takes what it held.
    assert await check.judge(other) == []
    await check.settle(other, Outcome(succeeded=True, cost=0.02))
    # What was taken for lost and ends after all is not counted twice.
    await check.settle(lost, Outcome(succeeded=True, cost=0.1))
    await check.written()
    row = await usage(muster, budget)
    assert (row.spent, row.held) == (0.02 * DOLLAR, 0)


async def test_a_call_that_the_journal_has_is_counted_with_what_it_cost(
    people: People, muster: Muster, check: BudgetCheck
) -> None:
    budget = await make(people, limit=9)
    async with muster.database.write() as session:
        run_id = await add_run(session, people.project_id)
    for key in ("m1", "m2", "m3"):
        assert await check.judge(intended(people, run_id=run_id, key=key)) == []
    await age_holds(muster)
    async with muster.database.write() as session:
        await add_call(session, people.project_id, run_id, 1, cost=0.07, key="m1~2")
        await add_call(session, people.project_id, run_id, 2, cost=None)
    await check.sweep()
    row = await usage(muster, budget)
    assert (row.spent, row.held, row.unpriced_calls) == (0.07 * DOLLAR, 0.1 * DOLLAR, 1)
    (left,) = await holds(muster)
    assert left.step_key == "m3"

    # One of which nothing is heard for long counts no more, but is settled when it ends.
    await age_holds(muster, expires_at=clock.now() - timedelta(seconds=1))
    await check.sweep()
    row = await usage(muster, budget)
    assert (row.spent, row.held) == (0.07 * DOLLAR, 0)
    await check.settle(intended(people, run_id=run_id, key="m3"), Outcome(succeeded=True, cost=0.5))
    await check.written()
    row = await usage(muster, budget)
    assert (row.spent, row.held) == (0.57 * DOLLAR, 0)
    await check.sweep()
    assert await holds(muster) == []


async def test_a_step_that_is_taken_up_again_holds_once(
    people: People, muster: Muster, checks: list[BudgetCheck]
) -> None:
    budget = await make(people, limit=0.15)
    step = intended(people)
    assert await checks[0].judge(step) == []
    assert await checks[1].judge(step) == []
    assert (await usage(muster, budget)).held == 0.1 * DOLLAR
    assert len(await holds(muster)) == 1


async def test_one_that_is_broken_off_while_it_waits_holds_nothing(
    people: People, muster: Muster, check: BudgetCheck
) -> None:
    budget = await make(people)
    waiting = asyncio.create_task(check.judge(intended(people)))
    await asyncio.sleep(0)
    while not check._ledger._waiting and not waiting.done():
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await check.written()
    async with muster.database.read() as session:
        held = await session.scalar(select(BudgetUsage.held).where(BudgetUsage.budget_id == budget))
    assert held == 0
    assert await holds(muster) == []


async def test_one_that_cannot_be_written_does_not_fail_the_others(
    people: People, muster: Muster, check: BudgetCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = await make(people)
    database = check._database
    whole = database.transact

    async def transact(work: Any) -> Any:
        entries = work.keywords["entries"]
        if any(entry.run_id == "bad" for entry in entries):
            raise OperationalError("", {}, Exception())
        return await whole(work)

    monkeypatch.setattr(database, "transact", transact)
    runs = ["good", "bad", "fine"]
    steps = [intended(people, run_id=run_id) for run_id in runs]
    answers = await asyncio.gather(*(check.judge(s) for s in steps), return_exceptions=True)
    assert [isinstance(answer, OperationalError) for answer in answers] == [False, True, False]
    check._held["bad", "m1"] = check._held["good", "m1"]
    for step in steps:
        await check.settle(step, Outcome(succeeded=True, cost=0.1))
    await check.written()
    row = await usage(muster, budget)
    assert (row.spent, row.held) == (0.2 * DOLLAR, 0)

    async def broken(_: Any) -> Any:
        raise ValueError("broken")

    monkeypatch.setattr(database, "transact", broken)
    with pytest.raises(ValueError, match="broken"):
        await check.judge(intended(people))


async def test_a_budget_that_is_deleted_meanwhile(
    people: People, muster: Muster, check: BudgetCheck
) -> None:
    budget = await make(people)
    step = intended(people)
    assert await check.judge(step) == []
    rules = await check._rules.get()
    assert (await people.owner.delete(f"/budgets/{budget}")).status_code == 204
    await check.settle(step, Outcome(succeeded=True, cost=0.1))
    await check.written()
    # A process that has not heard of it yet holds nothing, and refuses nothing.
    check._rules._value, check._rules._told.something = rules, False
    assert await check.judge(step) == []
    async with muster.database.read() as session:
        assert (await session.scalars(select(BudgetUsage))).all() == []


async def test_alerts_are_told_once_in_a_window(
    people: People, muster: Muster, checks: list[BudgetCheck]
) -> None:
    budget = await make(people, thresholds=[50, 80, 100])
    for number, cost in enumerate((0.4, 0.2, 0.3, 0.2, 0.1)):
        check = checks[number % 2]
        step = intended(people, run_id=f"r{number}", estimated_cost=None)
        found = await check.judge(step)
        assert bool(found) is (number == 4)
        if not found:
            await check.settle(step, Outcome(succeeded=True, cost=cost))
            await check.written()
    events = (await people.viewer.get("/events", params={"limit": 100})).json()["items"]
    told = [
        (e["type"], e["data"].get("threshold"), round(e["data"]["spent"], 6))
        for e in reversed(events)
        if e["type"] in {"budget.threshold_reached", "budget.exceeded"}
    ]
    assert told == [
        ("budget.threshold_reached", 50, 0.6),
        ("budget.threshold_reached", 80, 0.9),
        ("budget.threshold_reached", 100, 1.1),
        ("budget.exceeded", None, 1.1),
    ]
    row = await usage(muster, budget)
    assert (row.alerted, row.exceeded) == (100, True)
    await people.owner.patch(f"/budgets/{budget}", json={"limit": 2})
    row = await usage(muster, budget)
    assert (row.alerted, row.exceeded) == (0, False)


async def test_runs_that_a_key_started_count_with_those_that_they_asked(
    people: People, muster: Muster
) -> None:
    key, other = new_id(), new_id()
    async with muster.database.write() as session:
        project = people.project_id
        root = await add_run(session, project, started_by_id=key)
        child = await add_run(session, project, parent_run_id=root)
        grandchild = await add_run(session, project, parent_run_id=child)
        elsewhere = await add_run(session, project, started_by_id=other)
        for number, run_id in enumerate((root, child, grandchild, elsewhere)):
            await add_call(session, project, run_id, 1, cost=10.0**number)
    budget = await make(people, scope="key", target_id=key, limit=1000)
    assert (await usage(muster, budget)).spent == 111 * DOLLAR
