"""Costs that agents log: in the budgets as they come, and told before the next call."""

import asyncio
from typing import Any

import httpx2
import pytest

from muster.domains.control.budgets import BudgetCheck
from muster.domains.control.budgets.ledger import Ledger
from muster.entrypoints.assembly import Muster
from muster.sdk.decisions import Decision
from tests.support.accounts import find_accounts
from tests.support.people import People, signed_in
from tests.work.external_setting import Connect, agent_client, logged, registered

pytestmark = pytest.mark.anyio

CALL: dict[str, Any] = {"kind": "step.model", "verb": None, "properties": {"cost": 0.01}}
NEXT = {"kind": "step.model", "step_name": "gpt"}


@pytest.fixture
async def people(muster: Muster, connect: Connect) -> People:
    """The people of the application that executes nothing."""
    return signed_in(await find_accounts(muster), connect)


@pytest.fixture
async def agent(people: People, connect: Connect) -> httpx2.AsyncClient:
    return await agent_client(people.editor, connect)


@pytest.fixture
async def agent_id(agent: httpx2.AsyncClient) -> str:
    return await registered(agent)


async def budget(people: People, **fields: Any) -> str:
    made = await people.owner.post("/budgets", json={"name": "Tight", "limit": 0.02, **fields})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def spent(people: People, budget_id: str) -> tuple[float, int]:
    shown = (await people.viewer.get(f"/budgets/{budget_id}")).json()
    return shown["usage"]["spent"], shown["usage"]["unpriced_calls"]


async def asked(client: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    body = {"agent": "invoices", "context": {"task_id": "t-1"}, "step": NEXT, **body}
    answer = await client.post("/gate/evaluate", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def events_of(people: People, muster: Muster) -> list[str]:
    await muster.running.budgets.written()
    events = (await people.viewer.get("/events", params={"limit": 200})).json()["items"]
    told = {"budget.threshold_reached", "budget.exceeded"}
    return sorted(e["type"] for e in events if e["type"] in told)


async def test_logged_costs_count_and_thresholds_are_told_once(
    muster: Muster, people: People, agent: httpx2.AsyncClient, agent_id: str
) -> None:
    month = await budget(people, thresholds=[50, 100])
    day = await budget(people, name="Day", period="day", limit=1, thresholds=[])
    own = await budget(people, name="Own", scope="agent", target_id=agent_id, limit=1)
    other = await budget(people, name="Other", scope="agent", target_id="other", limit=1)
    each = await budget(
        people, name="Each", scope="run", period="run", enforcement="warn", thresholds=[]
    )
    await logged(agent, agent_id, **CALL)
    assert await spent(people, month) == (0.01, 0)
    assert (await asked(agent))["budgets"] == []
    # Of another kind, without a price, and over the limit.
    await logged(agent, agent_id, properties={"cost": 5})
    await logged(agent, agent_id, kind="step.model", verb=None)
    for _ in range(2):
        await logged(agent, agent_id, **CALL)
    for each_of in (month, day, own):
        assert await spent(people, each_of) == (0.03, 1)
    assert await spent(people, other) == (0.0, 0)
    assert await events_of(people, muster) == [
        "budget.exceeded",
        "budget.exceeded",
        "budget.threshold_reached",
        "budget.threshold_reached",
    ]
    said = await asked(agent)
    assert {b["budget_id"]: b["action"] for b in said["budgets"]} == {month: "block", each: "warn"}


async def test_the_gate_names_the_budget_that_is_used_up(
    people: People, agent: httpx2.AsyncClient, agent_id: str
) -> None:
    made = await budget(people)
    await budget(people, name="Spent for nothing", limit=0, enforcement="warn", period="day")
    warned = await asked(agent)
    assert (warned["action"], len(warned["budgets"])) == ("warn", 1)
    await logged(agent, agent_id, kind="step.model", verb=None, properties={"cost": 0.02})
    said = await asked(agent, context={"task_id": "another"})
    assert (said["action"], said["policies"], said["risk_score"]) == ("block", [], 0.0)
    (told,) = [b for b in said["budgets"] if b["action"] == "block"]
    assert (told["budget_id"], told["name"]) == (made, "Tight")
    assert (told["limit"], told["spent"]) == (0.02, 0.02)
    assert told["resets_at"]
    for part in ('"Tight" does not allow the call', "0.02 of 0.02 US dollars", "Raise its limit"):
        assert part in told["message"]
    decision = Decision.read(said)
    assert "the budget Tight" in decision.reason
    assert {b["name"] for b in decision.told()["budgets"]} == {"Tight", "Spent for nothing"}
    # What costs nothing is not held up, nor what is only tried.
    for step in ({"kind": "step.resource", "verb": "GET"}, {"kind": "task.end"}):
        free = await asked(agent, step=step)
        assert (free["action"], free["budgets"]) == ("allow", [])
    tried = await asked(people.owner, policies=[])
    assert (tried["action"], tried["budgets"]) == ("allow", [])


async def test_policies_and_budgets_speak_together(
    people: People, agent: httpx2.AsyncClient, agent_id: str
) -> None:
    policy = {
        "name": "No models",
        "rule_type": "execution_max_steps",
        "params": {"step_type": "step.model", "max_steps": 0},
        "severity": "critical",
        "scope": "step_execution",
    }
    made = await people.editor.post("/policies", json=policy)
    assert made.status_code == 201, made.text
    await budget(people, limit=0, enforcement="warn")
    said = await asked(agent)
    assert said["action"] == "block"
    assert [p["name"] for p in said["policies"]] == ["No models"]
    assert [(b["name"], b["action"]) for b in said["budgets"]] == [("Tight", "warn")]


async def test_a_key_pays_for_the_runs_that_it_began(
    people: People, connect: Connect, agent: httpx2.AsyncClient, agent_id: str
) -> None:
    await logged(agent, agent_id)
    runs = (await people.viewer.get("/executions")).json()["items"]
    key_id = runs[0]["started_by"]["id"]
    made = await budget(people, scope="key", target_id=key_id)
    second = await agent_client(people.editor, connect)
    # Whoever goes on with the task, the key that began it pays.
    await logged(second, agent_id, **CALL)
    await logged(second, agent_id, task_id="t-2", **CALL)
    assert await spent(people, made) == (0.01, 0)
    await logged(agent, agent_id, **CALL)
    assert (await asked(second))["action"] == "block"
    assert (await asked(second, context={"task_id": "t-2"}))["action"] == "allow"
    assert (await asked(second, context={}))["action"] == "allow"
    assert (await asked(agent, context={}))["action"] == "block"


async def test_a_batch_that_is_sent_again_counts_once(
    people: People, agent: httpx2.AsyncClient, agent_id: str
) -> None:
    made = await budget(people, limit=1)
    steps = [{"kind": "step.model", "properties": {"cost_usd": cost}} for cost in (0.01, 0.02)]
    body = {"agent_id": agent_id, "task_id": "t-1", "steps": steps}
    headers = {"Idempotency-Key": "batch-1"}
    for _ in range(3):
        answer = await agent.post("/logs/batch", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
    assert await spent(people, made) == (0.03, 0)


async def test_many_at_once_and_a_budget_that_is_made_later_agree(
    people: People, agent: httpx2.AsyncClient, agent_id: str
) -> None:
    made = await budget(people, limit=1)
    await asyncio.gather(
        *(logged(agent, agent_id, task_id=f"t-{n % 5}", **CALL) for n in range(20))
    )
    assert await spent(people, made) == (0.2, 0)
    later = await budget(people, limit=1, period="day")
    assert await spent(people, later) == (0.2, 0)


@pytest.mark.parametrize("broken", [(BudgetCheck, "charge"), (Ledger, "_write_together")])
async def test_a_fault_of_the_budgets_refuses_no_log(
    people: People,
    monkeypatch: pytest.MonkeyPatch,
    agent: httpx2.AsyncClient,
    agent_id: str,
    broken: tuple[type, str],
) -> None:
    made = await budget(people, limit=1)

    async def fault(*_: Any) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as patched:
        patched.setattr(*broken, fault)
        assert (await logged(agent, agent_id, **CALL))["steps_logged"] == 1
    await logged(agent, agent_id, **CALL)
    assert await spent(people, made) == (0.01, 0)


async def test_what_is_logged_of_providers_is_free_form(
    people: People, agent: httpx2.AsyncClient, agent_id: str
) -> None:
    """Whatever an agent has written where a provider is looked for, the view answers."""
    for provider in (5, 1.5, True, {"a": 1}, ["x"], "", "x" * 300, "own"):
        properties = {"provider": provider, "model": provider, "cost": 0.5}
        await logged(agent, agent_id, kind="step.model", verb=None, properties=properties)
    for model in ("openai/gpt-4o", "gpt-4o"):
        named = {"model": model, "cost": 1}
        step = {"kind": "step.model", "verb": None, "step_name": "Read"}
        await logged(agent, agent_id, properties=named, **step)
    answer = await people.viewer.get("/cost/by-provider")
    assert answer.status_code == 200, answer.text
    providers = {one["provider"]: one for one in answer.json()["providers"]}
    assert {name: one["calls"] for name, one in providers.items()} == {
        "unknown": 7,
        "openai": 2,
        "own": 1,
    }
    assert sorted(providers["openai"]["models"]) == ["gpt-4o", "openai/gpt-4o"]
    assert providers["own"]["models"] == ["own"]


async def test_sums_are_without_dust(
    people: People, agent: httpx2.AsyncClient, agent_id: str
) -> None:
    for _ in range(3):
        await logged(agent, agent_id, **{**CALL, "properties": {"cost": 0.1}})
    summary = (await people.viewer.get("/cost/summary")).json()
    assert (summary["total_cost"], summary["today_cost"]) == (0.3, 0.3)
    for view in ("by-agent", "by-provider", "daily"):
        assert (await people.viewer.get(f"/cost/{view}")).json()["total_cost"] == 0.3
