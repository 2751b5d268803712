"""What a restart leaves as it is: waits, cancellations, the record of other releases."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from muster.engine import Executor
from muster.entrypoints.assembly import Muster
from muster.kernel.settings import Settings
from tests.durability.servers import call, calling, prompt
from tests.durability.workers import until
from tests.durability.world import Started, World
from tests.support.model_scripts import Reply

pytestmark = [pytest.mark.anyio, pytest.mark.durability]

KEYS = ["start", "m1", "t1.0", "m2", "end"]
RESTARTED = "Job cancelled - service was restarted while job was running"


@pytest.fixture
async def agent(world: World) -> dict[str, Any]:
    await world.tool("fetch", "GET")
    await world.tool("guarded", "GET", requires_approval=True)
    for tool in ("fetch", "guarded"):
        world.model.plans[tool] = lambda name, tool=tool: [
            calling(call(tool, run=name, part="t1.0")),
            Reply(text=f"{name} is done."),
        ]
    world.model.plans["silent"] = lambda _: [Reply(hang=True)]
    return await world.agent("fetch", "guarded", name="Runner")


async def test_waits_and_cancellations_survive(world: World, agent: dict[str, Any]) -> None:
    early = await world.start(agent, "guarded", "early")
    late = await world.start(agent, "guarded", "late")
    doomed = await world.start(agent, "silent", "doomed")
    stopped = await world.start(agent, "silent", "stopped")
    worker = await world.workers.start()
    questions = [await world.question(run) for run in (early, late)]
    await until(lambda: world.model.asked["doomed", 1] and world.model.asked["stopped", 1])
    await world.kill(worker, early, late)
    queued = await world.start(agent, "fetch", "queued")
    for run in (doomed, queued):
        path = f"/executions/{run.id}/cancel"
        answer = await world.people.operator.post(path, json={"reason": "enough"})
        assert answer.status_code == 200, answer.text
    await world.people.operator.post(f"/executions/{stopped.id}/stop")
    await world.approve(questions[0])

    await world.workers.start()
    await world.until_ended(early, stopped)
    assert (await world.head(late)).status == "waiting_for_approval"
    await world.approve(questions[1])
    await world.until_ended(late)
    for run in (early, late):
        assert await world.check(run, KEYS, f"{run.name} is done.") == 0
        assert (await world.head(run)).segment == 2
    for run in (doomed, queued):
        read = await world.get(run)
        assert (read["status"], read["status_reason"]) == ("cancelled", "enough")
        assert not await world.has_job(run), "the engine still means to execute what was cancelled"
    assert (await world.get(stopped))["status"] == "stopped"
    # Neither was asked for again, and what waited in the queue never began.
    assert (world.model.asked["doomed", 1], world.model.asked["stopped", 1]) == (1, 1)
    assert not world.model.asked["queued", 1]


async def test_a_restart_cancels_where_the_settings_say_so(
    world: World, agent: dict[str, Any]
) -> None:
    policy = {"MUSTER_ON_RESTART": "cancel", "MUSTER_RUNS_CONCURRENCY": "2"}
    world.model.plans["asking"] = lambda name: [
        calling(call("ask_agent", agent="Runner", prompt=prompt("fetch", f"{name}child"))),
        Reply(text="Both are done."),
    ]
    parent_agent = await world.agent("ask_agent", name="Parent")
    worker = await world.workers.start(**policy)
    waiting = await world.start(agent, "guarded", "waiting")
    question = await world.question(waiting)
    world.tools.held = {("active", "t1.0"), ("parentchild", "t1.0")}
    active = await world.start(agent, "fetch", "active")
    parent = await world.start(parent_agent, "asking", "parent")
    await until(lambda: all(world.tools.asked[call] for call in world.tools.held))
    queued = await world.start(agent, "fetch", "queued")
    child = await world.child(parent, "parentchild")
    await world.kill(worker)
    world.tools.held.clear()

    await world.workers.start(**policy)
    for run in (active, parent, child, queued):
        read = await world.get(run)
        assert (read["status"], read["status_reason"]) == ("cancelled", RESTARTED), run.name
        await world.verify(run)
    fresh = await world.start(agent, "fetch", "fresh")
    await world.approve(question)  # a wait is not work under way
    await world.until_ended(fresh, waiting)
    for run in (fresh, waiting):
        await world.check(run, KEYS, f"{run.name} is done.")
    assert world.tools.asked["active", "t1.0"] == world.tools.asked["parentchild", "t1.0"] == 1
    assert not world.tools.asked["queued", "t1.0"]


async def test_a_new_release_takes_up_the_runs_of_the_old_one(
    world: World, agent: dict[str, Any]
) -> None:
    worker = await world.workers.start(MUSTER_TEST_RELEASE="1.2.3")
    world.tools.held.add(("old", "t1.0"))
    run = await world.start(agent, "fetch", "old")
    await world.until_asked(run, "t1.0")
    await world.kill(worker, run)
    world.tools.held.clear()
    await world.workers.start(MUSTER_TEST_RELEASE="9.8.7")
    await world.until_ended(run)
    assert await world.check(run, KEYS, "old is done.") == 1
    async with world.control.database.read() as session:
        versions = await session.scalars(select(Executor.version).order_by(Executor.started_at))
        assert list(versions) == ["1.2.3", "9.8.7"]


async def test_runs_without_a_job_are_found(
    world: World,
    agent: dict[str, Any],
    settings: Settings,
    connect_to: Callable[[Muster], Callable[..., httpx2.AsyncClient]],
) -> None:
    """A process died after it had stored the run and before the engine knew of it; or the engine's
    job came to its end by an error of the database before the run was taken up.
    """
    engine = world.control.running.engine
    assert engine is not None
    async with Muster(settings, engine="off") as off:
        token = world.people.operator.headers["authorization"]
        client = connect_to(off)(Authorization=token)
        body = {"agent_id": agent["id"], "inputs": {"prompt": prompt("fetch", "gap")}}
        answer = await client.post("/executions", json=body)
        gap = Started(answer.json()["execution_id"], "gap")
    ended = await world.start(agent, "fetch", "ended")
    await engine.cancel(f"{ended.id}:1", "as if it had ended")
    assert not await world.has_job(gap)
    assert not await world.has_job(ended)
    assert [head.status for head in await world.heads([gap, ended])] == ["pending", "pending"]

    await world.workers.start()
    await world.until_ended(gap, ended)
    for run in (gap, ended):
        await world.check(run, KEYS, f"{run.name} is done.")
    assert [head.segment for head in await world.heads([gap, ended])] == [1, 2]
