"""Calls that must not happen twice, cut off in the middle: a person decides, every time."""

from typing import Any

import pytest

from tests.durability.servers import call, calling
from tests.durability.world import Started, World
from tests.support.model_scripts import Reply

pytestmark = [pytest.mark.anyio, pytest.mark.durability]


async def started(world: World, agent: dict[str, Any], plan: str, name: str) -> Started:
    world.tools.held.add((name, "t1.0"))
    return await world.start(agent, plan, name)


def once(tool: str, name: str) -> list[Reply]:
    return [calling(call(tool, run=name, part="t1.0")), Reply(text="Done.")]


async def test_a_person_decides_about_each_call_that_may_have_happened(world: World) -> None:
    await world.tool("pay", "POST")
    await world.tool("mark", "POST", idempotent=True)
    world.model.plans["pay"] = lambda name: once("pay", name)
    world.model.plans["mark"] = lambda name: once("mark", name)
    agent = await world.agent("pay", "mark")
    asked = world.tools.asked
    retry, skip, fail, again = [
        await started(world, agent, "pay", name) for name in ("retry", "skip", "fail", "again")
    ]
    mark = await started(world, agent, "mark", "mark")

    worker = await world.workers.start()
    for run in (retry, skip, fail, again, mark):
        await world.until_asked(run, "t1.0")
    await world.kill(worker, retry, skip, fail, again, mark)
    world.tools.held = {("again", "t1.0")}
    worker = await world.workers.start()

    # What is declared idempotent is simply called again, and the other side can tell.
    await world.until_ended(mark)
    assert await world.check(mark, ["start", "m1", "t1.0", "m2", "end"], "Done.") == 1
    assert world.tools.keys["mark", "t1.0"] == {f"{mark.id}:t1.0"}

    questions = {run.name: await world.question(run) for run in (retry, skip, fail, again)}
    for question in questions.values():
        assert question["kind"] == "uncertain_step"
        assert question["choices"] == ["retry", "skip", "fail"]
        assert question["details"]["tool"] == "pay"
    assert [asked[name, "t1.0"] for name in questions] == [1, 1, 1, 1]

    for run in (retry, skip, fail):
        await world.approve(questions[run.name], choice=run.name)
    await world.until_ended(retry, skip, fail)
    await _retried(world, retry, attempt="t1.0~2", calls=2)
    read = await world.get(skip)
    assert (read["status"], asked["skip", "t1.0"]) == ("completed", 1)
    read = await world.get(fail)
    assert (read["status"], read["error"]["code"]) == ("failed", "uncertain_step")
    assert asked["fail", "t1.0"] == 1
    for run in (skip, fail):
        await world.verify(run)

    # A choice is for the call that it was about. The next one that is cut off is asked about anew.
    await world.approve(questions["again"], choice="retry")
    await world.until_asked(again, "t1.0", 2)
    await world.kill(worker, again)
    world.tools.held.clear()
    await world.workers.start()
    question = await world.question(again)
    assert question["id"] != questions["again"]["id"]
    assert asked["again", "t1.0"] == 2
    await world.approve(question, choice="retry")
    await world.until_ended(again)
    await _retried(world, again, attempt="t1.0~3", calls=3)


async def _retried(world: World, run: Started, *, attempt: str, calls: int) -> None:
    read = await world.get(run)
    assert (read["status"], read["result"]) == ("completed", "Done."), read
    assert world.tools.asked[run.name, "t1.0"] == calls
    assert await world.keys(run) == ["start", "m1", attempt, "m2", "end"]
    assert world.tools.keys[run.name, "t1.0"] == {f"{run.id}:t1.0"}
    await world.verify(run)


async def test_a_worker_that_is_asked_to_end_leaves_the_choice_too(world: World) -> None:
    await world.tool("pay", "POST")
    world.model.plans["pay"] = lambda name: once("pay", name)
    agent = await world.agent("pay")
    run = await started(world, agent, "pay", "polite")
    worker = await world.workers.start()
    await world.until_asked(run, "t1.0")
    await worker.stop()
    await world.workers.start()
    question = await world.question(run)
    await world.approve(question, choice="skip")
    await world.until_ended(run)
    assert world.tools.asked["polite", "t1.0"] == 1
    assert (await world.get(run))["status"] == "completed"
