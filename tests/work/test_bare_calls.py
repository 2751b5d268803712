"""Calls of a model outside of runs: what they cost counts, and what fails is not called."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import select, update

from muster.adapters.models import Message, ModelRequest
from muster.domains.catalogue.models.calling import open_stream
from muster.domains.control.budgets import BudgetHold
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from muster.platform.access import Caller
from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People

pytestmark = pytest.mark.anyio

CALL = 0.01
"""What each call costs: ten tokens of output, which are all that is paid for, and estimated."""
CHAT = {"model": "paid", "messages": [{"role": "user", "content": "Go"}]}
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("/models/inference", {"model": "paid", "prompt": "Go"}),
    ("/models/generate", CHAT),
    ("/models/generate", {**CHAT, "stream": True}),
]


@pytest.fixture
async def paid(people: People, scripted: ScriptedServer) -> None:
    """A model with a known price."""
    scripted.script = Script(rounds=0)
    body = {
        "name": "paid",
        "provider": "openai",
        "model": "scripted-large",
        "max_output_tokens": 10,
        "input_price": 0,
        "output_price": CALL / 10 * 1_000_000,
    }
    made = await people.editor.post("/models", json=body)
    assert made.status_code == 201, made.text


async def budget(people: People, **fields: Any) -> str:
    made = await people.owner.post("/budgets", json={"name": "Tight", "limit": 0.03, **fields})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def usage_of(people: People, working: Muster, budget_id: str) -> tuple[float, float]:
    await working.running.budgets.written()
    usage = (await people.viewer.get(f"/budgets/{budget_id}")).json()["usage"]
    return usage["spent"], usage["held"]


@pytest.mark.usefixtures("paid")
async def test_what_is_spent_counts_until_nothing_is_left(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    budget_id = await budget(people)
    for number, (path, body) in enumerate(CALLS, start=1):
        answer = await people.operator.post(path, json=body)
        assert answer.status_code == 200, answer.text
        assert await usage_of(people, working, budget_id) == (pytest.approx(CALL * number), 0)
    for path, body in CALLS:
        refused = await people.operator.post(path, json=body)
        problem = refused.json()
        assert (refused.status_code, problem["error"]) == (402, "budget_exceeded")
        assert 'The budget "Tight" does not allow the call' in problem["message"]
        assert problem["details"]["budget_id"] == budget_id
    assert len(scripted.calls) == len(CALLS)


@pytest.mark.usefixtures("paid")
async def test_budgets_of_keys_count_and_those_of_runs_do_not(
    people: People, working: Muster
) -> None:
    made = await people.operator.post("/security/api-keys", json={"name": "n", "kind": "user"})
    key, header = made.json()["id"], {"Authorization": f"Bearer {made.json()['key']}"}
    of_key = await budget(people, scope="key", target_id=key, limit=CALL)
    await budget(people, scope="run", period="run", limit=0)
    path, body = CALLS[0]
    assert (await people.operator.post(path, json=body)).status_code == 200
    assert await usage_of(people, working, of_key) == (0, 0)
    assert (await people.operator.post(path, json=body, headers=header)).status_code == 200
    assert await usage_of(people, working, of_key) == (pytest.approx(CALL), 0)
    assert (await people.operator.post(path, json=body, headers=header)).status_code == 402


@pytest.mark.usefixtures("paid")
async def test_a_failed_call_costs_nothing(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    budget_id = await budget(people)
    for reply in (Reply(status=400), Reply(status=400)):
        scripted.script = Script(select="call", replies=[reply])
        for path, body in CALLS:
            assert (await people.operator.post(path, json=body)).status_code == 502
    assert await usage_of(people, working, budget_id) == (0, 0)


@pytest.mark.usefixtures("paid")
async def test_who_breaks_a_call_off_pays_what_was_held(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="call", replies=[Reply(hang=True)])
    budget_id = await budget(people)
    path, body = CALLS[0]
    call = asyncio.create_task(people.operator.post(path, json=body))
    async with asyncio.timeout(10):
        while not scripted.calls:
            await asyncio.sleep(0.01)
    assert await usage_of(people, working, budget_id) == (0, pytest.approx(CALL))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await usage_of(people, working, budget_id) == (pytest.approx(CALL), 0)


@pytest.mark.usefixtures("paid")
async def test_a_stream_that_is_left_costs_what_was_held(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="call", replies=[Reply(text="one two three", hang_after=3)])
    budget_id = await budget(people)
    model = await working.models.resolve(people.project_id, "paid")
    caller = Caller.system(people.project_id)
    request = ModelRequest(messages=[Message(role="user", content="Go")], settings=model.settings)
    pieces = await open_stream(working.running.bare_calls, caller, model, request)
    assert await anext(pieces)
    assert await usage_of(people, working, budget_id) == (0, pytest.approx(CALL))
    await pieces.aclose()
    assert await usage_of(people, working, budget_id) == (pytest.approx(CALL), 0)


@pytest.mark.usefixtures("paid")
async def test_what_a_crash_left_held_is_given_back_in_time(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="call", replies=[Reply(hang=True)])
    budget_id = await budget(people)
    path, body = CALLS[0]
    call = asyncio.create_task(people.operator.post(path, json=body))
    async with asyncio.timeout(10):
        while not scripted.calls:
            await asyncio.sleep(0.01)
    # Long enough under way for a run that has ended to be given up, too short for a bare call.
    await age(working, timedelta(minutes=5))
    await working.running.budgets.sweep()
    assert await usage_of(people, working, budget_id) == (0, pytest.approx(CALL))
    await age(working, timedelta(minutes=30))
    await working.running.budgets.sweep()
    assert await usage_of(people, working, budget_id) == (0, 0)
    await working.running.budgets.sweep()
    async with working.database.read() as session:
        assert (await session.scalars(select(BudgetHold))).all() == []
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def age(working: Muster, by: timedelta) -> None:
    async with working.database.write() as session:
        moment = clock.now() - by
        values = {"created_at": moment, "expires_at": moment + timedelta(minutes=15)}
        await session.execute(update(BudgetHold).values(values))


async def test_an_open_breaker_refuses(people: People, scripted: ScriptedServer) -> None:
    scripted.script = Script(
        select="call", replies=[Reply(status=429, headers={"retry-after": "3600"})]
    )
    name = "provider:openai"
    body = {"name": name, "failure_threshold": 3, "open_s": 600}
    assert (await people.admin.post("/circuit-breakers", json=body)).status_code == 200
    calls = [(path, {**body, "model": "openai/scripted-large"}) for path, body in CALLS]
    for path, body in calls:
        failed = await people.operator.post(path, json=body)
        assert failed.json()["error"] == "model_failed"
    asked = len(scripted.calls)
    for path, body in calls:
        refused: httpx2.Response = await people.operator.post(path, json=body)
        problem = refused.json()
        assert (refused.status_code, problem["error"]) == (503, "circuit_open")
        assert "It will be probed at" in problem["message"]
        assert problem["details"]["circuit_breaker"] == name
    assert len(scripted.calls) == asked
    scripted.script = Script(rounds=0)
    await people.admin.post(f"/circuit-breakers/{name}/force-close")
    assert (await people.operator.post(*calls[0][:1], json=calls[0][1])).status_code == 200
