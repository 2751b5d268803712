"""Agents of Pydantic AI with the capability: what they did is what the platform shows."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import DeferredToolRequests, ModelRetry
from pydantic_ai.exceptions import ApprovalRequired, ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from muster.sdk import StepBlocked
from muster.sdk.pydantic_ai import MusterCapability
from tests.sdk.conftest import Agent, Person
from tests.support.model_scripts import Reply, Script
from tests.support.model_server import ScriptedServer, model_server

pytestmark = pytest.mark.anyio


@pytest.fixture
async def models() -> AsyncIterator[ScriptedServer]:
    async with model_server(Script(rounds=1, text="Done.")) as server:
        yield server


def made(models: ScriptedServer, muster: Any, **options: Any) -> PydanticAgent[None, str]:
    provider = OpenAIProvider(base_url=models.base_url, api_key="sk")
    agent = PydanticAgent(
        OpenAIChatModel("gpt-4o", provider=provider),
        name="adder",
        capabilities=[MusterCapability(muster, **options)],
    )

    @agent.tool_plain
    def add(number: int) -> int:
        """Add one."""
        return number + 1

    return agent


async def test_a_run(models: ScriptedServer, agent: Agent, people: Person) -> None:
    muster = agent()
    runner = made(models, muster, kinds={"add": ("step.resource", "GET")})
    result = await runner.run("Add to one")
    assert result.output == "Done."
    async with muster.task(id="streamed"), runner.run_stream("Add to one") as stream:
        assert await stream.get_output() == "Done."
    assert await muster.aflush()
    found = people.get("/logs", kind="task.end")["items"]
    own = next(s for s in found if s["task_id"] != "streamed")
    assert own["output"] == "Done."
    for task_id in (own["task_id"], "streamed"):
        steps = people.steps(task_id)
        assert [(s["kind"], s["verb"], s["step_name"]) for s in steps[1:-1]] == [
            ("step.model", "POST", "gpt-4o"),
            ("step.resource", "GET", "add"),
            ("step.model", "POST", "gpt-4o"),
        ]
        first, tool, last = steps[1:-1]
        assert (first["input_tokens"], first["output_tokens"]) == (20, 10)
        assert (first["cached_tokens"], first["reasoning_tokens"]) == (5, 3)
        assert first["cost"] > 0
        assert first["output"][0]["part_kind"] == "tool-call"
        assert (tool["input"], tool["output"]) == ({"number": 1}, 2)
        assert last["output"][0]["content"] == "Done."
        assert people.is_valid(task_id)


async def test_gate(models: ScriptedServer, agent: Agent, people: Person) -> None:
    policy = people.forbid("step.exec", "block")
    muster = agent()
    with pytest.raises(StepBlocked):
        async with muster.task(id="t-1"):
            await made(models, muster, gate=True).run("Add")
    async with muster.task(id="t-2"):
        result = await made(models, muster, gate=True, on_block="tell").run("Add")
    assert result.output == "Done."
    told = models.last.body["messages"][-1]
    assert told["content"] == f"Refused: add: blocked by {policy['name']}"
    people.forbid("step.model", "block", name="No models")
    models.reset()
    with pytest.raises(StepBlocked):
        await made(models, muster, gate=True, on_block="tell").run("Add")
    assert models.count == 0
    assert await muster.aflush()
    assert [s["status"] for s in people.steps("t-1")][1:] == ["ok", "blocked", "blocked"]
    assert [s["status"] for s in people.steps("t-2")] == ["ok", "ok", "blocked", "ok", "ok"]


async def test_what_fails(models: ScriptedServer, agent: Agent, people: Person) -> None:
    muster = agent()
    runner = made(models, muster)

    @runner.tool_plain
    def fail() -> int:
        """Fail."""
        raise ModelRetry("again")

    @runner.tool_plain
    def ask() -> int:
        """Ask."""
        raise ApprovalRequired

    models.script = Script(
        select="turn", replies=[Reply(tool_calls=[{"name": "fail"}]), Reply(text="ok")]
    )
    async with muster.task(id="t-1"):
        await runner.run("x")
    models.script = Script(
        select="turn", replies=[Reply(tool_calls=[{"name": "ask"}]), Reply(text="ok")]
    )
    async with muster.task(id="t-2"):
        await runner.run("x", output_type=[str, DeferredToolRequests])
    models.script = Script(select="call", replies=[Reply(status=400)])
    with pytest.raises(ModelHTTPError):
        async with muster.task(id="t-3"):
            await runner.run("x")
    assert await muster.aflush()
    assert [s["status"] for s in people.steps("t-1")] == ["ok", "ok", "error", "ok", "ok"]
    deferred = people.steps("t-2")[2]
    assert deferred["properties"]["sent"]["status"] == "deferred"
    assert [s["status"] for s in people.steps("t-3")] == ["ok", "error", "error", "error"]
