"""Circuit breakers in runs: a provider that fails is not asked any more, then probed."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from muster.adapters.models import (
    ModelFailed,
    ModelRequest,
    ModelTimeout,
    ModelUnsupported,
    ToolSpec,
    Usage,
)
from muster.adapters.models.pricing import Price, published_price
from muster.adapters.tools.base import (
    ToolFailed,
    ToolInputInvalid,
    ToolOutcome,
    ToolTimeout,
    ToolUnreachable,
)
from muster.domains.catalogue.models import CallableModel
from muster.domains.catalogue.tools import BoundTool
from muster.domains.control.breakers import CircuitBreaker
from muster.domains.work.runs.counterparts import (
    breaker_of_model,
    breaker_of_tool,
    estimated_cost,
    model_answered,
    outcome_answered,
    tool_answered,
)
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import make_agent, spans, start, until

pytestmark = pytest.mark.anyio

NAME = "provider:openai"


async def state(people: People, name: str = NAME) -> str:
    listed = (await people.admin.get("/circuit-breakers")).json()["items"]
    return str(next(b["state"] for b in listed if b["name"] == name))


async def set_threshold(people: People, name: str, failures: int) -> None:
    body = {"name": name, "failure_threshold": failures, "open_s": 600}
    made = await people.admin.post("/circuit-breakers", json=body)
    assert made.status_code == 200, made.text


async def run(people: People, agent: dict[str, Any]) -> dict[str, Any]:
    return await until(people.viewer, await start(people.operator, agent))


async def test_a_provider_that_fails_is_refused_at_once_and_closes_after_a_probe(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    # Asked for a long wait, a call is not repeated: each run is one failure.
    down = Reply(status=429, headers={"retry-after": "3600"})
    scripted.script = Script(select="call", replies=[down])
    await set_threshold(people, NAME, 2)
    assert await state(people) == "closed"
    agent = await make_agent(people.editor)
    for _ in range(2):
        assert (await run(people, agent))["error"]["code"] == "model_failed"
    assert await state(people) == "open"
    asked = len(scripted.calls)
    refused = await run(people, agent)
    assert (refused["status"], refused["error"]["code"]) == ("failed", "circuit_open")
    assert "It will be probed at" in refused["error"]["message"]
    assert len(scripted.calls) == asked

    async with working.database.write() as session:
        due = clock.now() - timedelta(seconds=1)
        await session.execute(update(CircuitBreaker).values(probe_at=due, updated_at=clock.now()))
    scripted.script = Script(rounds=0)
    async with asyncio.timeout(10):
        while (await run(people, agent))["status"] != "completed":
            await asyncio.sleep(0.05)
    assert await state(people) == "closed"
    assert len(scripted.calls) == asked + 1


async def test_a_refused_key_opens_nothing(people: People, scripted: ScriptedServer) -> None:
    scripted.script = Script(select="call", replies=[Reply(status=401)])
    await set_threshold(people, NAME, 1)
    agent = await make_agent(people.editor)
    assert (await run(people, agent))["error"]["code"] == "model_failed"
    assert await state(people) == "closed"


async def test_a_tool_that_fails_is_told_to_the_model(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    tool = {
        "name": "crm",
        "tool_type": "http",
        "configuration": {"url": "http://127.0.0.1:9/gone", "retries": 0},
    }
    made = await people.editor.post("/tools", json=tool)
    assert made.status_code == 201, made.text
    scripted.script = Script(rounds=3)
    await set_threshold(people, "tool:crm", 2)
    agent = await make_agent(people.editor, tools=["crm"])
    run_id = await start(people.operator, agent)
    assert (await until(people.viewer, run_id))["status"] == "completed"
    steps = [s for s in await spans(people.viewer, run_id) if s["name"] == "crm"]
    assert [s["step_status"] for s in steps] == ["error", "error", "blocked"]
    assert steps[2]["output"]["error"] == "circuit_open"
    assert await state(people, "tool:crm") == "open"


@pytest.mark.parametrize("tool", ["calculator", "fetch_page"])
async def test_any_tool_is_stopped_by_hand(
    people: People, working: Muster, scripted: ScriptedServer, tool: str
) -> None:
    """Whether it asks somebody else or not, and whatever its own breakers are."""
    scripted.script = Script(rounds=1)
    agent = await make_agent(people.editor, tools=[tool])
    path = f"/circuit-breakers/tool:{tool}"
    opened = await people.admin.post(f"{path}/force-open", json={"reason": "It miscounts."})
    assert opened.status_code == 200, opened.text
    run_id = await start(people.operator, agent)
    assert (await until(people.viewer, run_id))["status"] == "completed"
    (step,) = [s for s in await spans(people.viewer, run_id) if s["name"] == tool]
    assert (step["step_status"], step["output"]["error"]) == ("blocked", "circuit_open")
    assert "It miscounts. An admin opened it" in step["output"]["message"]
    assert (await people.admin.post(f"{path}/force-close")).status_code == 200
    run_id = await start(people.operator, agent)
    assert (await until(people.viewer, run_id))["status"] == "completed"
    (step,) = [s for s in await spans(people.viewer, run_id) if s["name"] == tool]
    assert step["step_status"] != "blocked"


async def test_any_model_is_stopped_by_hand(people: People, scripted: ScriptedServer) -> None:
    agent = await make_agent(people.editor)
    name = f"model:{agent['llm']}"
    assert (await people.admin.post(f"/circuit-breakers/{name}/force-open")).status_code == 200
    failed = await run(people, agent)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "circuit_open")
    assert not scripted.calls
    assert (await people.admin.post(f"/circuit-breakers/{name}/reset")).status_code == 200
    assert (await run(people, agent))["status"] == "completed"


def model(**fields: Any) -> CallableModel:
    nobody: Any = None
    return CallableModel(**{"name": "own", "provider": "openai", "chat": nobody, **fields})


def tool(name: str, kind: str) -> BoundTool:
    async def perform(*_: Any) -> ToolOutcome:
        return ToolOutcome(content=None)

    return BoundTool(
        spec=ToolSpec(name=name, description="", parameters={}),
        kind=kind,
        step_kind="step.resource",
        verb=None,
        idempotent=True,
        enabled=True,
        requires_approval=False,
        timeout_s=1,
        perform=perform,
    )


def test_what_stands_behind_which_breaker() -> None:
    assert breaker_of_model(model()) == "model:own"
    assert breaker_of_model(model(is_shared=True)) == "provider:openai"
    assert breaker_of_model(model(is_local=True)) is None
    for name, kind, url, expected in (
        ("crm", "http", "", "tool:crm"),
        ("files_read", "mcp", "", "tool:files_read"),
        ("web_search", "builtin", "", "tool:web_search"),
        ("calculator", "builtin", "", None),
        ("code", "python", "", None),
        ("fetch_page", "builtin", "https://Example.com/a", "host:example.com"),
        ("fetch_page", "builtin", "nowhere", None),
        ("fetch_page", "builtin", "http://[", None),
    ):
        assert breaker_of_tool(tool(name, kind), {"url": url}) == expected


def test_what_says_something_about_the_other_side() -> None:
    request, hasty = ModelRequest(messages=[]), ModelRequest(messages=[], settings={"timeout": 1})
    assert model_answered(ModelFailed("429", retryable=True), request) is False
    assert model_answered(ModelFailed("401"), request) is None
    assert model_answered(ModelTimeout(), request) is False
    assert model_answered(ModelTimeout(), hasty) is None
    assert model_answered(ModelUnsupported(), request) is None
    assert tool_answered(ToolUnreachable()) is False
    assert tool_answered(ToolTimeout()) is False
    assert tool_answered(ToolFailed()) is None
    assert tool_answered(ToolInputInvalid()) is None
    for status, expected in ((200, True), (404, True), (429, False), (503, False)):
        outcome = ToolOutcome(content=None, is_error=status >= 400, properties={"status": status})
        assert outcome_answered(outcome) is expected
    assert outcome_answered(ToolOutcome(content=None)) is True
    assert outcome_answered(ToolOutcome(content=None, is_error=True)) is None


def test_what_a_call_may_cost() -> None:
    request = ModelRequest(messages=[], settings={"max_tokens": 100})
    assert estimated_cost(model(), request) is None
    price = Price(input=1, output=10)
    assert estimated_cost(model(price=price), request) == 100 * 10 / 1_000_000
    assert estimated_cost(model(price=price), ModelRequest(messages=[])) == 1024 * 10 / 1_000_000


def test_published_prices() -> None:
    assert published_price(None, "gpt-4o") is None
    assert published_price("openai", "no such model at all") is None
    price = published_price("openai", "gpt-4o")
    assert price is not None
    assert price.cost(Usage(input_tokens=1000, output_tokens=1000)) > price.cost(
        Usage(input_tokens=1000)
    )
