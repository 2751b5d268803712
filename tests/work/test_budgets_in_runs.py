"""Budgets in runs: refused in the middle, resumed with a higher limit, agents of agents."""

from typing import Any

import pytest

from muster.entrypoints.assembly import Muster
from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import make_agent, spans, start, until

pytestmark = pytest.mark.anyio

CALL = 0.01
"""What each call costs: ten tokens of output, which are all that is paid for, and estimated."""


@pytest.fixture
async def agent(people: People, scripted: ScriptedServer) -> dict[str, Any]:
    """An agent whose run takes three calls of a model with a known price."""
    scripted.script = Script(rounds=2)
    await make_model(people)
    return await make_agent(people.editor, llm="paid")


async def make_model(people: People, **prices: float) -> None:
    body = {
        "name": "paid",
        "provider": "openai",
        "model": "scripted-large",
        "max_output_tokens": 10,
        **(prices or {"input_price": 0, "output_price": CALL / 10 * 1_000_000}),
    }
    made = await people.editor.post("/models", json=body)
    assert made.status_code == 201, made.text


async def budget(people: People, **fields: Any) -> dict[str, Any]:
    made = await people.owner.post("/budgets", json={"name": "Tight", "limit": 0.02, **fields})
    assert made.status_code == 201, made.text
    return made.json()


async def usage_of(people: People, working: Muster, budget_id: str) -> dict[str, Any]:
    await working.running.budgets.written()
    return (await people.viewer.get(f"/budgets/{budget_id}")).json()["usage"]


async def event_types(people: People, prefix: str) -> list[str]:
    events = (await people.viewer.get("/events", params={"limit": 200})).json()["items"]
    return sorted(e["type"] for e in events if e["type"].startswith(prefix))


async def test_a_run_is_refused_in_its_middle_and_goes_on_with_a_higher_limit(
    people: People, working: Muster, agent: dict[str, Any], scripted: ScriptedServer
) -> None:
    made = await budget(people, thresholds=[50, 100])
    run_id = await start(people.operator, agent)
    run = await until(people.viewer, run_id)
    assert (run["status"], run["error"]["code"]) == ("failed", "budget_exceeded")
    for part in ('"Tight"', "0.02 of 0.02 US dollars", "may cost 0.01", "begins anew at"):
        assert part in run["error"]["message"]
    assert len(scripted.calls) == 2
    usage = await usage_of(people, working, made["id"])
    assert (usage["spent"], usage["held"], usage["remaining"]) == (0.02, 0.0, 0.0)
    assert await event_types(people, "budget.") == [
        "budget.created",
        "budget.exceeded",
        "budget.threshold_reached",
        "budget.threshold_reached",
    ]

    raised = await people.owner.patch(f"/budgets/{made['id']}", json={"limit": 0.05})
    assert raised.status_code == 200, raised.text
    resumed = await people.operator.post(f"/executions/{run_id}/resume")
    assert resumed.status_code in {200, 202}, resumed.text
    run = await until(people.viewer, run_id)
    assert (run["status"], run["result"]) == ("completed", "Done.")
    assert len(scripted.calls) == 3
    usage = await usage_of(people, working, made["id"])
    assert (usage["spent"], usage["held"], usage["percent"]) == (0.03, 0.0, 60.0)
    summary = (await people.viewer.get("/cost/summary")).json()
    assert summary["total_cost"] == pytest.approx(usage["spent"])


async def test_a_budget_that_warns_lets_calls_through(
    people: People, working: Muster, agent: dict[str, Any]
) -> None:
    made = await budget(people, enforcement="warn")
    run_id = await start(people.operator, agent)
    assert (await until(people.viewer, run_id))["status"] == "completed"
    usage = await usage_of(people, working, made["id"])
    assert (usage["spent"], usage["remaining"], usage["percent"]) == (0.03, 0.0, 150.0)
    decisions = [s["decision"] for s in await spans(people.viewer, run_id) if s["key"] == "m3"]
    (finding,) = decisions[0]["findings"]
    assert (decisions[0]["action"], finding["code"]) == ("warn", "budget_exceeded")


async def test_each_run_by_itself_with_the_agents_that_it_asks(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    await make_model(people)
    scripted.script = Script(
        select="turn",
        replies=[
            Reply(
                tool_calls=[
                    {"name": "ask_agent", "arguments": {"agent": "helper", "prompt": "Now?"}}
                ]
            ),
            Reply(text="done"),
        ],
    )
    await make_agent(people.editor, name="Helper", key="helper", llm="paid", tools=[])
    asker = await make_agent(people.editor, llm="paid", tools=["ask_agent"])
    made = await budget(people, scope="run", period="run", limit=0.02)
    assert made["usage"] is None
    run_id = await start(people.operator, asker)
    run = await until(people.viewer, run_id)
    # One call of its own and one of the agent that it asks: the third does not fit.
    assert (run["status"], run["error"]["code"]) == ("failed", "budget_exceeded"), run
    assert "counts for each run by itself" in run["error"]["message"]
    assert len(scripted.calls) == 2


async def test_what_is_held_is_given_back_when_a_call_fails_or_another_check_refuses(
    people: People, working: Muster, agent: dict[str, Any], scripted: ScriptedServer
) -> None:
    made = await budget(people, limit=1)
    scripted.script = Script(select="call", replies=[Reply(status=400)])
    run = await until(people.viewer, await start(people.operator, agent))
    assert run["status"] == "failed"
    usage = await usage_of(people, working, made["id"])
    assert (usage["spent"], usage["held"], usage["unpriced_calls"]) == (0.0, 0.0, 0)

    scripted.script = Script(rounds=9)
    limited = await make_agent(people.editor, name="Limited", llm="paid", max_iter=1)
    await until(people.viewer, await start(people.operator, limited))
    usage = await usage_of(people, working, made["id"])
    summary = (await people.viewer.get("/cost/summary")).json()
    assert usage["held"] == 0.0
    # The call that the limit of iterations refused is made once more, for the last word.
    assert usage["spent"] == pytest.approx(summary["total_cost"]) == 0.02


async def test_a_price_that_nobody_knows_holds_nothing(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    scripted.script = Script(rounds=1)
    made = await budget(people, limit=0.02)
    agent = await make_agent(people.editor)
    assert (await until(people.viewer, await start(people.operator, agent)))[
        "status"
    ] == "completed"
    usage = await usage_of(people, working, made["id"])
    assert (usage["spent"], usage["unpriced_calls"]) == (0.0, 2)
    await people.owner.patch(f"/budgets/{made['id']}", json={"limit": 0})
    run = await until(people.viewer, await start(people.operator, agent))
    assert (run["status"], run["error"]["code"]) == ("failed", "budget_exceeded")
    assert "may cost" not in run["error"]["message"]
    assert len(scripted.calls) == 2


async def test_budgets_of_others_do_not_count(
    people: People, working: Muster, agent: dict[str, Any]
) -> None:
    await budget(people, name="Agent", scope="agent", target_id="another", limit=0)
    await budget(people, name="Key", scope="key", target_id="another", limit=0)
    await budget(people, name="Run", scope="run", period="run", target_id="another", limit=0)
    await budget(people, name="Off", limit=0, enabled=False)
    own = await budget(people, name="Own", scope="agent", target_id=agent["id"], period="day")
    run = await until(people.viewer, await start(people.operator, agent))
    assert run["status"] == "failed"
    assert '"Own"' in run["error"]["message"]
    assert (await usage_of(people, working, own["id"]))["spent"] == 0.02


async def test_a_budget_begins_with_what_was_spent_before_it(
    people: People, working: Muster, agent: dict[str, Any]
) -> None:
    run_id = await start(people.operator, agent)
    await until(people.viewer, run_id)
    summary = (await people.viewer.get("/cost/budget")).json()
    assert (summary["budget_id"], summary["spent"]) == (None, pytest.approx(0.03))
    for fields in (
        {"scope": "project"},
        {"scope": "agent", "target_id": agent["id"], "period": "day"},
        {"scope": "run", "target_id": run_id, "period": "run"},
    ):
        made = await budget(people, limit=1, **fields)
        assert made["usage"]["spent"] == pytest.approx(0.03), fields
    user = (await people.operator.get("/auth/me")).json()
    key = await budget(people, scope="key", target_id=user["id"], limit=1)
    assert key["usage"]["spent"] == pytest.approx(0.03)
