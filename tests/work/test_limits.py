"""Limits, holds, usage and structured output of runs, through HTTP."""

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from muster.domains.control.gate import Action, Finding, Gate, IntendedStep, Outcome, checks
from muster.domains.work.journal import Run
from muster.entrypoints.assembly import Muster
from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import make_agent, open_approval, spans, start, until

pytestmark = pytest.mark.anyio

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
FIT = json.dumps({"city": "Bern", "people": 134000})
CALL = {"name": "calculator", "arguments": {"expression": "6*7"}}


def by_turn(*replies: Reply) -> Script:
    return Script(select="turn", replies=list(replies))


async def run_of(people: People, agent: dict[str, Any], **body: Any) -> dict[str, Any]:
    return await until(people.viewer, await start(people.operator, agent, **body))


async def steps_of(people: People, run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {step["key"]: step for step in await spans(people.viewer, run["id"])}


# -- limits ---------------------------------------------------------------------------------------


async def test_calls_wait_for_their_turn_in_the_minute(
    people: People, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "_MINUTE", timedelta(seconds=2))
    scripted.script = by_turn(Reply(text="at once"))
    agent = await make_agent(people.editor, max_rpm=1)
    runs = await asyncio.gather(*(start(people.operator, agent) for _ in range(3)))
    for run_id in runs:
        assert (await until(people.viewer, run_id))["status"] == "completed"
    calls = [(await steps_of(people, {"id": run_id}))["m1"] for run_id in runs]
    turns = sorted(
        datetime.fromisoformat(call["started_at"]) + timedelta(seconds=call["decision"]["wait_s"])
        for call in calls
    )
    assert all(later - earlier >= timedelta(seconds=1) for earlier, later in pairwise(turns))
    ends = sorted(datetime.fromisoformat(call["ended_at"]) for call in calls)
    assert all(end > turn for turn, end in zip(turns, ends, strict=True))
    waited = [f for call in calls for f in call["decision"]["findings"]]
    assert len(waited) == 2
    assert {(f["code"], f["action"]) for f in waited} == {("max_rpm", "allow")}


async def test_time_that_was_worked_counts_over_segments(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    scripted.script = by_turn(Reply(tool_calls=[CALL], delay_s=0.3), Reply(hang=True))
    await people.editor.patch("/tools/calculator", json={"requires_approval": True})
    agent = await make_agent(people.editor, max_execution_time=30)
    began = time.monotonic()
    run_id = await start(people.operator, agent)
    approval = await open_approval(people.viewer, run_id)
    worked = await active_ms(working, run_id)
    assert 300 <= worked <= (time.monotonic() - began) * 1000
    await active_ms(working, run_id, 29_700)
    await people.operator.post(f"/approvals/{approval['id']}/approve")
    await until(people.viewer, run_id, "running", "failed")
    run = await until(people.viewer, run_id)
    assert (run["status"], run["error"]["code"]) == ("failed", "run_timeout")
    assert "30 seconds" in run["error"]["message"]
    assert await active_ms(working, run_id) >= 30_000

    # Taken up again it has no time left.
    again = await people.operator.post(f"/executions/{run_id}/resume")
    assert again.status_code == 200
    assert (await until(people.viewer, run_id))["error"]["code"] == "run_timeout"


async def test_time_before_a_forced_stop_counts(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    scripted.script = by_turn(Reply(hang=True))
    run_id = await start(people.operator, await make_agent(people.editor), timeout_s=30)
    async with asyncio.timeout(20):
        while not scripted.calls:
            await asyncio.sleep(0.01)
    await active_ms(working, run_id, 29_000)
    await people.operator.post(f"/executions/{run_id}/force-stop")
    await _last_step(people, run_id)
    async with asyncio.timeout(20):
        while (worked := await active_ms(working, run_id)) == 29_000:
            await asyncio.sleep(0.01)
    assert 0 < worked < 29_000  # what this process measured itself
    await active_ms(working, run_id, 29_900)
    await people.operator.post(f"/executions/{run_id}/resume")
    run = await until(people.viewer, run_id)
    assert run["error"] == {
        "code": "run_timeout",
        "message": "The run was active for its limit of 30 seconds.",
    }


async def active_ms(muster: Muster, run_id: str, value: int | None = None) -> int:
    """Return how long a run has worked; with a value set that before."""
    async with muster.database.write() as session:
        run = await session.get_one(Run, run_id)
        if value is not None:
            run.active_ms = value
        return run.active_ms


async def _last_step(people: People, run_id: str) -> None:
    async with asyncio.timeout(10):
        while (await spans(people.viewer, run_id))[-1]["key"] != "end":
            await asyncio.sleep(0.02)


async def test_approval_is_asked_for_each_tool_that_requires_it(
    people: People, scripted: ScriptedServer
) -> None:
    await people.editor.patch("/tools/current_time", json={"requires_approval": True})
    scripted.script = by_turn(
        Reply(
            tool_calls=[
                {"id": "a", **CALL},
                {"id": "b", "name": "current_time", "arguments": {}},
            ]
        ),
        Reply(text="both"),
    )
    agent = await make_agent(people.editor, tools=["calculator", "current_time"])
    run_id = await start(people.operator, agent)
    approval = await open_approval(people.viewer, run_id)
    assert approval["details"]["tool"] == "current_time"
    steps = await steps_of(people, {"id": run_id})
    assert steps["t1.0"]["output"]["result"] == 42
    assert "t1.1" not in steps
    await people.operator.post(f"/approvals/{approval['id']}/approve")
    assert (await until(people.viewer, run_id))["result"] == "both"


# -- holds ----------------------------------------------------------------------------------------


class Watch:
    """A check that notes what it is told, and may want a yes or say no."""

    name = "watch"

    def __init__(self, **actions: Action) -> None:
        self.actions, self.told = actions, list[tuple[str, str, Any]]()

    async def judge(self, step: IntendedStep) -> Sequence[Finding]:
        self.told.append(("judge", step.key, None))
        if (action := self.actions.get(step.key.partition(".")[0])) is None:
            return ()
        return [Finding(check="watch", action=action, code="watched", message="Watched.")]

    async def settle(self, step: IntendedStep, outcome: Outcome) -> None:
        self.told.append(("settle", step.key, outcome.succeeded))

    async def release(self, step: IntendedStep) -> None:
        self.told.append(("release", step.key, None))

    def of(self, key: str) -> list[tuple[str, Any]]:
        return [(what, value) for what, told, value in self.told if told == key]


def watch(muster: Muster, **actions: Action) -> Watch:
    watching = Watch(**actions)
    gate: Gate = muster.running.parts.gate
    gate.checks = (*gate.checks, watching)
    return watching


async def test_every_allowed_step_is_settled_once(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    watching = watch(working)
    await people.editor.patch("/tools/current_time", json={"requires_approval": True})
    scripted.script = by_turn(
        Reply(
            tool_calls=[
                {"id": "a", **CALL},
                {"id": "b", "name": "calculator", "arguments": {"expression": "1/0"}},
                {"id": "c", "name": "no_such_tool", "arguments": {}},
                {"id": "d", "name": "current_time", "arguments": {}},
            ]
        ),
        Reply(status=400),
    )
    agent = await make_agent(people.editor, tools=["calculator", "current_time"])
    run_id = await start(people.operator, agent)
    approval = await open_approval(people.viewer, run_id)
    await people.operator.post(f"/approvals/{approval['id']}/approve")
    run = await until(people.viewer, run_id)
    assert run["error"]["code"] == "model_failed"
    assert watching.of("m1") == [("judge", None), ("settle", True)]
    assert watching.of("t1.0") == [("judge", None), ("settle", True)]
    assert watching.of("t1.1") == [("judge", None), ("settle", False)]
    assert watching.of("t1.2") == [("judge", None), ("release", None)]
    assert watching.of("t1.3") == [
        ("judge", None),
        ("release", None),
        ("judge", None),
        ("settle", True),
    ]
    assert watching.of("m2") == [("judge", None), ("settle", False)]


@pytest.mark.parametrize("action", [Action.BLOCK, Action.ASK])
async def test_a_model_call_that_is_not_allowed_ends_the_run(
    people: People, working: Muster, scripted: ScriptedServer, action: Action
) -> None:
    watching = watch(working, m1=action)
    run = await run_of(people, await make_agent(people.editor))
    assert (run["status"], run["error"]) == ("failed", {"code": "watched", "message": "Watched."})
    assert watching.of("m1") == [("judge", None), ("release", None)]
    assert not scripted.calls


async def test_a_warning_lets_the_step_happen(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    watch(working, m1=Action.WARN)
    scripted.script = by_turn(Reply(text="fine"))
    run = await run_of(people, await make_agent(people.editor))
    assert run["status"] == "completed"
    decision = (await steps_of(people, run))["m1"]["decision"]
    assert (decision["action"], decision["findings"][0]["code"]) == ("warn", "watched")


async def test_a_cancelled_step_is_settled(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    watching = watch(working)
    scripted.script = by_turn(Reply(hang=True))
    run_id = await start(people.operator, await make_agent(people.editor))
    async with asyncio.timeout(10):
        while not scripted.calls:
            await asyncio.sleep(0.01)
    await people.operator.post(f"/executions/{run_id}/cancel")
    await _last_step(people, run_id)
    assert watching.of("m1") == [("judge", None), ("settle", False)]


# -- usage ----------------------------------------------------------------------------------------


async def test_the_builtin_model_costs_nothing(people: People) -> None:
    agent = await make_agent(people.editor, llm="builtin/extractive")
    run = await run_of(people, agent, inputs={"prompt": "What is 6*7?"})
    assert run["status"] == "completed"
    usage = run["usage"]
    assert (usage["cost"], usage["known_cost"], usage["unpriced_calls"]) == (0.0, 0.0, 0)
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0


async def test_cost_of_a_model_with_a_price_and_of_one_without(
    people: People, scripted: ScriptedServer
) -> None:
    model = {
        "name": "priced",
        "provider": "openai",
        "model": "scripted-large",
        "input_price": 2.0,
        "output_price": 10.0,
        "cached_price": 1.0,
    }
    made = await people.editor.post("/models", json=model)
    assert made.status_code == 201, made.text
    tokens = {"input": 1000, "output": 500, "cached": 200, "reasoning": 100}
    scripted.script = by_turn(Reply(text="dear", usage=tokens))
    agent = await make_agent(people.editor, llm="priced")
    run = await run_of(people, agent)
    usage = run["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (1000, 500)
    assert (usage["cached_tokens"], usage["reasoning_tokens"]) == (200, 100)
    assert usage["cost"] == pytest.approx((800 * 2 + 200 * 1 + 500 * 10) / 1e6)
    step = (await steps_of(people, run))["m1"]
    assert step["cost"] == pytest.approx(usage["cost"])
    assert (step["cached_tokens"], step["reasoning_tokens"]) == (200, 100)

    unpriced = await run_of(people, agent, model="openai/scripted-large")
    assert unpriced["model"] == "openai/scripted-large"
    assert (unpriced["usage"]["cost"], unpriced["usage"]["known_cost"]) == (None, 0.0)
    assert unpriced["usage"]["unpriced_calls"] == 1


# -- structured output ----------------------------------------------------------------------------


async def test_an_answer_that_fits_the_schema(people: People, scripted: ScriptedServer) -> None:
    scripted.script = by_turn(Reply(tool_calls=[CALL]), Reply(text=FIT))
    run = await run_of(people, await make_agent(people.editor, output_schema=SCHEMA))
    assert run["result"] == run["result_data"] == {"city": "Bern", "people": 134000}


async def test_an_answer_that_does_not_fit_is_mended(
    people: People, scripted: ScriptedServer
) -> None:
    scripted.script = by_turn(Reply(tool_calls=[CALL]), Reply(text='{"city": 5}'), Reply(text=FIT))
    agent = await make_agent(people.editor, output_schema=SCHEMA, max_iter=2)
    run = await run_of(people, agent)
    assert (run["status"], run["result"]["city"]) == ("completed", "Bern")
    steps = await steps_of(people, run)
    assert list(steps) == ["start", "m1", "t1.0", "m2", "m2.r1", "end"]
    unfit = steps["m2"]
    assert (unfit["step_status"], unfit["error"]["code"]) == ("error", "model_output_unfit")
    assert unfit["output"]["content"] == '{"city": 5}'
    assert (unfit["input_tokens"], unfit["output_tokens"]) == (20, 10)
    assert run["usage"]["input_tokens"] == 60
    (told,) = steps["m2.r1"]["input"]["messages"]
    assert told["role"] == "user"
    assert "does not fit the required output schema" in told["content"]
    asked = scripted.last.body["messages"]
    assert [m["role"] for m in asked[-2:]] == ["assistant", "user"]
    assert asked[-2]["content"] == '{"city": 5}'


async def test_an_answer_is_mended_twice_at_most(people: People, scripted: ScriptedServer) -> None:
    scripted.script = by_turn(Reply(text="no JSON"))
    run = await run_of(people, await make_agent(people.editor, output_schema=SCHEMA))
    assert (run["status"], run["error"]["code"]) == ("failed", "output_unfit")
    assert "2 times" in run["error"]["message"]
    assert list(await steps_of(people, run)) == ["start", "m1", "m1.r1", "m1.r2", "end"]
    assert run["usage"]["model_calls"] == 3

    # Taken up again, only the last try is made anew.
    asked = len(scripted.calls)
    scripted.script = by_turn(Reply(text=FIT))
    await people.operator.post(f"/executions/{run['id']}/resume")
    again = await until(people.viewer, run["id"])
    assert (again["status"], again["result"]["people"]) == ("completed", 134000)
    assert len(scripted.calls) == asked + 1
    assert len(scripted.last.body["messages"]) == 6
    assert list(await steps_of(people, run))[-2:] == ["m1.r2~2", "end~2"]
    verified = await people.viewer.get(f"/execution-trace/{run['id']}/verify")
    assert verified.json()["valid"]


async def test_the_last_word_is_mended_too(people: People, scripted: ScriptedServer) -> None:
    scripted.script = by_turn(Reply(tool_calls=[CALL]), Reply(text="hm"), Reply(text=FIT))
    agent = await make_agent(people.editor, output_schema=SCHEMA, max_iter=1)
    run = await run_of(people, agent)
    assert (run["status"], run["result"]["city"]) == ("completed", "Bern")
    keys = list(await steps_of(people, run))
    assert keys == ["start", "m1", "t1.0", "final", "final.r1", "end"]


async def test_a_mended_answer_may_call_tools(people: People, scripted: ScriptedServer) -> None:
    scripted.script = by_turn(Reply(text="hm"), Reply(tool_calls=[CALL]), Reply(text=FIT))
    run = await run_of(people, await make_agent(people.editor, output_schema=SCHEMA))
    assert run["result"]["city"] == "Bern"
    steps = await steps_of(people, run)
    assert steps["t1.0"]["parent_span_id"] == f"{run['id']}/m1.r1"
